//! Gives the command line to tos and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tos::app::main(std::env::args_os())
}
