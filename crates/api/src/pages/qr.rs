//! QR codes (ISO/IEC 18004), as authenticator apps scan them: bytes at error correction level M, versions 1 to 10, as an SVG in a `data:` address.
//!
//! Not here: other modes, levels and versions. What does not fit has no picture, and people type the key.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;

/// Error correction codewords of a block at level M, by version.
const CORRECTION: [usize; 10] = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
/// Blocks at level M, by version.
const BLOCKS: [usize; 10] = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
/// Modules of silence around the code.
const QUIET: usize = 4;

/// The code of a text as an address of a picture; none if it is too long.
pub(super) fn picture(text: &str) -> Option<String> {
    let code = Code::of(text.as_bytes())?;
    let side = code.size + 2 * QUIET;
    let mut path = String::new();
    for (x, y) in code.positions().filter(|(x, y)| code.is_dark(*x, *y)) {
        let _written = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
    }
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {side} {side}' shape-rendering='crispEdges'><path fill='#fff' d='M0 0h{side}v{side}H0z'/><path d='{path}'/></svg>"
    );
    Some(format!(
        "data:image/svg+xml,{}",
        utf8_percent_encode(&svg, NON_ALPHANUMERIC)
    ))
}

/// A square of modules.
#[derive(Clone)]
struct Code {
    version: usize,
    size: usize,
    dark: Vec<bool>,
    /// Modules whose colour the standard fixes.
    fixed: Vec<bool>,
}

impl Code {
    fn of(bytes: &[u8]) -> Option<Self> {
        let version = (1..=BLOCKS.len()).find(|version| fits(*version, bytes.len()))?;
        let mut code = Self::blank(version);
        code.draw_patterns();
        code.draw_format(0);
        code.draw_data(&interleaved(version, &codewords(version, bytes)?)?);
        (0..8)
            .map(|mask| code.masked(mask))
            .min_by_key(Self::penalty)
    }

    fn blank(version: usize) -> Self {
        let size = version * 4 + 17;
        Self {
            version,
            size,
            dark: vec![false; size * size],
            fixed: vec![false; size * size],
        }
    }

