//! The least that a listener can be: it reads an event, looks at how long it is, and answers. Given a program with its
//! arguments, it starts that, and hands each event on to it as it came before it answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

fn main() -> io::Result<()> {
    let mut program = start(std::env::args_os().skip(1))?;
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(b"READY\n")?;
    let mut buf = vec![0; 128 * 1024];
    let mut held = 0;
    loop {
        match stdin.read(&mut buf[held..])? {
            0 => break,
            bytes => held += bytes,
        }
        // Only one event is ever on its way, so that it is whole when this much is there.
        if size(&buf[..held]).is_some_and(|size| size == held) {
            if let Some(pipe) = program.as_mut().and_then(|program| program.stdin.as_mut()) {
                pipe.write_all(&buf[..held])?;
            }
            stdout.write_all(b"RESULT 2\nOKREADY\n")?;
            held = 0;
        }
    }
    // Closes its standard input first.
    program.map_or(Ok(()), |mut program| program.wait().map(drop))
}

fn start(mut words: impl Iterator<Item = std::ffi::OsString>) -> io::Result<Option<Child>> {
    let Some(program) = words.next() else { return Ok(None) };
    Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().map(Some)
}

/// Bytes of the header and of the payload, whose characters are taken to be one byte each.
fn size(event: &[u8]) -> Option<usize> {
    let newline = event.iter().position(|&byte| byte == b'\n')?;
    let header = std::str::from_utf8(&event[..newline]).ok()?;
    let (_, len) = header.rsplit_once("len:")?;
    Some(newline + 1 + len.parse::<usize>().ok()?)
}
