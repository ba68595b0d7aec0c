//! The part of CBOR (RFC 8949) that CTAP2's canonical form uses: definite lengths, whole numbers, bytes, texts, lists, maps and simple values.
//!
//! Reads in place. What is nested too deep, cut off or of another kind is none.

/// How deep values may lie in each other.
const DEPTH_MAX: u8 = 6;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Int(i64),
    List(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    Simple(u8),
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// The value of a member of a map; none if it is there twice.
    pub(super) fn member(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        let Self::Map(members) = self else {
            return None;
        };
        let mut found = members.iter().filter(|(name, _)| name == key);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    pub(super) const fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Int(_) | Self::List(_) | Self::Map(_) | Self::Simple(_) | Self::Text(_) => None,
        }
    }

    pub(super) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bytes(_) | Self::List(_) | Self::Map(_) | Self::Simple(_) | Self::Text(_) => None,
        }
    }
}

/// The bytes under a text key of the one map that `input` is.
pub(super) fn member_bytes<'a>(input: &'a [u8], name: &str) -> Option<&'a [u8]> {
    match value(input)? {
        (map, []) => map.member(&Value::Text(name))?.as_bytes(),
        (_, _) => None,
    }
}

/// One value and what follows it.
pub(super) fn value(input: &[u8]) -> Option<(Value<'_>, &[u8])> {
    at_depth(input, 0)
}

fn at_depth(input: &[u8], depth: u8) -> Option<(Value<'_>, &[u8])> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (first, rest) = input.split_first()?;
    let (argument, rest) = argument(first & 0x1f, rest)?;
    match first >> 5 {
        0 => Some((Value::Int(i64::try_from(argument).ok()?), rest)),
        1 => {
            let number = i64::try_from(argument).ok()?;
            Some((Value::Int(-1 - number), rest))
        }
        2 => {
            let (bytes, rest) = taken(rest, argument)?;
            Some((Value::Bytes(bytes), rest))
        }
        3 => {
            let (bytes, rest) = taken(rest, argument)?;
            Some((Value::Text(std::str::from_utf8(bytes).ok()?), rest))
        }
        4 => {
            let (mut items, mut rest) = (Vec::new(), rest);
            for _ in 0..argument {
                let (item, after) = at_depth(rest, depth + 1)?;
                items.push(item);
                rest = after;
            }
            Some((Value::List(items), rest))
        }
        5 => {
            let (mut members, mut rest) = (Vec::new(), rest);
            for _ in 0..argument {
                let (name, after) = at_depth(rest, depth + 1)?;
                let (value, after) = at_depth(after, depth + 1)?;
                members.push((name, value));
                rest = after;
            }
            Some((Value::Map(members), rest))
        }
        7 => Some((Value::Simple(u8::try_from(argument).ok()?), rest)),
        _ => None,
    }
}

/// The argument of a head (RFC 8949 §3): in the head itself, or in the one to eight bytes behind it.
fn argument(short: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let length = match short {
        0..=23 => return Some((u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    let number = bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte));
    Some((number, rest))
}

fn taken(input: &[u8], length: u64) -> Option<(&[u8], &[u8])> {
    input.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_what_follows_is_left() {
        for (bytes, expected) in [
            (&[0x01][..], Value::Int(1)),
            (&[0x26], Value::Int(-7)),
            (&[0x39, 0x01, 0x00], Value::Int(-257)),
            (&[0x42, 7, 8], Value::Bytes(&[7, 8])),
            (&[0x63, b'f', b'm', b't'], Value::Text("fmt")),
            (&[0xf5], Value::Simple(21)),
            (
                &[0x82, 1, 2],
                Value::List(vec![Value::Int(1), Value::Int(2)]),
            ),
        ] {
            let more = [bytes, &[0xff]].concat();
            assert_eq!(value(&more), Some((expected, &[0xff][..])));
        }
    }

    #[test]
    fn what_is_cut_off_too_deep_or_indefinite_is_none() {
        let deep = [0x81; 64];
        for bytes in [
            &[][..],
            &[0x42, 7],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x5f, 0x41, 1, 0xff],
            &[0x62, 0xff, 0xff],
            &[0xc1, 0x01],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &deep,
        ] {
            assert_eq!(value(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_none() {
        let twice = [0xa2, 0x61, b'a', 0x41, 1, 0x61, b'a', 0x41, 2];
        assert_eq!(member_bytes(&twice, "a"), None);
        let once = [0xa1, 0x61, b'a', 0x41, 1];
        assert_eq!(member_bytes(&once, "a"), Some(&[1][..]));
        assert_eq!(member_bytes(&[&once[..], &[0]].concat(), "a"), None);
    }
}
