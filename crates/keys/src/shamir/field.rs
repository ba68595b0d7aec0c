//! GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 of AES (FIPS 197 §4.2), without tables and without branches.
//!
//! Tables of logarithms are fast and are read at places that depend on the operands, which a neighbour of the processor's cache can see (CVE-2023-25000).
//! Shares are combined once a start; nothing here has to be fast.

/// What x^8 is: x^4 + x^3 + x + 1.
const REDUCTION: u8 = 0x1b;

/// All ones if the lowest bit of `bit` is set, else zero.
const fn mask(bit: u8) -> u8 {
    0_u8.wrapping_sub(bit & 1)
}

/// The product. Takes the same steps for all operands.
pub(super) fn mul(left: u8, right: u8) -> u8 {
    let mut product = 0_u8;
    for bit in (0..8).rev() {
        let doubled = (product << 1) ^ (mask(product >> 7) & REDUCTION);
        product = doubled ^ (mask(right >> bit) & left);
    }
    product
}

/// The multiplicative inverse, `element` to the power of 254; that of zero is zero.
pub(super) fn inverse(element: u8) -> u8 {
    let square = |x| mul(x, x);
    let to_2 = square(element);
    let to_3 = mul(to_2, element);
    let to_12 = square(square(to_3));
    let to_15 = mul(to_12, to_3);
    let to_240 = square(square(square(square(to_15))));
    let to_252 = mul(to_240, to_12);
    mul(to_252, to_2)
}

#[cfg(test)]
mod tests;
