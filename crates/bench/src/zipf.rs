//! Which of N tokens comes next in a realistic mix: few come often, many seldom (Zipf, exponent 1).

/// The cumulative weights of ranks.
pub struct Zipf(Vec<f64>);

impl Zipf {
    /// A mix of `count` ranks.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=count)
                .map(|rank| {
                    sum += 1.0 / f64::from(rank);
                    sum
                })
                .collect(),
        )
    }

    /// The rank that a uniform number in `0..1` stands for.
    #[must_use]
    pub fn rank(&self, uniform: f64) -> usize {
        let total = self.0.last().copied().unwrap_or(0.0);
        self.0
            .partition_point(|weight| *weight < uniform * total)
            .min(self.0.len().saturating_sub(1))
    }
}

/// A small generator (splitmix64) for choosing; nothing secret is made with it.
pub struct Dice(u64);

impl Dice {
    /// A generator that always goes the same way from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..1`.
    pub fn uniform(&mut self) -> f64 {
        let top = u32::try_from(self.next() >> 32).unwrap_or(0);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dice, Zipf};

    #[test]
    fn the_first_rank_comes_most_often() {
        let (zipf, mut dice) = (Zipf::new(10_000), Dice::new(1));
        let mut first = 0;
        for _ in 0..10_000 {
            let rank = zipf.rank(dice.uniform());
            assert!(rank < 10_000);
            first += usize::from(rank == 0);
        }
        // 1 / H(10000) is about a tenth.
        assert!((800..1300).contains(&first), "{first}");
    }
}
