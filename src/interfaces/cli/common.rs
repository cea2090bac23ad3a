//! What nearly every command names: its options, its services, its printer and its end.

pub use super::{
    args::GlobalArgs,
    exit::{CliError, CliExit},
    services::ServiceFactory,
};
pub use crate::interfaces::report::Printer;
