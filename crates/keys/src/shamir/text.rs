//! A share as text: lower-case hexadecimal and base64 (RFC 4648 §8, §4), written and read in constant time.
//!
//! The usual decoders look each character up in a table, and a share's characters are secret. Here each is compared with the ranges of the alphabet by
//! arithmetic; only whether the whole text was one is branched on.

use super::SHARE_BYTES;
use countersign_base::Secret;
use zeroize::Zeroize as _;

/// Characters of a share in hexadecimal.
pub(super) const HEX_BYTES: usize = 2 * SHARE_BYTES;
/// Characters of a share in base64: 33 bytes are eleven groups, so there is no padding.
pub(super) const BASE64_BYTES: usize = SHARE_BYTES / 3 * 4;

/// The ranges of an alphabet: first character, last character, value of the first.
type Range = (u8, u8, u8);

const HEX: [Range; 3] = [(b'0', b'9', 0), (b'a', b'f', 10), (b'A', b'F', 10)];
const BASE64: [Range; 5] = [
    (b'A', b'Z', 0),
    (b'a', b'z', 26),
    (b'0', b'9', 52),
    (b'+', b'+', 62),
    (b'/', b'/', 63),
];

/// All ones if `low <= value <= high`, else zero.
fn within(value: u8, low: u8, high: u8) -> u16 {
    let (value, low, high) = (u16::from(value), u16::from(low), u16::from(high));
    // A difference below zero borrows from the upper byte.
    let outside = (value.wrapping_sub(low) | high.wrapping_sub(value)) >> 8 & 1;
    outside.wrapping_sub(1)
}

/// The value of a character, and all ones if it is in the alphabet.
fn value_of(character: u8, alphabet: &[Range]) -> (u8, u16) {
    alphabet
        .iter()
        .fold((0, 0), |(value, known), (low, high, first)| {
            let hit = within(character, *low, *high);
            let [_, mask] = hit.to_be_bytes();
            let here = character.wrapping_sub(*low).wrapping_add(*first);
            (value | (here & mask), known | hit)
        })
}

/// The character of a value.
fn character_of(value: u8, alphabet: &[Range]) -> u8 {
    alphabet.iter().fold(0, |character, (low, high, first)| {
        let last = first.wrapping_add(high.wrapping_sub(*low));
        let [_, mask] = within(value, *first, last).to_be_bytes();
        character | (value.wrapping_sub(*first).wrapping_add(*low) & mask)
    })
}

pub(super) fn to_hex(bytes: &Secret<[u8; SHARE_BYTES]>) -> Secret<String> {
    let [digits, lower, _] = HEX;
    let mut text = String::with_capacity(HEX_BYTES);
    for byte in bytes.expose() {
        text.push(char::from(character_of(byte >> 4, &[digits, lower])));
        text.push(char::from(character_of(byte & 15, &[digits, lower])));
    }
    Secret::new(text)
}

pub(super) fn to_base64(bytes: &Secret<[u8; SHARE_BYTES]>) -> Secret<String> {
    let mut text = String::with_capacity(BASE64_BYTES);
    for group in bytes.expose().chunks_exact(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for shift in [18, 12, 6, 0] {
            let [.., low] = (bits >> shift & 63).to_be_bytes();
            text.push(char::from(character_of(low, &BASE64)));
        }
    }
    Secret::new(text)
}

pub(super) fn from_hex(text: &[u8]) -> Option<Secret<[u8; SHARE_BYTES]>> {
    decode(text, &HEX, 2, 4, 1)
}

pub(super) fn from_base64(text: &[u8]) -> Option<Secret<[u8; SHARE_BYTES]>> {
    decode(text, &BASE64, 4, 6, 3)
}

/// Reads groups of `characters`, each of `bits`, that make `bytes` bytes.
fn decode(
    text: &[u8],
    alphabet: &[Range],
    characters: usize,
    bits: u32,
    bytes: usize,
) -> Option<Secret<[u8; SHARE_BYTES]>> {
    let (mut decoded, mut all_known) = ([0_u8; SHARE_BYTES], u16::MAX);
    for (to, group) in decoded.chunks_mut(bytes).zip(text.chunks(characters)) {
        let mut gathered = 0_u32;
        for character in group {
            let (value, known) = value_of(*character, alphabet);
            gathered = gathered << bits | u32::from(value);
            all_known &= known;
        }
        let gathered = gathered.to_be_bytes();
        for (to, from) in to.iter_mut().rev().zip(gathered.iter().rev()) {
            *to = *from;
        }
    }
    let secret = Secret::new(decoded);
    decoded.zeroize();
    (all_known == u16::MAX).then_some(secret)
}

#[cfg(test)]
mod tests;
