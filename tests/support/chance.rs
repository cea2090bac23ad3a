//! Numbers that look like chance and are the same each time, for tests that break things at random.

/// A generator, with its seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Returns a number below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}
