//! Randomness that a test can repeat.

use countersign_crypto::digest::sha256;
use countersign_crypto::random::Random;
use std::sync::Mutex;

/// A source that gives the same bytes for the same `seed`: SHA-256 of the seed and a counter. Never outside tests.
#[must_use]
pub fn seeded(seed: u64) -> Random {
    let counter = Mutex::new(0_u64);
    Random::from_fn(move |bytes| {
        for chunk in bytes.chunks_mut(32) {
            let mut input = [0; 16];
            let mut count = match counter.lock() {
                Ok(count) => count,
                Err(poisoned) => poisoned.into_inner(),
            };
            *count = count.wrapping_add(1);
            for (to, from) in input
                .iter_mut()
                .zip(seed.to_be_bytes().into_iter().chain(count.to_be_bytes()))
            {
                *to = from;
            }
            for (to, from) in chunk.iter_mut().zip(sha256(&input)) {
                *to = from;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::seeded;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_no_two_draws_are_equal() {
        let (first, second) = (seeded(7), seeded(7));
        let draws: Vec<[u8; 40]> = (0..8).map(|_| first.bytes()).collect();
        let again: Vec<[u8; 40]> = (0..8).map(|_| second.bytes()).collect();
        assert_eq!(draws, again);
        assert_ne!(draws[0], draws[1]);
        assert_ne!(draws[0], seeded(8).bytes::<40>());
    }
}
