//! The JA4 fingerprint of a TLS client: what its ClientHello says of the software that wrote it.
//!
//! As the text of FoxIO says ("JA4: TLS Client Fingerprinting", licensed BSD 3-Clause): `a_b_c`, where `a` is the transport, the highest version that is offered, whether
//! a server name is there, the numbers of cipher suites and extensions, and the first and last letter of the first ALPN value; `b` is a digest of the sorted
//! cipher suites; `c` is a digest of the sorted extensions (without server name and ALPN) and of the signature algorithms in their order. GREASE (RFC 8701) is
//! left out everywhere. The other fingerprints of that family (JA4+) have another licence and are not here.
//!
//! It tells kinds of software apart, not callers, and whoever takes trouble can send another's. Reading is bounded by [`HELLO_BYTES_MAX`] and takes nothing but what
//! RFC 8446 §4.1.2 allows: what cannot be read has no fingerprint.

use countersign_crypto::digest::sha256;
use std::fmt;

/// Bytes of a ClientHello with its record headers that are looked at.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0x0000;
const SIGNATURE_ALGORITHMS: u16 = 0x000d;
const ALPN: u16 = 0x0010;
const SUPPORTED_VERSIONS: u16 = 0x002b;

/// A fingerprint: 36 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ja4([u8; 36]);

impl Ja4 {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made of ASCII below.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The fingerprint of the ClientHello that `bytes`, the beginning of a TLS connection, hold. Nothing if they hold none, or not all of it.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let message = handshake(bytes)?;
        let hello = Hello::read(&message)?;
        let text = format!(
            "{}_{}_{}",
            hello.summary(),
            hello.ciphers_digest(),
            hello.extensions_digest()
        );
        Some(Self(text.as_bytes().try_into().ok()?))
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of the first handshake message, put together from its records, if it is a ClientHello and all there.
fn handshake(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.get(..bytes.len().min(HELLO_BYTES_MAX))?;
    let mut message = Vec::new();
    loop {
        let (header, behind) = rest.split_at_checked(RECORD_HEADER)?;
        let [kind, major, _, high, low] = *header else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != HANDSHAKE || major != 3 || length == 0 {
            return None;
        }
        let (fragment, behind) = behind.split_at_checked(length)?;
        message.extend_from_slice(fragment);
        rest = behind;
        if let [kind, a, b, c, body @ ..] = message.as_slice() {
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
            if *kind != CLIENT_HELLO || length > HELLO_BYTES_MAX {
                return None;
            }
            if let Some(body) = body.get(..length) {
                return Some(body.to_vec());
            }
        }
    }
}

struct Hello {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    algorithms: Vec<u16>,
    server_name: bool,
    alpn: Option<Vec<u8>>,
}

impl Hello {
    fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader(message);
        let mut hello = Self {
            version: reader.number()?,
            ciphers: Vec::new(),
            extensions: Vec::new(),
            algorithms: Vec::new(),
            server_name: false,
            alpn: None,
        };
        reader.take(32)?;
        reader.short_vector()?;
        hello.ciphers = numbers(reader.vector()?)?;
        reader.short_vector()?;
        if reader.0.is_empty() {
            return Some(hello);
        }
        let mut extensions = Reader(reader.vector()?);
        if !reader.0.is_empty() {
            return None;
        }
        while !extensions.0.is_empty() {
            let (kind, content) = (extensions.number()?, extensions.vector()?);
            if !is_grease(kind) {
                hello.extension(kind, content)?;
            }
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, content: &[u8]) -> Option<()> {
        self.extensions.push(kind);
        let mut content = Reader(content);
        match kind {
            SERVER_NAME => self.server_name = true,
            SIGNATURE_ALGORITHMS => self.algorithms = numbers(content.vector()?)?,
            ALPN => self.alpn = Reader(content.vector()?).short_vector().map(<[u8]>::to_vec),
            SUPPORTED_VERSIONS => {
                let versions = numbers(content.short_vector()?)?;
                if let Some(highest) = versions.into_iter().max() {
                    self.version = highest;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn summary(&self) -> String {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let name = if self.server_name { 'd' } else { 'i' };
        let (ciphers, extensions) = (self.ciphers.len().min(99), self.extensions.len().min(99));
        format!(
            "t{version}{name}{ciphers:02}{extensions:02}{}",
            self.alpn_letters()
        )
    }

    /// The first and last letter of the first ALPN value; of its hexadecimal form where one of them is neither a letter nor a digit.
    fn alpn_letters(&self) -> String {
        let value = self.alpn.as_deref().unwrap_or_default();
        let (Some(first), Some(last)) = (value.first(), value.last()) else {
            return "00".to_owned();
        };
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
            return [char::from(*first), char::from(*last)].iter().collect();
        }
        let first = format!("{first:02x}");
        let last = format!("{last:02x}");
        first.chars().take(1).chain(last.chars().skip(1)).collect()
    }

    fn ciphers_digest(&self) -> String {
        let mut sorted = self.ciphers.clone();
        sorted.sort_unstable();
        digest(&list(&sorted))
    }

    fn extensions_digest(&self) -> String {
        let kept = |kind: &u16| !matches!(*kind, SERVER_NAME | ALPN);
        let mut sorted: Vec<u16> = self.extensions.iter().copied().filter(kept).collect();
        sorted.sort_unstable();
        let mut text = list(&sorted);
        if !self.algorithms.is_empty() {
            text.push('_');
            text.push_str(&list(&self.algorithms));
        }
        digest(&text)
    }
}

/// Whether a value means nothing and is there so that nobody gets used to its absence (RFC 8701 §2).
const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn numbers(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let values = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    rest.is_empty()
        .then(|| values.filter(|value| !is_grease(*value)).collect())
}

fn list(values: &[u16]) -> String {
    let hex: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    hex.join(",")
}

fn digest(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let digest = sha256(text.as_bytes());
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What is left to read. Every length is checked against it.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// With a length of two bytes.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    /// With a length of one byte.
    fn short_vector(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests;
