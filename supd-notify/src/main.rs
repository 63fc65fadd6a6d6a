//! The `supd-notify` program; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    supd_notify::main()
}