    fn positions(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let size = self.size;
        (0..size * size).map(move |index| (index % size, index / size))
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.size + x).copied().unwrap_or(false)
    }

    fn is_fixed(&self, x: usize, y: usize) -> bool {
        self.fixed.get(y * self.size + x).copied().unwrap_or(true)
    }

    fn paint(&mut self, x: usize, y: usize, shade: Shade) {
        if x < self.size
            && let Some(module) = self.dark.get_mut(y * self.size + x)
        {
            *module = shade == Shade::Dark;
        }
    }

    fn fix(&mut self, x: usize, y: usize, shade: Shade) {
        self.paint(x, y, shade);
        if x < self.size
            && let Some(fixed) = self.fixed.get_mut(y * self.size + x)
        {
            *fixed = true;
        }
    }

    fn draw_patterns(&mut self) {
        for at in 0..self.size {
            self.fix(6, at, Shade::of(at % 2 == 0));
            self.fix(at, 6, Shade::of(at % 2 == 0));
        }
        let far = self.size - 4;
        for (x, y) in [(3, 3), (far, 3), (3, far)] {
            self.draw_rings(x, y, 4, |ring| ring != 2 && ring != 4);
        }
        let places = alignments(self.version, self.size);
        let last = places.len().saturating_sub(1);
        for (row, y) in places.iter().enumerate() {
            for (column, x) in places.iter().enumerate() {
                let finder = matches!((row, column), (0, 0))
                    || (row, column) == (0, last)
                    || (row, column) == (last, 0);
                if !finder {
                    self.draw_rings(*x, *y, 2, |ring| ring != 1);
                }
            }
        }
        self.draw_version();
    }

    /// Squares around a middle, out to `reach`.
    fn draw_rings(&mut self, x: usize, y: usize, reach: usize, is_dark: fn(usize) -> bool) {
        for dy in 0..=2 * reach {
            for dx in 0..=2 * reach {
                let ring = dx.abs_diff(reach).max(dy.abs_diff(reach));
                if let (Some(x), Some(y)) =
                    ((x + dx).checked_sub(reach), (y + dy).checked_sub(reach))
                    && y < self.size
                {
                    self.fix(x, y, Shade::of(is_dark(ring)));
                }
            }
        }
    }

    /// Level and mask, twice (§7.9).
    fn draw_format(&mut self, mask: u32) {
        // Level M has the number 0.
        let rest = (0..10).fold(mask, |rest, _| (rest << 1) ^ ((rest >> 9) * 0x537));
        let bits = ((mask << 10) | rest) ^ 0x5412;
        let shade = |bit: usize| Shade::of((bits >> bit) & 1 == 1);
        let size = self.size;
        for bit in 0..6 {
            self.fix(8, bit, shade(bit));
        }
        self.fix(8, 7, shade(6));
        self.fix(8, 8, shade(7));
        self.fix(7, 8, shade(8));
        for bit in 9..15 {
            self.fix(14 - bit, 8, shade(bit));
        }
        for bit in 0..8 {
            self.fix(size - 1 - bit, 8, shade(bit));
        }
        for bit in 8..15 {
            self.fix(8, size - 15 + bit, shade(bit));
        }
        self.fix(8, size - 8, Shade::Dark);
    }

    /// The version, twice, from version 7 on (§7.10).
    fn draw_version(&mut self) {
        if self.version < 7 {
            return;
        }
        let rest = (0..12).fold(self.version, |rest, _| {
            (rest << 1) ^ ((rest >> 11) * 0x1f25)
        });
        let bits = (self.version << 12) | rest;
        for bit in 0..18 {
            let shade = Shade::of((bits >> bit) & 1 == 1);
            let (far, near) = (self.size - 11 + bit % 3, bit / 3);
            self.fix(far, near, shade);
            self.fix(near, far, shade);
        }
    }

    /// Two columns at a time, upwards and downwards in turn (§7.7.3).
    fn draw_data(&mut self, data: &[u8]) {
        let mut bits = data
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1 == 1));
        // The column of the timing pattern is left out.
        let columns = (7..self.size).rev().step_by(2).chain([5, 3, 1]);
        for right in columns {
            for step in 0..self.size {
                for x in [right, right - 1] {
                    let upwards = (right + 1) & 2 == 0;
                    let y = if upwards { self.size - 1 - step } else { step };
                    if !self.is_fixed(x, y)
                        && let Some(bit) = bits.next()
                    {
                        self.paint(x, y, Shade::of(bit));
                    }
                }
            }
        }
    }

    fn masked(&self, mask: u32) -> Self {
        let mut code = self.clone();
        code.draw_format(mask);
        for (x, y) in self.positions().filter(|(x, y)| !self.is_fixed(*x, *y)) {
            let inverted = match mask {
                0 => (x + y) % 2 == 0,
                1 => y % 2 == 0,
                2 => x % 3 == 0,
                3 => (x + y) % 3 == 0,
                4 => (x / 3 + y / 2) % 2 == 0,
                5 => x * y % 2 + x * y % 3 == 0,
                6 => (x * y % 2 + x * y % 3) % 2 == 0,
                _ => ((x + y) % 2 + x * y % 3) % 2 == 0,
            };
            code.paint(x, y, Shade::of(self.is_dark(x, y) != inverted));
        }
        code
    }

    /// How hard it would be to read (§7.8.3).
    fn penalty(&self) -> usize {
        let rows = (0..self.size).map(|y| self.line(|x| (x, y)));
        let columns = (0..self.size).map(|x| self.line(|y| (x, y)));
        let lines: usize = rows.chain(columns).map(|line| line_penalty(&line)).sum();
        let blocks = self.positions().filter(|(x, y)| {
            let (x, y) = (*x, *y);
            let shade = self.is_dark(x, y);
            x + 1 < self.size
                && y + 1 < self.size
                && shade == self.is_dark(x + 1, y)
                && shade == self.is_dark(x, y + 1)
                && shade == self.is_dark(x + 1, y + 1)
        });
        let dark = self.dark.iter().filter(|dark| **dark).count();
        let imbalance = (dark * 20).abs_diff(self.dark.len() * 10) / self.dark.len();
        lines + 3 * blocks.count() + 10 * imbalance
    }

    fn line(&self, place: impl Fn(usize) -> (usize, usize)) -> Vec<bool> {
        let modules = (0..self.size).map(place);
        modules.map(|(x, y)| self.is_dark(x, y)).collect()
    }
}

