//! The MCP server: tools and resources for agents, behind the policy and the wall of the root.
//!
//! It can do nothing that the person who started it could not do with the same words: commands are judged and confined like
//! those of a job, everything else is this program as its own child with the same `--root`, `--config` and `--set`. No tool
//! takes a setting, so a client cannot widen its rights. Danger: arguments come from a model; a name that begins with `-`
//! must never become an option.

mod commands;
mod http;
mod json_lines;
mod plans;
mod progress;
mod question;
mod resources;
mod server;
mod task_file;
mod tools;

pub use commands::McpState;
pub use http::{McpHttpOptions, serve as serve_http};
pub use server::{McpServer, serve_stdio};
