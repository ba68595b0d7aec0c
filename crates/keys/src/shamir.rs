//! Shamir's secret sharing of 32 bytes over GF(2^8) (A. Shamir, "How to share a secret", CACM 22(11), 1979).
//! docs/formats/shares.md describes it byte for byte; tests/vectors/shares.json holds vectors of another implementation.
//!
//! A share is 33 bytes: the values of 32 polynomials at one point, then the point, which is Vault's form. The arithmetic and the text forms are constant-time:
//! no branch and no index depends on a share (CVE-2023-25000).
//!
//! Not here: whether a set of shares is the right one. Any set gives 32 bytes; what they open tells ([`crate::seal`]).

mod field;
mod text;

use countersign_base::{ParseError, Secret};
use countersign_crypto::random::Random;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize as _;

/// Bytes of what is shared.
pub const SECRET_BYTES: usize = 32;
/// Bytes of a share: a value for each byte of the secret, and the point.
pub const SHARE_BYTES: usize = SECRET_BYTES + 1;

/// How many shares there are and how many of them are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawShareRule", into = "RawShareRule")]
pub struct ShareRule {
    shares: u8,
    threshold: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShareRule {
    shares: u8,
    threshold: u8,
}

impl ShareRule {
    /// Checks the numbers as Vault does: one share has the threshold one; more have one of at least two, and at most their number.
    ///
    /// # Errors
    /// When they are others.
    pub const fn new(shares: u8, threshold: u8) -> Result<Self, ShareRuleError> {
        match (shares, threshold) {
            (0, _) => Err(ShareRuleError::None),
            (_, 0) => Err(ShareRuleError::ThresholdZero),
            (shares, threshold) if threshold > shares => Err(ShareRuleError::ThresholdAboveShares),
            (shares, 1) if shares > 1 => Err(ShareRuleError::ThresholdOne),
            (shares, threshold) => Ok(Self { shares, threshold }),
        }
    }

    /// How many shares are made.
    #[must_use]
    pub const fn shares(self) -> u8 {
        self.shares
    }

    /// How many of them give the secret.
    #[must_use]
    pub const fn threshold(self) -> u8 {
        self.threshold
    }
}

impl TryFrom<RawShareRule> for ShareRule {
    type Error = ShareRuleError;

    fn try_from(raw: RawShareRule) -> Result<Self, Self::Error> {
        Self::new(raw.shares, raw.threshold)
    }
}

impl From<ShareRule> for RawShareRule {
    fn from(rule: ShareRule) -> Self {
        Self {
            shares: rule.shares,
            threshold: rule.threshold,
        }
    }
}

/// Why numbers of shares are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareRuleError {
    /// No share at all.
    #[error("there must be at least one share")]
    None,
    /// More shares would be needed than there are.
    #[error("the threshold is above the number of shares")]
    ThresholdAboveShares,
    /// Each of several shares would be the whole secret.
    #[error("the threshold of more than one share must be at least two")]
    ThresholdOne,
    /// Nothing would be needed.
    #[error("the threshold must be at least one")]
    ThresholdZero,
}

/// One share. It is as secret as what was shared, so it has no `Debug` that shows it, no `Clone` and no `PartialEq`.
pub struct Share(Secret<[u8; SHARE_BYTES]>);

impl Share {
    /// Takes the 33 bytes of a share.
    ///
    /// # Errors
    /// When the last byte, the point, is zero: there the polynomials have the secret itself.
    pub fn from_bytes(bytes: Secret<[u8; SHARE_BYTES]>) -> Result<Self, ParseError> {
        let share = Self(bytes);
        if share.point() == 0 {
            Err(ParseError::expected("a share, whose last byte is not zero"))
        } else {
            Ok(share)
        }
    }

