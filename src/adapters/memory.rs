//! Memory that the allocator keeps although nobody uses it goes back to the system.
//!
//! A service rests for hours after minutes of work; without this it would hold on to what the busiest minute took. The code
//! that it went through is let go as well: what of it is needed again comes back from the file, which the system has in memory. Danger: only code may be let
//! go, because data of the program's file was changed after it was mapped.

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
    let pieces = release_code();
    tracing::debug!("pieces of code that were let go: {pieces}");
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

/// Returns where the code of this program is mapped: the pages that are executed and cannot be written.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn code_ranges(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let range = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let is_code = words.next()? == "r-xp" && words.nth(3)? == program;
        let number = |text| usize::from_str_radix(text, 16).ok();
        is_code.then_some((number(from)?, number(to)?))
    };
    maps.lines().filter_map(range).collect()
}

/// Lets the code of this program go; returns in how many pieces.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn release_code() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Ok(program) = std::fs::read_link("/proc/self/exe") else {
        return 0;
    };
    let mut pieces = 0;
    for (from, to) in code_ranges(&maps, &program.to_string_lossy()) {
        #[expect(unsafe_code, reason = "there is no safe form of this call")]
        // SAFETY: the pages hold the code of the running program, which nobody has written to: they are mapped from its file,
        // which cannot be changed while it runs, and come back from there with the next instruction that lies in them.
        let done = unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(from),
                to.saturating_sub(from),
                libc::MADV_DONTNEED,
            )
        };
        pieces += usize::from(done == 0);
    }
    pieces
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn release_code() -> usize {
    0
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_itself_is_let_go() {
        let maps = "55a0-55b0 r--p 00000000 08:01 12 /usr/bin/tos\n55b0-56c0 r-xp 00010000 08:01 12 /usr/bin/tos\n\
                    56c0-56d0 r--p 00120000 08:01 12 /usr/bin/tos\n7f00-7f10 r-xp 00000000 08:01 9 /lib/libc.so.6\n\
                    7f20-7f30 rwxp 00000000 00:00 0\n7f40-7f50 r-xp 00000000 00:00 0 [vdso]\n";
        assert_eq!(code_ranges(maps, "/usr/bin/tos"), [(0x55b0, 0x56c0)]);
        // The program that runs this is let go, too, and works on.
        assert!(release_code() > 0);
    }

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
