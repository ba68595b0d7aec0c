//! Distinguished names (X.501) and their text form (RFC 4514), for comparing a certificate's subject with a registered one (RFC 8705 §2.1.2).
//!
//! Two names are the same if they have the same attributes with the same values, byte for byte, in the same order: stricter than the matching rules of
//! directories, so that no folding of case or white space ever makes one client another. Not here: values as hexadecimal BER (`#0403...`) and the older
//! text forms with quotes or semicolons; they are refused.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use x509_parser::x509::X509Name;

/// Bytes of a name's text form, as it is given and as we write it.
const TEXT_BYTES_MAX: usize = 1024;
/// Relative names in one name.
const PARTS_MAX: usize = 32;

/// The attribute types that have a short name, with their object identifiers (RFC 4514 §3, and two that certificates often hold).
const SHORT_NAMES: [(&str, &str); 11] = [
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

/// A text that is no distinguished name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a distinguished name as in RFC 4514, such as `CN=billing,O=Example,C=DE`")]
pub struct NotADistinguishedName;

type Attribute = (Box<str>, Box<str>);

/// A distinguished name with at least one attribute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DistinguishedName(Vec<BTreeSet<Attribute>>);

impl DistinguishedName {
    /// The name in a certificate. `None` if it is empty or holds a value that is no text.
    pub(super) fn of(name: &X509Name<'_>) -> Option<Self> {
        let mut parts = Vec::new();
        for part in name.iter_rdn() {
            let attributes = part.iter().map(|attribute| {
                let value = attribute.as_str().ok()?;
                Some((
                    attribute.attr_type().to_id_string().into_boxed_str(),
                    value.into(),
                ))
            });
            parts.push(attributes.collect::<Option<BTreeSet<Attribute>>>()?);
        }
        (!parts.is_empty() && parts.len() <= PARTS_MAX).then_some(Self(parts))
    }
}

impl DistinguishedName {
    /// The values of an attribute by its short name (`CN`, `OU`), in the order of the name.
    pub fn values<'a>(&'a self, short: &str) -> impl Iterator<Item = &'a str> {
        let id = SHORT_NAMES.iter().find(|(name, _)| *name == short);
        let id = id.map(|(_, id)| *id);
        let attributes = self.0.iter().flatten();
        attributes
            .filter(move |(kind, _)| id == Some(&**kind))
            .map(|(_, value)| &**value)
    }
}

impl FromStr for DistinguishedName {
    type Err = NotADistinguishedName;

    fn from_str(text: &str) -> Result<Self, NotADistinguishedName> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NotADistinguishedName);
        }
        let mut reader = Reader {
            rest: text.as_bytes(),
        };
        let mut parts = vec![BTreeSet::new()];
        loop {
            let attribute = reader.attribute()?;
            let part = parts.last_mut().ok_or(NotADistinguishedName)?;
            if !part.insert(attribute) {
                return Err(NotADistinguishedName);
            }
            match reader.next() {
                None => break,
                Some(b'+') => {}
                Some(b',') if parts.len() < PARTS_MAX => parts.push(BTreeSet::new()),
                Some(_) => return Err(NotADistinguishedName),
            }
        }
        // The text form begins with the end of the name (RFC 4514 §2.1).
        parts.reverse();
        let name = Self(parts);
        // Written with every escape it can be longer than it was given, and what is stored must be read again.
        if name.to_string().len() > TEXT_BYTES_MAX {
            return Err(NotADistinguishedName);
        }
        Ok(name)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn attribute(&mut self) -> Result<Attribute, NotADistinguishedName> {
        // Spaces before a type have no meaning: `CN=a, O=b` is how people write it.
        while let Some((b' ', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
        let kind = self.kind()?;
        Ok((kind, self.value()?))
    }

    fn kind(&mut self) -> Result<Box<str>, NotADistinguishedName> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some(b'=') => break,
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'.' => {
                    name.push(char::from(byte));
                }
                Some(_) | None => return Err(NotADistinguishedName),
            }
        }
        let upper = name.to_ascii_uppercase();
        if let Some((_, id)) = SHORT_NAMES.iter().find(|(short, _)| *short == upper) {
            return Ok((*id).into());
        }
        let numbers = name.split('.').collect::<Vec<_>>();
        let canonical = |number: &&str| {
            !number.is_empty()
                && number.len() <= 20
                && number.bytes().all(|digit| digit.is_ascii_digit())
                && (*number == "0" || !number.starts_with('0'))
        };
        if numbers.len() >= 3 && numbers.iter().all(canonical) {
            Ok(name.into_boxed_str())
        } else {
            Err(NotADistinguishedName)
        }
    }

    fn value(&mut self) -> Result<Box<str>, NotADistinguishedName> {
        let mut bytes = Vec::new();
        // Whether the last byte was written as it is: a space at the end is only meant if it is escaped.
        let mut plain_end = None;
        while let Some((first, rest)) = self.rest.split_first() {
            let written = match first {
                b',' | b'+' => break,
                b'\\' => {
                    self.rest = rest;
                    bytes.push(self.escaped()?);
                    plain_end = None;
                    continue;
                }
                b'"' | b';' | b'<' | b'>' | 0 => return Err(NotADistinguishedName),
                b'#' | b' ' if bytes.is_empty() => return Err(NotADistinguishedName),
                byte => *byte,
            };
            self.rest = rest;
            bytes.push(written);
            plain_end = Some(written);
        }
        if bytes.is_empty() || plain_end == Some(b' ') {
            return Err(NotADistinguishedName);
        }
        let text = String::from_utf8(bytes).map_err(|_| NotADistinguishedName)?;
        if text.contains('\0') {
            return Err(NotADistinguishedName);
        }
        Ok(text.into_boxed_str())
    }

    /// RFC 4514 §3: `\` before a special character, or before two hexadecimal digits of a byte of UTF-8.
    fn escaped(&mut self) -> Result<u8, NotADistinguishedName> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        match self.next().ok_or(NotADistinguishedName)? {
            byte if b" \"#+,;<=>\\".contains(&byte) => Ok(byte),
            high => {
                let low = self.next().and_then(digit);
                match (digit(high), low) {
                    (Some(high), Some(low)) => Ok(high << 4 | low),
                    (_, _) => Err(NotADistinguishedName),
                }
            }
        }
    }
}

/// The text form with every value escaped where RFC 4514 §2.4 wants it.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().rev().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            for (place, (kind, value)) in part.iter().enumerate() {
                if place > 0 {
                    f.write_str("+")?;
                }
                let short = SHORT_NAMES.iter().find(|(_, id)| *id == &**kind);
                write!(f, "{}=", short.map_or(&**kind, |(short, _)| short))?;
                write_value(f, value)?;
            }
        }
        Ok(())
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\' => write!(f, "\\{character}")?,
            '#' if place == 0 => f.write_str("\\#")?,
            ' ' if place == 0 || place == last => f.write_str("\\ ")?,
            character if character.is_ascii_control() => {
                write!(f, "\\{:02x}", u32::from(character))?;
            }
            character => write!(f, "{character}")?,
        }
    }
    Ok(())
}

/// A name can be a person's, so only its length is shown.
impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({})", self.0.len())
    }
}

impl TryFrom<String> for DistinguishedName {
    type Error = NotADistinguishedName;

    fn try_from(text: String) -> Result<Self, NotADistinguishedName> {
        text.parse()
    }
}

impl From<DistinguishedName> for String {
    fn from(name: DistinguishedName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests;
