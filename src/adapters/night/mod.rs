//! What nights need of the machine: signs of life, events, sleep, health.

pub mod beats;
pub mod courier;
pub mod journal;
pub mod machine;
pub mod sleep;
