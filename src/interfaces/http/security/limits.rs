//! How much may come: a bucket that fills up evenly.

use std::sync::{Mutex, PoisonError};

use crate::domain::board::Millis;

/// A bucket of permissions.
#[derive(Debug)]
pub(in crate::interfaces::http) struct TokenBucket {
    per_ms: f64,
    most: f64,
    level: Mutex<(f64, Millis)>,
}

impl TokenBucket {
    /// A bucket that is full.
    pub(in crate::interfaces::http) fn new(per_second: f64, burst: u32, now: Millis) -> Self {
        let most = f64::from(burst.max(1));
        Self {
            per_ms: per_second / 1000.0,
            most,
            level: Mutex::new((most, now)),
        }
    }

    /// Takes one permission, or says after how many seconds there is one.
    pub(in crate::interfaces::http) fn take(&self, now: Millis) -> Result<(), u64> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = u32::try_from(now.saturating_sub(level.1)).unwrap_or(u32::MAX);
        let filled = f64::from(passed).mul_add(self.per_ms, level.0);
        *level = (filled.min(self.most), now.max(level.1));
        if level.0 >= 1.0 {
            level.0 -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - level.0) / self.per_ms.max(f64::MIN_POSITIVE) / 1000.0;
        Err(std::time::Duration::try_from_secs_f64(wait.ceil()).map_or(60, |wait| wait.as_secs()))
    }

    /// Returns whether there is a permission, without taking it.
    pub(in crate::interfaces::http) fn peek(&self, now: Millis) -> Result<(), u64> {
        self.take(now).inspect(|()| {
            self.level.lock().unwrap_or_else(PoisonError::into_inner).0 += 1.0;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_is_in_it_and_fills_up_again() {
        let bucket = TokenBucket::new(1.0, 2, 1000);
        assert_eq!(bucket.take(1000), Ok(()));
        assert_eq!(bucket.take(1000), Ok(()));
        assert_eq!(bucket.peek(1000), Err(1));
        assert_eq!(bucket.take(1000), Err(1));
        assert_eq!(bucket.peek(2000), Ok(()));
        assert_eq!(bucket.take(2000), Ok(()));
        assert_eq!(bucket.take(2000), Err(1));
        // A clock that goes back gives nothing and takes nothing.
        assert_eq!(bucket.take(500), Err(1));
        assert_eq!(bucket.take(u64::MAX), Ok(()));
    }
}
