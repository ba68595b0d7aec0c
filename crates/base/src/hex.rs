//! Bytes as lower-case hexadecimal digits (RFC 4648 §8, but lower case).

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Bytes that are written at a time.
const CHUNK: usize = 32;

/// Writes two digits a byte. Identifiers and digests stand in every record, so this goes around the formatter's padding.
///
/// # Errors
/// When the formatter fails.
pub fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    for chunk in bytes.chunks(CHUNK) {
        let mut digits = [0_u8; 2 * CHUNK];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(chunk) {
            if let [high, low] = pair {
                *high = digit(byte >> 4);
                *low = digit(byte & 15);
            }
        }
        let written = digits.get(..2 * chunk.len()).unwrap_or_default();
        f.write_str(std::str::from_utf8(written).unwrap_or_default())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
