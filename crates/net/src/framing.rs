//! The wire of an HTTP/1.1 connection, read once more before the HTTP layer reads it: a message that two readers could frame differently
//! never gets that far (FRM-1 to FRM-9).
//!
//! The HTTP layer is lenient where RFC 9112 lets it be: it prefers one of two lengths, drops a repeated one, ends a line at a bare line feed.
//! Whoever stands behind it cannot see any of that afterwards. So the bytes are looked at on their way in: heads line by line, bodies by the
//! length or the chunks that the head announced. At the first byte that is wrong the connection has said its last word: a head becomes one
//! that the HTTP layer answers with 400, a body becomes an error, and nothing behind it is read.
//!
//! Not here: what the fields mean, whether the target is canonical, HTTP/2 (which has one framing only). RFC 9112 §2.2, §3, §5, §6 and §7.1.

mod framed;

use crate::serve::{Hold, Task};
use countersign_base::is_token_byte;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

pub(crate) use framed::Framed;

/// Hexadecimal digits of a chunk's size: as many as fit 60 bits.
const CHUNK_SIZE_DIGITS_MAX: u32 = 15;
/// Bytes of one chunk's extensions, which nobody reads.
const CHUNK_EXTENSION_BYTES_MAX: usize = 256;
/// Decimal digits of a length: as many as fit 59 bits.
const LENGTH_DIGITS_MAX: usize = 18;

/// Why a message cannot be framed, or could be framed in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// A carriage return without a line feed.
    #[error("framing_bare_cr")]
    BareCarriageReturn,
    /// A line feed without a carriage return.
    #[error("framing_bare_lf")]
    BareLineFeed,
    /// A chunk's size, its extensions or its end.
    #[error("framing_chunk")]
    Chunk,
    /// A control character, NUL among them, in a head.
    #[error("framing_control")]
    Control,
    /// More than one empty line before a request.
    #[error("framing_empty_line")]
    EmptyLine,
    /// A line of a head that is not `name: value`; a space before the colon is such a case.
    #[error("framing_field")]
    Field,
    /// A length that is not one plain number, or stands there twice.
    #[error("framing_length")]
    Length,
    /// A length and a transfer coding together.
    #[error("framing_length_and_coding")]
    LengthAndCoding,
    /// A field that goes on in the next line.
    #[error("framing_obs_fold")]
    ObsFold,
    /// A request line that is not method, target and version with one space between them, or whose target has a fragment.
    #[error("framing_request_line")]
    RequestLine,
    /// A transfer coding other than `chunked`, twice, or in HTTP/1.0.
    #[error("framing_transfer_coding")]
    TransferCoding,
}

impl FramingFault {
    /// As records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BareCarriageReturn => "framing_bare_cr",
            Self::BareLineFeed => "framing_bare_lf",
            Self::Chunk => "framing_chunk",
            Self::Control => "framing_control",
            Self::EmptyLine => "framing_empty_line",
            Self::Field => "framing_field",
            Self::Length => "framing_length",
            Self::LengthAndCoding => "framing_length_and_coding",
            Self::ObsFold => "framing_obs_fold",
            Self::RequestLine => "framing_request_line",
            Self::TransferCoding => "framing_transfer_coding",
        }
    }
}

type Hook = Box<dyn Fn(FramingFault) + Send + Sync>;

/// Who is told of a fault on a connection, before its peer is; and where the framing of HTTP ends, when another protocol takes the connection over.
#[derive(Default)]
pub struct FramingWatch {
    hook: OnceLock<Hook>,
    task: Weak<Task>,
    fault: OnceLock<FramingFault>,
    handed_over: AtomicBool,
}

impl FramingWatch {
    pub(crate) fn of(task: &Arc<Task>) -> Self {
        Self {
            task: Arc::downgrade(task),
            ..Self::default()
        }
    }

    /// Another protocol takes the connection over: what comes from now on is not framed as HTTP. To be called before the answer that says so goes out: a peer may not
    /// send anything of the other protocol before it has read that.
    ///
    /// Absent if the connection has ended, is none of a listener's, or has brought what cannot be framed: that is nothing to pass on.
    #[must_use]
    pub fn hand_over(&self) -> Option<Hold> {
        if self.fault.get().is_some() {
            return None;
        }
        let task = self.task.upgrade()?;
        self.handed_over.store(true, Ordering::Release);
        Some(Hold::new(task))
    }

    /// Lets `tell` know of the fault. The first one to ask is told, nobody else.
    pub fn tell(&self, tell: impl Fn(FramingFault) + Send + Sync + 'static) {
        // A second hook is a mistake of ours that costs a record, never a verdict.
        let _ = self.hook.set(Box::new(tell));
    }

    fn told(&self, fault: FramingFault) {
        // The first one counts; nothing is read after it.
        let _ = self.fault.set(fault);
        if let Some(hook) = self.hook.get() {
            hook(fault);
        }
    }
}

