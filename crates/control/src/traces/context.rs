//! Who belongs to which trace: identifiers, sampling, and `traceparent` on its way in and out (W3C Trace Context §3.2).

use countersign_crypto::random::Random;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Which share of new traces is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRatio {
    /// Of a million traces.
    per_million: u32,
}

impl SampleRatio {
    /// Every trace.
    pub const ALL: Self = Self {
        per_million: 1_000_000,
    };

    /// A share from 0 to 1, to the nearest millionth.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        // A float that was just held to its range has one nearest whole number, which its text says exactly.
        let per_million = format!("{:.0}", share * 1_000_000.0).parse().ok()?;
        Some(Self { per_million })
    }

    fn admits(self, trace: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace;
        let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        random % 1_000_000 < u64::from(self.per_million)
    }
}

/// What is done about a request's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sampled {
    No,
    Yes,
}

/// The span that a trusted caller named as ours's parent.
pub(super) struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: Sampled,
}

impl Parent {
    /// What stands in `traceparent`, if it stands there once and is well formed.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let mut parts = value.to_str().ok()?.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = hex::<1>(version)?;
        // A later version may append fields; version 0 ends here, and 255 is none.
        if version == u8::MAX || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (hex::<16>(trace)?, hex::<8>(span)?, hex::<1>(flags)?);
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let sampled = if flags & 1 == 1 {
            Sampled::Yes
        } else {
            Sampled::No
        };
        Some(Self {
            trace,
            span,
            sampled,
        })
    }
}

/// `N` bytes of lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// A span's place in its trace.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    sampled: Sampled,
}

impl Context {
    pub(super) fn begin(parent: Option<Parent>, sample: SampleRatio, random: &Random) -> Self {
        let span = random.bytes();
        match parent {
            Some(parent) => Self {
                trace: parent.trace,
                span,
                parent: Some(parent.span),
                sampled: parent.sampled,
            },
            None => {
                let trace = random.bytes();
                let sampled = if sample.admits(trace) {
                    Sampled::Yes
                } else {
                    Sampled::No
                };
                Self {
                    trace,
                    span,
                    parent: None,
                    sampled,
                }
            }
        }
    }

    pub(super) const fn sampled(&self) -> bool {
        matches!(self.sampled, Sampled::Yes)
    }

    pub(super) fn onward(&self) -> Onward {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace);
        text.push('-');
        push_hex(&mut text, &self.span);
        text.push_str(match self.sampled {
            Sampled::No => "-00",
            Sampled::Yes => "-01",
        });
        let callers = match self.parent {
            Some(_) => Callers::Kept,
            None => Callers::Removed,
        };
        Onward {
            callers,
            ours: HeaderValue::try_from(text).ok(),
        }
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

/// What an upstream learns of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onward {
    callers: Callers,
    ours: Option<HeaderValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callers {
    Kept,
    Removed,
}

impl Onward {
    /// Nothing.
    #[must_use]
    pub const fn removed() -> Self {
        Self {
            callers: Callers::Removed,
            ours: None,
        }
    }

    /// What the caller says.
    #[must_use]
    pub const fn untouched() -> Self {
        Self {
            callers: Callers::Kept,
            ours: None,
        }
    }

    /// Writes it into the header fields of the request to the upstream.
    pub fn write(self, headers: &mut HeaderMap) {
        if self.callers == Callers::Removed {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
        }
        if let Some(value) = self.ours {
            headers.insert(TRACEPARENT, value);
        }
    }
}
