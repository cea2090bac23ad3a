//! NATS `JetStream`: the log of a board, its queue of work, its leader, its code and its results, where more than one
//! machine works.
//!
//! `connection` owns the client and the names of everything of one board; `log` appends with the expected last sequence, so
//! that a controller that leads no more can write nothing; `board` keeps a board in that log and in `SQLite`; `leader` holds the key; `queue` hands work out;
//! `presence` says which workers are there; `objects` carries code, `plan_tasks` and `plan_orders` the tasks of plans; `patience` asks again. Danger: what comes from the server was written by somebody
//! with the same credentials, and nobody else; no secret may be put into it.

mod blobs;
mod board;
mod claimed;
mod connection;
mod controls;
mod leader;
mod log;
mod logs;
mod member;
mod objects;
mod orders;
mod patience;
mod places;
mod plan_orders;
mod plan_tasks;
mod presence;
mod publish;
mod queue;
mod streams;

pub use connection::NatsOptions;
pub use member::NatsMember;