/// What comes next on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A request line, or one empty line before it.
    Request(Blank),
    Field,
    Trailer,
    Sized(u64),
    ChunkSize {
        size: u64,
        digits: u32,
    },
    ChunkExtension {
        size: u64,
        length: usize,
    },
    ChunkSizeEnd {
        size: u64,
    },
    ChunkData(u64),
    ChunkEnd,
    ChunkEndFeed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    Allowed,
    Seen,
}

/// What the fields read so far say of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    Length(u64),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpVersion {
    Http10,
    Http11,
}

/// Whether the wrong byte stands in a head or in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Head,
}

/// A wrong byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wrong {
    /// How many bytes before it are good.
    at: usize,
    fault: FramingFault,
    place: Place,
}

/// The reader of one connection's requests.
#[derive(Debug)]
struct Framing {
    part: Part,
    /// The line that has begun, as far as it came in earlier reads.
    line: Vec<u8>,
    last: u8,
    announced: Announced,
    version: HttpVersion,
}

impl Framing {
    const fn new() -> Self {
        Self {
            part: Part::Request(Blank::Allowed),
            line: Vec::new(),
            last: 0,
            announced: Announced::Nothing,
            version: HttpVersion::Http11,
        }
    }

    /// Reads on. `Err` says how many of `bytes` were good.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let good = bytes.len() - rest.len();
            let taken = match self.part {
                Part::Request(_) | Part::Field | Part::Trailer => self.read_line(rest),
                Part::Sized(left) => Ok(self.skip(rest, left, Part::Sized)),
                Part::ChunkData(left) => Ok(self.skip(rest, left, Part::ChunkData)),
                Part::ChunkSize { .. }
                | Part::ChunkExtension { .. }
                | Part::ChunkSizeEnd { .. }
                | Part::ChunkEnd
                | Part::ChunkEndFeed => self.read_chunk_byte(rest),
            };
            let taken = taken.map_err(|wrong| Wrong {
                at: good + wrong.at,
                ..wrong
            })?;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Passes over data that nobody interprets here.
    fn skip(&mut self, rest: &[u8], left: u64, part: fn(u64) -> Part) -> usize {
        let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(left);
        let left = left - here;
        self.part = match (left, part(0)) {
            (0, Part::ChunkData(_)) => Part::ChunkEnd,
            (0, _) => Part::Request(Blank::Allowed),
            (left, _) => part(left),
        };
        usize::try_from(here).unwrap_or(rest.len())
    }

    fn read_line(&mut self, rest: &[u8]) -> Result<usize, Wrong> {
        let place = if self.part == Part::Trailer {
            Place::Body
        } else {
            Place::Head
        };
        let wrong = |at, fault| Wrong { at, fault, place };
        for (at, byte) in rest.iter().copied().enumerate() {
            let last = std::mem::replace(&mut self.last, byte);
            match byte {
                b'\n' if last == b'\r' => {
                    self.line
                        .extend_from_slice(rest.get(..at).unwrap_or_default());
                    self.last = 0;
                    // Without its carriage return.
                    self.line.pop();
                    let line = std::mem::take(&mut self.line);
                    let read = self.end_line(&line);
                    self.line = line;
                    self.line.clear();
                    return read.map(|()| at + 1).map_err(|fault| wrong(at, fault));
                }
                b'\n' => return Err(wrong(at, FramingFault::BareLineFeed)),
                _ if last == b'\r' => return Err(wrong(at, FramingFault::BareCarriageReturn)),
                b'\r' | b'\t' => {}
                0..=0x1f | 0x7f => return Err(wrong(at, FramingFault::Control)),
                0x20..=0x7e | 0x80..=0xff => {}
            }
        }
        self.line.extend_from_slice(rest);
        Ok(rest.len())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), FramingFault> {
        match self.part {
            Part::Request(Blank::Allowed) if line.is_empty() => {
                self.part = Part::Request(Blank::Seen);
            }
            Part::Request(Blank::Seen) if line.is_empty() => return Err(FramingFault::EmptyLine),
            Part::Request(_) => {
                self.version = request_line(line)?;
                self.announced = Announced::Nothing;
                self.part = Part::Field;
            }
            Part::Trailer if line.is_empty() => self.part = Part::Request(Blank::Allowed),
            Part::Trailer => _ = field(line)?,
            Part::Field if line.is_empty() => self.part = self.body(),
            Part::Field => self.end_field(line)?,
            // Read byte by byte or passed over, never as lines.
            Part::Sized(_)
            | Part::ChunkData(_)
            | Part::ChunkSize { .. }
            | Part::ChunkExtension { .. }
            | Part::ChunkSizeEnd { .. }
            | Part::ChunkEnd
            | Part::ChunkEndFeed => {}
        }
        Ok(())
    }

