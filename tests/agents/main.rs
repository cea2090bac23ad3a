//! The coding agents people use, as npm installs them, driven through the real program: real repositories, real walls, and
//! a model server on loopback in place of a provider.
//!
//! `TOS_TEST_AGENTS` names the folder with `claude` and `codex` (CONTRIBUTING.md says how to fill it). Without it these tests
//! are skipped and say so once; with `TOS_TEST_AGENTS_REQUIRED` set they fail instead, which is what CI wants.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod acp;
mod bench;
mod crash;
mod guard;
mod hostile;
mod login;
mod mcp;
mod provider;
mod success;
mod trust;
mod walls;

#[path = "../support/model_server/mod.rs"]
mod model_server;
#[path = "../support/repository.rs"]
mod repository;
#[path = "../support/terminal.rs"]
mod terminal;

use bench::Agent;

/// The agents every behaviour is tried with.
const BOTH: [Agent; 2] = [Agent::Claude, Agent::Codex];
/// The same over the Agent Client Protocol.
const BOTH_ACP: [Agent; 2] = [Agent::ClaudeAcp, Agent::CodexAcp];
