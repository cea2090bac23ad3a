//! Where tos meets people and programs: the command line and the reports it prints.

pub mod cli;
pub mod mcp;
pub mod http;
pub mod report;
