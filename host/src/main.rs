//! The `pillarbox` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillarbox::command::main()
}
