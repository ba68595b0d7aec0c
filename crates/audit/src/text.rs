//! The field types of events. Each has a largest encoded size, so that a record's size is bounded by its type.
//!
//! Not here: text without a bound. What is longer than its field allows is replaced by its digest and its length, never cut.

use countersign_crypto::digest::sha256;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The largest integer that every JSON reader holds exactly (RFC 8785 §3.2.2.3, I-JSON): 2^53 - 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A number of things, bytes or microseconds; saturates at 2^53 - 1, the largest that canonical JSON holds exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Count(u64);

impl Count {
    /// `number`, or the largest count if it is larger.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        if number > INTEGER_MAX {
            Self(INTEGER_MAX)
        } else {
            Self(number)
        }
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self::of(number)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number > INTEGER_MAX {
            return Err(D::Error::custom("expected an integer up to 2^53 - 1"));
        }
        Ok(Self(number))
    }
}

/// A SHA-256 digest or commitment, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest that the caller computed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(Self(bytes))
    }
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        countersign_base::hex::write(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |nibble: u8| {
            if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' + nibble - 10
            }
        };
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        serializer.serialize_str(str::from_utf8(&digits).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("expected 64 lower-case hexadecimal digits"))
    }
}

/// Text that this program does not choose itself: kept up to `N` bytes without control characters, otherwise its digest and length.
///
/// Never personal data: people appear in records by [`countersign_base::UserId`] alone, and what they sent is committed to, not quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<const N: usize>(Shortened);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Shortened {
    Kept(String),
    Digested(DigestAndLength),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestAndLength {
    length: Count,
    sha256: Digest,
}

impl<const N: usize> Text<N> {
    /// Keeps `text` if it fits and holds no control character, otherwise its digest and its length in bytes.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.len() <= N && !text.chars().any(char::is_control) {
            return Self(Shortened::Kept(text.to_owned()));
        }
        Self(Shortened::Digested(DigestAndLength {
            length: Count::of(text.len() as u64),
            sha256: Digest::of(text.as_bytes()),
        }))
    }

    /// The text, if it was short enough to be kept.
    #[must_use]
    pub fn kept(&self) -> Option<&str> {
        match &self.0 {
            Shortened::Kept(text) => Some(text),
            Shortened::Digested(_) => None,
        }
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

/// A short list of names (policy ids): kept up to 16 names and 512 bytes, otherwise their number and the digest of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(NameList);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum NameList {
    Kept(Vec<String>),
    Digested(DigestAndCount),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestAndCount {
    count: Count,
    sha256: Digest,
}

impl Names {
    const NAMES_MAX: usize = 16;
    const BYTES_MAX: usize = 512;

    /// No name.
    #[must_use]
    pub const fn none() -> Self {
        Self(NameList::Kept(Vec::new()))
    }

    /// Keeps the names if they are few and short, otherwise their number and the digest of the names joined by line feeds.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let bytes: usize = names.iter().map(|name| name.len()).sum();
        let plain = !names.iter().any(|name| name.chars().any(char::is_control));
        if names.len() <= Self::NAMES_MAX && bytes <= Self::BYTES_MAX && plain {
            return Self(NameList::Kept(
                names.into_iter().map(str::to_owned).collect(),
            ));
        }
        let digest = Digest::of(names.join("\n").as_bytes());
        Self(NameList::Digested(DigestAndCount {
            count: Count::of(names.len() as u64),
            sha256: digest,
        }))
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::none()
    }
}

/// A word of this program's own vocabulary: a reason, a method, an error code. At most 64 bytes, printable ASCII without quotes and backslash.
///
/// Made of literals only, so that nothing a caller sent can become one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(Cow<'static, str>);

impl Code {
    const BYTES_MAX: usize = 64;

    /// The literal; a literal outside the grammar becomes `unnamed`, and a test of whoever wrote it should fail.
    #[must_use]
    pub const fn of(literal: &'static str) -> Self {
        if is_code(literal.as_bytes()) {
            Self(Cow::Borrowed(literal))
        } else {
            Self(Cow::Borrowed("unnamed"))
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_code(mut bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.len() > Code::BYTES_MAX {
        return false;
    }
    while let [byte, rest @ ..] = bytes {
        if !matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~') {
            return false;
        }
        bytes = rest;
    }
    true
}

impl From<&'static str> for Code {
    fn from(literal: &'static str) -> Self {
        Self::of(literal)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !is_code(text.as_bytes()) {
            return Err(D::Error::custom(
                "expected a code of 1 to 64 printable characters",
            ));
        }
        Ok(Self(Cow::Owned(text)))
    }
}
