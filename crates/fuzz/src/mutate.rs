//! Mutations of inputs by a seeded generator: the same seed always gives the same inputs.

/// Bytes of the longest input that is made.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// A small generator (splitmix64) for choosing mutations; nothing secret is ever made with it.
pub struct Generator(u64);

impl Generator {
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

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Makes a new input from `seeds`: one of them, changed one to eight times.
pub fn mutated(seeds: &[Vec<u8>], words: &[&str], generator: &mut Generator) -> Vec<u8> {
    let mut bytes = generator.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..=generator.below(8) {
        mutate_once(&mut bytes, seeds, words, generator);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn mutate_once(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], generator: &mut Generator) {
    match generator.below(10) {
        0 => change(bytes, generator, |byte, choice| byte ^ (1 << (choice % 8))),
        1 => change(bytes, generator, |_, choice| choice),
        2 => change(bytes, generator, |byte, _| byte.wrapping_add(1)),
        3 => remove(bytes, generator),
        4 => {
            let at = generator.below(bytes.len() + 1);
            bytes.insert(at, generator.byte());
        }
        5 => bytes.truncate(generator.below(bytes.len() + 1)),
        6 => repeat(bytes, generator),
        7 => splice(bytes, seeds, generator),
        8 => insert_word(bytes, words, generator),
        _ => insert_word(bytes, INTERESTING, generator),
    }
}

/// Fragments that trouble parsers of every kind.
const INTERESTING: &[&str] = &[
    "\0",
    "%00",
    "%2e%2e%2f",
    "..;/",
    "\r\n",
    "\u{feff}",
    "{",
    "[",
    "\"",
    "\\u0000",
    "\\ud800",
    "-1",
    "1e400",
    "18446744073709551616",
    "9007199254740993",
    "null",
    "true",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":",
    "=",
    "==",
    "&",
    "+",
    "%",
    "%zz",
    "\u{202e}",
    "\u{fffd}",
    "é",
    "://",
    "@",
    "#",
    "?",
];

fn change(bytes: &mut [u8], generator: &mut Generator, to: impl Fn(u8, u8) -> u8) {
    let at = generator.below(bytes.len());
    let choice = generator.byte();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte, choice);
    }
}

fn remove(bytes: &mut Vec<u8>, generator: &mut Generator) {
    let (from, to) = range(bytes.len(), generator);
    bytes.drain(from..to);
}

fn repeat(bytes: &mut Vec<u8>, generator: &mut Generator) {
    let (from, to) = range(bytes.len(), generator);
    let part = bytes.get(from..to).unwrap_or_default().to_vec();
    for _ in 0..=generator.below(8) {
        if bytes.len() < INPUT_BYTES_MAX {
            bytes.splice(to..to, part.iter().copied());
        }
    }
}

fn splice(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], generator: &mut Generator) {
    let Some(other) = generator.pick(seeds) else {
        return;
    };
    let (from, to) = range(other.len(), generator);
    let (begin, end) = range(bytes.len(), generator);
    let part = other.get(from..to).unwrap_or_default().to_vec();
    bytes.splice(begin..end, part);
}

fn insert_word(bytes: &mut Vec<u8>, words: &[&str], generator: &mut Generator) {
    let Some(word) = generator.pick(words) else {
        return;
    };
    let (begin, end) = range(bytes.len(), generator);
    let end = if generator.below(2) == 0 { begin } else { end };
    bytes.splice(begin..end, word.bytes());
}

/// An ordered pair of places in `0..=length`.
fn range(length: usize, generator: &mut Generator) -> (usize, usize) {
    let (a, b) = (generator.below(length + 1), generator.below(length + 1));
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::{Generator, mutated};

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = vec![b"alpha".to_vec(), b"beta".to_vec()];
        let inputs = |seed| {
            let mut generator = Generator::new(seed);
            (0..100)
                .map(|_| mutated(&seeds, &["gamma"], &mut generator))
                .collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }
}
