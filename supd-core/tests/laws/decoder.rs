//! Bytes into the decoder.

use supd_core::{Decoded, Decoder, LenMode};

use super::{Choices, pieces, record};

/// How a decoder is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) mode: LenMode,
    pub(super) stored: bool,
    pub(super) max_payload: usize,
}

impl Setting {
    pub(super) fn chosen(choices: &Choices, sizes: &[usize]) -> Self {
        Self {
            mode: choices.among(0, &[LenMode::Auto, LenMode::Chars, LenMode::Bytes]),
            stored: choices.among(1, &[true, false]),
            max_payload: choices.among(2, sizes),
        }
    }

    pub(super) fn decoder(self) -> Decoder {
        let make = if self.stored { Decoder::stored } else { Decoder::live };
        make(self.mode, self.max_payload)
    }
}

/// It ends, panics at nothing, keeps of a payload what it was told to keep, finds the same at every cut as far as that
/// can be (live, what comes first decides what `len` counts), and what it finds survives as a record.
pub fn decoder(input: &[u8]) {
    let (choices, wire) = Choices::split(input);
    let setting = Setting::chosen(&choices, &[1 << 20, 16 << 20, 0, 1, 5, 64, 4096]);
    let is_silent = choices.among(3, &[false, true]);
    let cut = decode(setting, wire, &choices.cuts(), is_silent);
    let whole = decode(setting, wire, &[usize::MAX], is_silent);
    if setting.stored || setting.mode != LenMode::Auto {
        assert_eq!(cut, whole, "{setting:?}");
    }
    for decoded in whole.0 {
        if let Decoded::Event(event, unit) = decoded {
            let kept = event.payload.body.as_ref().map_or(0, Vec::len);
            assert!(kept <= setting.max_payload, "{setting:?} {event:?}");
            record::survives(event, unit);
        }
    }
}

/// What it finds, and whether it came to the end without an error.
fn decode(setting: Setting, wire: &[u8], cuts: &[usize], is_silent: bool) -> (Vec<Decoded>, bool) {
    let mut decoder = setting.decoder();
    let mut found = Vec::new();
    let mut pieces = pieces(wire, cuts);
    loop {
        let piece = pieces.next();
        match piece {
            Some(piece) => decoder.feed(piece),
            None => decoder.finish(),
        }
        loop {
            match decoder.next() {
                Ok(Some(decoded)) => found.push(decoded),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
            assert!(found.len() <= wire.len(), "events out of nothing");
        }
        if is_silent && decoder.is_undecided() {
            assert!(decoder.is_mid_event());
            found.push(decoder.silence_means_bytes().expect("it was undecided"));
            assert!(!decoder.is_undecided());
        }
        if piece.is_none() {
            return (found, true);
        }
    }
}