/// Long runs, and what looks like a finder.
fn line_penalty(line: &[bool]) -> usize {
    let runs = line.chunk_by(|one, next| one == next).map(<[bool]>::len);
    let long: usize = runs
        .filter(|length| *length >= 5)
        .map(|length| length - 2)
        .sum();
    let finder = [true, false, true, true, true, false, true];
    let padded: Vec<bool> = [&[false; 4], line, &[false; 4]].concat();
    let like = padded.windows(11).filter(|window| {
        let quiet = |part: &[bool]| part.iter().all(|dark| !dark);
        let (front, back) = (window.split_at(7), window.split_at(4));
        (front.0 == finder && quiet(front.1)) || (quiet(back.0) && back.1 == finder)
    });
    long + 40 * like.count()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shade {
    Dark,
    Light,
}

impl Shade {
    const fn of(dark: bool) -> Self {
        if dark { Self::Dark } else { Self::Light }
    }
}

/// Where the middles of alignment patterns are, in both directions (annex E).
fn alignments(version: usize, size: usize) -> Vec<usize> {
    if version == 1 {
        return Vec::new();
    }
    let count = version / 7 + 2;
    let step = (version * 8 + count * 3 + 5) / (count * 4 - 4) * 2;
    let mut places: Vec<usize> = (0..count - 1)
        .map(|index| size - 7 - index * step)
        .collect();
    places.push(6);
    places.reverse();
    places
}

/// Modules that hold data and error correction.
const fn modules(version: usize) -> usize {
    let all = (16 * version + 128) * version + 64;
    if version < 2 {
        return all;
    }
    let count = version / 7 + 2;
    let all = all - ((25 * count - 10) * count - 55);
    if version < 7 { all } else { all - 36 }
}

fn data_length(version: usize) -> Option<usize> {
    let (correction, blocks) = (CORRECTION.get(version - 1)?, BLOCKS.get(version - 1)?);
    (modules(version) / 8).checked_sub(correction * blocks)
}

const fn count_bits(version: usize) -> usize {
    if version < 10 { 8 } else { 16 }
}

fn fits(version: usize, length: usize) -> bool {
    data_length(version).is_some_and(|room| 4 + count_bits(version) + 8 * length <= 8 * room)
}

/// The bytes behind their mode and count, filled up (§7.4).
fn codewords(version: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let room = data_length(version)?;
    let mut bits: Vec<bool> = Vec::with_capacity(8 * room);
    let mut push = |value: usize, count: usize| {
        bits.extend((0..count).rev().map(|bit| (value >> bit) & 1 == 1));
    };
    push(4, 4);
    push(bytes.len(), count_bits(version));
    for byte in bytes {
        push(usize::from(*byte), 8);
    }
    bits.resize((bits.len() + 4).min(8 * room), false);
    bits.resize(bits.len().next_multiple_of(8), false);
    let mut words: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .fold(0, |word, bit| (word << 1) | u8::from(*bit))
        })
        .collect();
    let filled = words.len();
    words.extend(
        [0xec, 0x11]
            .iter()
            .cycle()
            .take(room.saturating_sub(filled)),
    );
    Some(words)
}

/// Blocks with their error correction, their words in turns (§7.6).
fn interleaved(version: usize, data: &[u8]) -> Option<Vec<u8>> {
    let (correction, count) = (*CORRECTION.get(version - 1)?, *BLOCKS.get(version - 1)?);
    let all = modules(version) / 8;
    let (short, short_count) = (all / count - correction, count - all % count);
    let divisor = divisor(correction);
    let (mut rest, mut blocks) = (data, Vec::new());
    for index in 0..count {
        let (block, after) = rest.split_at_checked(short + usize::from(index >= short_count))?;
        blocks.push((block, remainder(block, &divisor)));
        rest = after;
    }
    let mut words = Vec::with_capacity(all);
    for at in 0..=short {
        words.extend(blocks.iter().filter_map(|(block, _)| block.get(at)));
    }
    for at in 0..correction {
        words.extend(
            blocks
                .iter()
                .filter_map(|(_, correction)| correction.get(at)),
        );
    }
    Some(words)
}

/// The generator of Reed and Solomon of a degree, without its first coefficient.
fn divisor(degree: usize) -> Vec<u8> {
    let mut result = vec![0; degree];
    if let Some(last) = result.last_mut() {
        *last = 1;
    }
    let mut root = 1;
    for _ in 0..degree {
        let next: Vec<u8> = result.iter().skip(1).copied().chain([0]).collect();
        for (coefficient, following) in result.iter_mut().zip(next) {
            *coefficient = product(*coefficient, root) ^ following;
        }
        root = product(root, 2);
    }
    result
}

fn remainder(data: &[u8], divisor: &[u8]) -> Vec<u8> {
    let mut result = std::collections::VecDeque::from(vec![0_u8; divisor.len()]);
    for byte in data {
        let factor = byte ^ result.pop_front().unwrap_or(0);
        result.push_back(0);
        for (word, coefficient) in result.iter_mut().zip(divisor) {
            *word ^= product(*coefficient, factor);
        }
    }
    result.into()
}

/// Multiplication in the field of 256 elements modulo x⁸ + x⁴ + x³ + x² + 1.
fn product(one: u8, other: u8) -> u8 {
    let mut result = 0_u16;
    for bit in (0..8).rev() {
        result = (result << 1) ^ ((result >> 7) * 0x11d);
        result ^= u16::from((other >> bit) & 1) * u16::from(one);
    }
    u8::try_from(result & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests;
