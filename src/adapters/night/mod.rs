//! What nights need of the machine: signs of life, events, sleep, health.

pub mod event_files;
pub mod heartbeats;
pub mod machine;
pub mod notification_queue;
pub mod sleep;
