//! Numbers that look like chance and are the same each time, for tests that break things at random.

/// A stream of numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below `most`, 0 where that is 0.
    pub(crate) fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, most: N) -> N {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let most = most.try_into().unwrap_or(0).max(1);
        let number = N::try_from((self.0 >> 11) % most);
        number.unwrap_or_else(|_| unreachable!("it is below a number of its own kind"))
    }
}
