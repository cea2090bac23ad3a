//! Where tos meets people and programs: the command line, the reports it prints, the API and the page.

pub mod cli;
pub mod http;
pub mod mcp;
pub mod report;