    /// Reads a share as an operator gives it: 66 hexadecimal digits of either case, or 44 characters of base64 (RFC 4648 §4).
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(given: &Secret<String>) -> Result<Self, ParseError> {
        let given = given.expose().as_bytes();
        let bytes = match given.len() {
            text::HEX_BYTES => text::from_hex(given),
            text::BASE64_BYTES => text::from_base64(given),
            _ => None,
        };
        bytes
            .ok_or(ParseError::expected(
                "a share: 66 hexadecimal digits or 44 characters of base64",
            ))
            .and_then(Self::from_bytes)
    }

    /// 66 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Secret<String> {
        text::to_hex(&self.0)
    }

    /// 44 characters of base64, without padding because 33 bytes need none.
    #[must_use]
    pub fn to_base64(&self) -> Secret<String> {
        text::to_base64(&self.0)
    }

    /// Where the polynomials were evaluated: the number of the share, from 1. It is no secret.
    #[must_use]
    pub fn point(&self) -> u8 {
        let [.., point] = self.0.expose();
        *point
    }

    /// Whether both are the same share, in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let given = other.0.expose().as_slice();
        self.0.matches(given)
    }

    fn values(&self) -> impl Iterator<Item = &u8> {
        self.0.expose().iter().take(SECRET_BYTES)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

/// The shares of `secret`, at the points 1 to the number of shares. Fewer than the threshold say nothing about it, whatever is computed.
#[must_use]
pub fn split(secret: &Secret<[u8; SECRET_BYTES]>, rule: ShareRule, random: &Random) -> Vec<Share> {
    // One coefficient is a row of 32 bytes, one for each byte of the secret; a leading one of zero is as good as any other, for whoever excludes it gives
    // away that it is not there.
    let coefficients: Vec<Secret<[u8; SECRET_BYTES]>> = (1..rule.threshold)
        .map(|_| random.secret::<SECRET_BYTES>())
        .collect();
    (1..=rule.shares)
        .map(|point| evaluate(secret, &coefficients, point))
        .collect()
}

fn evaluate(
    secret: &Secret<[u8; SECRET_BYTES]>,
    coefficients: &[Secret<[u8; SECRET_BYTES]>],
    point: u8,
) -> Share {
    let mut values = [0_u8; SHARE_BYTES];
    // Horner's rule, from the highest coefficient to the secret itself.
    for row in coefficients.iter().rev().chain([secret]) {
        for (value, coefficient) in values.iter_mut().zip(row.expose()) {
            *value = field::mul(*value, point) ^ coefficient;
        }
    }
    let [.., last] = &mut values;
    *last = point;
    let share = Share(Secret::new(values));
    values.zeroize();
    share
}

/// What the polynomials have at zero: the secret, when these are enough shares of one splitting, and 32 other bytes when not.
///
/// # Errors
/// When there is no share, or two of one point.
pub fn combine(shares: &[Share]) -> Result<Secret<[u8; SECRET_BYTES]>, CombineError> {
    if shares.is_empty() {
        return Err(CombineError::Empty);
    }
    let points: Vec<u8> = shares.iter().map(Share::point).collect();
    let mut sorted = points.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != points.len() {
        return Err(CombineError::PointTwice);
    }
    let mut secret = [0_u8; SECRET_BYTES];
    for share in shares {
        let weight = weight_at_zero(share.point(), &points);
        for (byte, value) in secret.iter_mut().zip(share.values()) {
            *byte ^= field::mul(*value, weight);
        }
    }
    let combined = Secret::new(secret);
    secret.zeroize();
    Ok(combined)
}

/// Lagrange's basis polynomial of `point` at zero: the product of `other / (other - point)`; subtraction is exclusive or.
fn weight_at_zero(point: u8, points: &[u8]) -> u8 {
    points
        .iter()
        .filter(|other| **other != point)
        .fold(1, |product, other| {
            field::mul(product, field::mul(*other, field::inverse(other ^ point)))
        })
}

/// Why shares do not make a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// There is none.
    #[error("there is no share")]
    Empty,
    /// Two shares are of one point.
    #[error("two shares have the same number")]
    PointTwice,
}

#[cfg(test)]
mod tests;
