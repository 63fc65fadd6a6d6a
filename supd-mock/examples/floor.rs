//! The least that a listener can be: it reads an event, looks at how long it is, and answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;

fn main() -> io::Result<()> {
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(b"READY\n")?;
    let mut buf = vec![0; 128 * 1024];
    let mut held = 0;
    loop {
        match stdin.read(&mut buf[held..])? {
            0 => return Ok(()),
            bytes => held += bytes,
        }
        // Only one event is ever on its way, so that it is whole when this much is there.
        if size(&buf[..held]).is_some_and(|size| size == held) {
            stdout.write_all(b"RESULT 2\nOKREADY\n")?;
            held = 0;
        }
    }
}

/// Bytes of the header and of the payload, whose characters are taken to be one byte each.
fn size(event: &[u8]) -> Option<usize> {
    let newline = event.iter().position(|&byte| byte == b'\n')?;
    let header = std::str::from_utf8(&event[..newline]).ok()?;
    let (_, len) = header.rsplit_once("len:")?;
    Some(newline + 1 + len.parse::<usize>().ok()?)
}
