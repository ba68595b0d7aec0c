//! Where a frame of a WebSocket ends (RFC 6455 §5.2): a close of ours may stand between two frames and nowhere else.
//!
//! Nothing is judged here, and nothing is held: a stream that is no WebSocket has ends of frames somewhere too, and nobody is hurt by a close in the midst of it.

/// Reads heads of frames as bytes pass by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frames {
    part: Part,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Between two frames.
    #[default]
    Between,
    /// The second byte comes.
    Length,
    /// So many bytes of the length come, of which is known so much; then four of the mask, if there is one.
    LongLength { left: u8, length: u64, mask: u64 },
    /// So many bytes of mask and payload come.
    Payload(u64),
}

impl Frames {
    /// These bytes went by.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            (self.part, bytes) = match self.part {
                Part::Between => (Part::Length, rest),
                Part::Length => (Part::after_length(*first), rest),
                Part::LongLength { left, length, mask } => {
                    let length = (length << 8) | u64::from(*first);
                    let part = match left.checked_sub(1) {
                        Some(left @ 1..) => Part::LongLength { left, length, mask },
                        Some(0) | None => Part::payload(length.saturating_add(mask)),
                    };
                    (part, rest)
                }
                Part::Payload(left) => {
                    let here =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let passed = u64::try_from(here).unwrap_or(u64::MAX);
                    let rest = bytes.get(here..).unwrap_or_default();
                    (Part::payload(left.saturating_sub(passed)), rest)
                }
            };
        }
    }

    /// Whether the last frame is whole.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.part == Part::Between
    }
}

impl Part {
    fn after_length(byte: u8) -> Self {
        let mask = if byte & 0x80 == 0 { 0 } else { 4 };
        match byte & 0x7f {
            126 => Self::LongLength {
                left: 2,
                length: 0,
                mask,
            },
            127 => Self::LongLength {
                left: 8,
                length: 0,
                mask,
            },
            length => Self::payload(u64::from(length) + mask),
        }
    }

    const fn payload(left: u64) -> Self {
        if left == 0 {
            Self::Between
        } else {
            Self::Payload(left)
        }
    }
}

/// The whole frame that closes a connection with `code`. A client's is masked (§5.3): with zeros, because what it says is no secret and nobody chose it.
#[must_use]
pub fn close(code: u16, sender: Sender) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    match sender {
        Sender::Client => vec![0x88, 0x82, 0, 0, 0, 0, high, low],
        Sender::Server => vec![0x88, 0x02, high, low],
    }
}

/// As whom a frame is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Towards the upstream.
    Client,
    /// Towards the caller.
    Server,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([1, 2, 3, 4]);
        }
        bytes.resize(bytes.len() + length, b'x');
        bytes
    }

    proptest! {
        #[test]
        fn a_frame_ends_where_its_head_says(
            frames in proptest::collection::vec((0_usize..70_000, any::<bool>()), 1..5),
            piece in 1_usize..5_000,
        ) {
            let mut stream = Vec::new();
            let mut ends = Vec::new();
            for (length, masked) in frames {
                stream.extend(frame(length, masked));
                ends.push(stream.len());
            }
            let (mut reader, mut at) = (Frames::default(), 0);
            for bytes in stream.chunks(piece) {
                reader.read(bytes);
                at += bytes.len();
                prop_assert_eq!(reader.is_between(), ends.contains(&at));
            }
        }
    }

    #[test]
    fn every_length_ends_and_none_overflows() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            for masked in [false, true] {
                let mut reader = Frames::default();
                for byte in frame(length, masked) {
                    reader.read(&[byte]);
                }
                assert!(reader.is_between(), "{length}");
            }
        }
        let mut reader = Frames::default();
        reader.read(&[
            0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ]);
        assert!(!reader.is_between());
        for sender in [Sender::Client, Sender::Server] {
            let mut reader = Frames::default();
            reader.read(&close(1008, sender));
            assert!(reader.is_between());
        }
    }
}
