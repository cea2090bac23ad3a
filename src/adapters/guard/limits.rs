//! Ends the process of a hook in the one way that every agent takes as a refusal, whatever goes wrong in it.
//!
//! Danger: an agent runs the tool when its hook dies of a signal. Memory that runs out, a second panic and a stack that
//! overflows all end in SIGABRT; a caller that has enough sends SIGTERM.

use std::sync::{Arc, atomic::AtomicBool};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::{
    consts::{SIGABRT, SIGBUS, SIGSYS, SIGTRAP, SIGXFSZ},
    flag,
};

use crate::adapters::signals;

/// What every agent takes as a refusal.
const REFUSED: i32 = 2;
/// The most memory a hook may take for itself.
const MEMORY: u64 = 2 << 30;

/// Makes every end of this process a refusal, and bounds its memory.
pub fn fail_closed_on_exit() {
    let faults = [SIGABRT, SIGBUS, SIGSYS, SIGTRAP, SIGXFSZ];
    for signal in faults.iter().chain(signals::ENDING) {
        // A signal that cannot be caught leaves the shell around the hook, which refuses too.
        drop(flag::register_conditional_shutdown(
            *signal,
            REFUSED,
            Arc::new(AtomicBool::new(true)),
        ));
    }
    // What a panic would print is not for the agent; the answer says that there was one.
    std::panic::set_hook(Box::new(|_| {}));
    let known = getrlimit(Resource::Data);
    let current = known.current.map_or(MEMORY, |current| current.min(MEMORY));
    let _ = setrlimit(
        Resource::Data,
        Rlimit {
            current: Some(current),
            maximum: known.maximum,
        },
    );
}
