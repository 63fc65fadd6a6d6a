//! A stream that goes on for ever.

use supd_core::wire::MAX_HEADER;

use super::{Choices, decoder};

/// So much of it is tried.
const STREAM: usize = 512 * 1024;
const MOST_AT_ONCE: usize = 8 * 1024;

/// The same bytes again and again do not make the decoder's memory grow beyond what a payload and a header may take,
/// however it is told to read them.
pub fn endless(input: &[u8]) {
    let (choices, again) = Choices::split(input);
    if again.is_empty() {
        return;
    }
    let setting = decoder::Setting::chosen(&choices, &[4096, 0, 16, 256]);
    let mut decoder = setting.decoder();
    let stream: Vec<u8> = again.iter().copied().cycle().take(MOST_AT_ONCE.max(again.len())).collect();
    // What is fed, what is thought over before it can be told where a payload ends (four bytes a character, and a header
    // on either side), and a Vec's habit of taking twice what it needs.
    let bound = 2 * (stream.len() + 4 * setting.max_payload + 3 * MAX_HEADER) + 64 * 1024;
    let mut fed = 0;
    while fed < STREAM {
        decoder.feed(&stream);
        fed += stream.len();
        loop {
            match decoder.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        let held = decoder.held();
        assert!(held <= bound, "{held} of {fed} bytes are held, more than {bound}: {setting:?}");
    }
}
