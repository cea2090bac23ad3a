//! The loops: each one feeds inputs to a pure state machine and performs the effect it answers with.
