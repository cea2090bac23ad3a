//! Git: checkpoints and rollback, without ever losing work.
