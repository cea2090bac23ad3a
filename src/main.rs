//! The door: hands the words of the command line to the house and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tos::app::main(std::env::args_os())
}