    const fn body(&self) -> Part {
        match self.announced {
            Announced::Nothing | Announced::Length(0) => Part::Request(Blank::Allowed),
            Announced::Length(length) => Part::Sized(length),
            Announced::Chunked => Part::ChunkSize { size: 0, digits: 0 },
        }
    }

    fn end_field(&mut self, line: &[u8]) -> Result<(), FramingFault> {
        let (name, value) = field(line)?;
        self.announced = if name.eq_ignore_ascii_case(b"content-length") {
            let length = length(value).ok_or(FramingFault::Length)?;
            match self.announced {
                Announced::Nothing => Announced::Length(length),
                Announced::Length(_) => return Err(FramingFault::Length),
                Announced::Chunked => return Err(FramingFault::LengthAndCoding),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            match (self.announced, self.version) {
                (Announced::Length(_), _) => return Err(FramingFault::LengthAndCoding),
                (Announced::Nothing, HttpVersion::Http11)
                    if value.eq_ignore_ascii_case(b"chunked") =>
                {
                    Announced::Chunked
                }
                (Announced::Nothing | Announced::Chunked, _) => {
                    return Err(FramingFault::TransferCoding);
                }
            }
        } else {
            self.announced
        };
        Ok(())
    }

    fn read_chunk_byte(&mut self, rest: &[u8]) -> Result<usize, Wrong> {
        let byte = rest.first().copied().unwrap_or(0);
        let next = match (self.part, byte) {
            (Part::ChunkSize { size, digits }, _) if hex(byte).is_some() => {
                let digit = hex(byte).unwrap_or(0);
                (digits < CHUNK_SIZE_DIGITS_MAX).then(|| Part::ChunkSize {
                    size: size * 16 + digit,
                    digits: digits + 1,
                })
            }
            (Part::ChunkSize { size, digits }, b';') if digits > 0 => {
                Some(Part::ChunkExtension { size, length: 0 })
            }
            (Part::ChunkSize { size, digits }, b'\r') if digits > 0 => {
                Some(Part::ChunkSizeEnd { size })
            }
            (Part::ChunkExtension { size, .. }, b'\r') => Some(Part::ChunkSizeEnd { size }),
            (Part::ChunkExtension { size, length }, b'\t' | b' '..=b'~') => {
                (length < CHUNK_EXTENSION_BYTES_MAX).then(|| Part::ChunkExtension {
                    size,
                    length: length + 1,
                })
            }
            (Part::ChunkSizeEnd { size: 0 }, b'\n') => Some(Part::Trailer),
            (Part::ChunkSizeEnd { size }, b'\n') => Some(Part::ChunkData(size)),
            (Part::ChunkEnd, b'\r') => Some(Part::ChunkEndFeed),
            (Part::ChunkEndFeed, b'\n') => Some(Part::ChunkSize { size: 0, digits: 0 }),
            _ => None,
        };
        match next {
            Some(part) => {
                self.part = part;
                Ok(1)
            }
            None => Err(Wrong {
                at: 0,
                fault: FramingFault::Chunk,
                place: Place::Body,
            }),
        }
    }
}

/// Method, target and version (RFC 9112 §3).
fn request_line(line: &[u8]) -> Result<HttpVersion, FramingFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(FramingFault::RequestLine);
    };
    // A fragment never belongs to a request (RFC 9112 §3.2); the HTTP layer would drop it without a word.
    let whole = !method.is_empty()
        && method.iter().all(|byte| is_token_byte(*byte))
        && !target.is_empty()
        && !target.iter().any(|byte| matches!(byte, b'#' | b'\t'));
    match version {
        b"HTTP/1.1" if whole => Ok(HttpVersion::Http11),
        b"HTTP/1.0" if whole => Ok(HttpVersion::Http10),
        _ => Err(FramingFault::RequestLine),
    }
}

/// Name and value of a field, the value without the space around it (RFC 9112 §5).
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), FramingFault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(FramingFault::ObsFold);
    }
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(FramingFault::Field)?;
    let (name, value) = line.split_at(colon);
    if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
        return Err(FramingFault::Field);
    }
    let value = value.get(1..).unwrap_or_default();
    Ok((name, value.trim_ascii()))
}

/// One decimal number without sign, leading zero or list.
fn length(value: &[u8]) -> Option<u64> {
    let plain = (1..=LENGTH_DIGITS_MAX).contains(&value.len())
        && value.iter().all(u8::is_ascii_digit)
        && (value == b"0" || value.first() != Some(&b'0'));
    if !plain {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// What is wrong with the requests of a connection whose bytes came in pieces of one size. How they are cut makes no difference.
#[must_use]
pub fn fault_of(bytes: &[u8], piece: NonZeroUsize) -> Option<FramingFault> {
    let mut framing = Framing::new();
    bytes
        .chunks(piece.get())
        .find_map(|piece| framing.read(piece).err())
        .map(|wrong| wrong.fault)
}

#[cfg(test)]
mod tests;
