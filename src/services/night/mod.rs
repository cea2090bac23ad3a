//! Nights: what is done before one begins. The night itself is a session of [`crate::services::tasks`].

pub mod health;
