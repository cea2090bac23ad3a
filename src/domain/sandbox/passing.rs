//! Why a trial of a wall failed: by a trait of the machine, or by a shortage that passes and says nothing about the wall.

use crate::domain::process::ExitStatus;

/// Errors of a machine, or of the shell that started tos, that has run out of something.
const SHORTAGES: [(i32, &str); 8] = [
    (5, "Input/output error"),
    (11, "Resource temporarily unavailable"),
    (12, "Cannot allocate memory"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (27, "File too large"),
    (28, "No space left on device"),
    (122, "Disk quota exceeded"),
];

/// Signals with which a limit, a person or a machine without memory ends a program: HUP, INT, QUIT, KILL, TERM, XCPU, XFSZ.
const ENDED_FROM_OUTSIDE: [i32; 7] = [1, 2, 3, 9, 15, 24, 25];

/// Tells whether a message names an error that passes.
pub fn is_passing_fault(text: &str) -> bool {
    // A machine whose setting allows no namespaces answers as a full disk does, and always will.
    let is_setting = text.contains("namespace") && text.contains("No space left on device");
    let names = |(number, words): &(i32, &str)| {
        text.contains(&format!("(os error {number})")) || text.contains(words)
    };
    !is_setting && SHORTAGES.iter().any(names)
}

/// Tells whether a program ended by something that passes; some walls report a signal as 128 and its number.
pub fn is_passing_end(exit: &ExitStatus) -> bool {
    match exit {
        ExitStatus::Signal { signal } => ENDED_FROM_OUTSIDE.contains(signal),
        ExitStatus::Code { code } => ENDED_FROM_OUTSIDE.contains(&(code - 128)),
        ExitStatus::TimedOut { .. } | ExitStatus::Idle { .. } | ExitStatus::DiskTaken { .. } => {
            true
        }
        ExitStatus::Cancelled => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_passes_and_a_refusal_of_the_machine_does_not() {
        for text in [
            "the jailer could not be started: Too many open files (os error 24)",
            "bwrap: Creating new namespace failed: Resource temporarily unavailable",
            "fehlgeschlagen (os error 28)",
        ] {
            assert!(is_passing_fault(text), "{text}");
        }
        for text in [
            "bwrap: No permissions to create new namespace",
            "Operation not permitted (os error 1)",
            "Function not implemented (os error 38)",
            "namespaces are not available: No space left on device (os error 28)",
        ] {
            assert!(!is_passing_fault(text), "{text}");
        }
    }

    #[test]
    fn a_limit_or_a_kill_passes_and_a_crash_of_the_probe_does_not() {
        for passing in [
            ExitStatus::Signal { signal: 25 },
            ExitStatus::Signal { signal: 9 },
            ExitStatus::Code { code: 153 },
            ExitStatus::TimedOut { after_ms: 20_000 },
        ] {
            assert!(is_passing_end(&passing), "{passing:?}");
        }
        for lasting in [
            ExitStatus::Signal { signal: 31 },
            ExitStatus::Code { code: 1 },
            ExitStatus::Code { code: 0 },
        ] {
            assert!(!is_passing_end(&lasting), "{lasting:?}");
        }
    }
}
