//! The spool on disks that fail: nothing acknowledged is lost, nothing torn is read, no number is given twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod damage;
mod directory;
mod machine;
#[allow(unreachable_pub)] // the fuzz targets use it too
#[path = "../laws/recovery.rs"]
mod recovery;
mod story;
