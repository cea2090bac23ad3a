//! What the policy's judge asks of this machine.

pub mod filesystem_view;
