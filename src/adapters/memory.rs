//! Memory that the allocator keeps although nobody uses it goes back to the system.
//!
//! A service rests for hours after minutes of work; without this it would hold on to what the busiest minute took.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many pages more than after the last time are worth the trouble: 2 MiB.
const WORTH: u64 = 512;

/// How many pages there were after the last time.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Gives back what is free, if there is more than the last time; cheap otherwise.
pub fn trim_heap() {
    let now = resident();
    if now < LAST.load(Ordering::Relaxed).saturating_add(WORTH) {
        return;
    }
    trim();
    LAST.store(resident(), Ordering::Relaxed);
}

/// Returns how many pages of this process are in memory; 0 = it is not known.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let second = text.split(' ').nth(1);
    second.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    #[expect(unsafe_code, reason = "there is no safe form of this call")]
    // SAFETY: the call touches nothing but free memory of the allocator, under its own locks, from any thread.
    let released = unsafe { libc::malloc_trim(0) };
    tracing::debug!("memory was given back: {}", released == 1);
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn trim() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_free_is_given_back() {
        // Small pieces, so that they lie in the heap and not in maps of their own; the last one keeps the end of it in use.
        let mut pieces: Vec<Box<[u8; 4096]>> = (0..16_384).map(|_| Box::new([1; 4096])).collect();
        let full = resident();
        let last = pieces.pop();
        drop(pieces);
        trim_heap();
        let after = resident();
        assert!(after + 8_000 < full, "{full} pages, then {after}");
        assert_eq!(last.map(|last| last[7]), Some(1));
    }
}
