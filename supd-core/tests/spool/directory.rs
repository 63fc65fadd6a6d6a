//! The spool in a real directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use supd_core::cli::Usage;
use supd_core::spool::{Asked, Consumer, ConsumerName, Options, Spool, Sync, ask, create, cursors, look};

const OPTIONS: Options = Options { max: 64 << 10, keep: Duration::MAX, sync: Sync::Event };

fn open(path: &Path) -> Spool {
    match ask(path).unwrap() {
        Asked::Ours(lock) => Spool::open(path, OPTIONS, lock).unwrap().0,
        Asked::Held(pid) => panic!("held by {pid:?}"),
    }
}

fn append(spool: &mut Spool, size: usize) {
    let line = format!("{{\"seq\":{},\"data\":\"{}\"}}\n", spool.index().next(), "x".repeat(size));
    spool.append(line.as_bytes()).unwrap();
}

fn consumer(path: &Path, name: &str) -> Consumer {
    match Consumer::ask(path, &ConsumerName::parse(name).unwrap()).unwrap() {
        Asked::Ours(consumer) => consumer,
        Asked::Held(pid) => panic!("held by {pid:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Puts back what the process, and so every other test in it, had before.
struct Umask(Mode);

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

#[test]
fn nobody_else_may_read_what_processes_wrote_whatever_the_umask_is() {
    let dir = tempfile::tempdir().unwrap();
    for umask in [0o000, 0o022, 0o077] {
        let before = Umask(rustix::process::umask(Mode::from_raw_mode(umask)));
        let path = dir.path().join(format!("{umask:o}"));
        create(&path).unwrap();
        append(&mut open(&path), 10);
        consumer(&path, "notify").set_position(1).unwrap();
        drop(before);
        for (name, expected) in [
            ("", 0o700),
            ("lock", 0o600),
            ("00000000000000000001.ndjson", 0o600),
            ("cursors", 0o700),
            ("cursors/notify", 0o600),
            ("cursors/notify.lock", 0o600),
        ] {
            assert_eq!(mode(&path.join(name)), expected, "{name:?} with umask {umask:o}");
        }
    }
}

#[test]
fn a_directory_is_made_but_not_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("misspelt/alerts");
    let error = create(&path).unwrap_err();
    assert!(error.is::<Usage>());
    assert_eq!(
        error.to_string(),
        format!(
            "create spool '{}': there is no '{}'; make it with mkdir -p",
            path.display(),
            dir.path().join("misspelt").display()
        )
    );
    fs::create_dir(dir.path().join("misspelt")).unwrap();
    create(&path).unwrap();
    create(&path).unwrap();
    // What stands in the way is no spool.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(!create(&file).unwrap_err().is::<Usage>());
}

#[test]
fn the_one_who_writes_is_alone_and_known() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path()).unwrap();
    assert_eq!(look(dir.path()).unwrap().1, None);
    let mut spool = open(dir.path());
    let us = Some(std::process::id());
    assert!(matches!(ask(dir.path()).unwrap(), Asked::Held(pid) if pid == us));
    assert_eq!(look(dir.path()).unwrap().1, Some(us));
    spool.let_go();
    drop(open(dir.path()));
    // A file that says another pid than that of the one who holds it does no harm.
    fs::write(dir.path().join("lock"), "1234567 and more").unwrap();
    drop(open(dir.path()));
    assert_eq!(look(dir.path()).unwrap().1, None);
}

#[test]
fn one_can_look_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path()).unwrap();
    let mut spool = open(dir.path());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut seen, mut looks) = (1, 0);
            while !is_done.load(Ordering::Relaxed) || looks == 0 {
                let (index, holder) = look(dir.path()).unwrap();
                assert_eq!(holder, Some(Some(std::process::id())));
                assert!(index.next() >= seen && index.first() <= index.next());
                (seen, looks) = (index.next(), looks + 1);
            }
        });
        for turn in 0..300 {
            spool.make_room(1000).unwrap();
            append(&mut spool, turn * 37 % 900);
        }
        is_done.store(true, Ordering::Relaxed);
        looking.join().unwrap();
    });
    let (index, _) = look(dir.path()).unwrap();
    assert!(index.first() > 1 && index.size() <= OPTIONS.max);
    assert_eq!((index.next(), index.size()), (301, spool.index().size()));
}

#[test]
fn what_else_is_in_the_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path()).unwrap();
    append(&mut open(dir.path()), 10);
    let junk = ["2.ndjson", "00000000000000000009.ndjson~", "0000000000000000000x.ndjson", "notes"];
    for name in junk {
        fs::write(dir.path().join(name), "{\"seq\":9}\n").unwrap();
    }
    fs::create_dir(dir.path().join("00000000000000000008.ndjson")).unwrap();
    fs::write(dir.path().join("cursors/a b"), "9\n").unwrap();
    fs::write(dir.path().join("cursors/.notify.new"), "9\n").unwrap();
    let spool = open(dir.path());
    assert_eq!((spool.index().next(), spool.index().segments().len()), (2, 1));
    assert!(cursors(dir.path()).unwrap().is_empty());
    assert!(junk.iter().all(|name| fs::read(dir.path().join(name)).unwrap() == b"{\"seq\":9}\n"));
}

#[test]
fn the_numbers_go_on_after_a_cursor_that_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path()).unwrap();
    append(&mut open(dir.path()), 10);
    consumer(dir.path(), "notify").set_position(7).unwrap();
    // One that is beyond all numbers confirms nothing.
    fs::write(dir.path().join("cursors/spoilt"), u64::MAX.to_string()).unwrap();
    let mut spool = open(dir.path());
    assert_eq!((spool.index().next(), spool.position()), (8, 0));
    append(&mut spool, 10);
    let mut lines = Vec::new();
    while spool.read(&mut lines).unwrap() > 0 {}
    assert_eq!(lines, b"{\"seq\":1,\"data\":\"xxxxxxxxxx\"}\n{\"seq\":8,\"data\":\"xxxxxxxxxx\"}\n");
}
