//! Time and randomness of the real machine.

use std::time::{Duration, Instant};

use crate::{
    domain::time::Timestamp,
    ports::{BoxFuture, clock::Clock},
};

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        chrono::Local::now().fixed_offset()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn boottime(&self) -> Duration {
        Duration::from_millis(crate::adapters::ledger::boottime_ms())
    }

    fn random(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
            Ok(_) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
            // Jitter only spreads load; a constant is a fair answer where the kernel has no entropy.
            Err(_) => 0.5,
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
