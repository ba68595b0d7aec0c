//! The parsing of RFC 8941 §4.2, step by step as it stands there.

use super::{
    BareItem, Dictionary, FIELD_BYTES_MAX, FieldError, INTEGER_MAX, InnerList, Item, List,
    MEMBERS_MAX, Member, PARAMETERS_MAX, Parameters,
};
use countersign_base::is_token_byte;
use countersign_crypto::base64;

/// Bytes of a key.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// Reads an item. Fields that came on several lines are joined with commas first, and then are none.
///
/// # Errors
/// [`FieldError`].
pub fn item(text: &str) -> Result<Item, FieldError> {
    whole(text, |reader| reader.item())
}

/// Reads a list; of a field on several lines, the lines joined with commas.
///
/// # Errors
/// [`FieldError`].
pub fn list(text: &str) -> Result<List, FieldError> {
    whole(text, |reader| {
        let mut members = Vec::new();
        reader.members(|reader| {
            members.push(reader.member()?);
            Ok(members.len())
        })?;
        Ok(List(members))
    })
}

/// Reads a dictionary; of a field on several lines, the lines joined with commas.
///
/// # Errors
/// [`FieldError`].
pub fn dictionary(text: &str) -> Result<Dictionary, FieldError> {
    whole(text, |reader| {
        let mut members: Vec<(String, Member)> = Vec::new();
        reader.members(|reader| {
            let key = reader.key()?;
            if members.iter().any(|(name, _)| *name == key) {
                return Err(FieldError::Duplicate);
            }
            let member = if reader.taken(b'=') {
                reader.member()?
            } else {
                Member::Item(Item {
                    value: BareItem::Boolean(true),
                    parameters: reader.parameters()?,
                })
            };
            members.push((key, member));
            Ok(members.len())
        })?;
        Ok(Dictionary(members))
    })
}

/// Leading and trailing spaces go away, and nothing else may stand behind.
fn whole<T>(
    text: &str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    if text.len() > FIELD_BYTES_MAX {
        return Err(FieldError::TooLong);
    }
    if !text.is_ascii() {
        return Err(FieldError::Syntax);
    }
    let mut reader = Reader {
        rest: text.trim_matches(' '),
    };
    let value = read(&mut reader)?;
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(FieldError::Syntax)
    }
}

/// ASCII that is left to read.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    /// Moves over the byte if it is the next.
    fn taken(&mut self, byte: u8) -> bool {
        match self.rest.split_at_checked(1) {
            Some((next, rest)) if next.as_bytes() == [byte] => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    fn demanded(&mut self, byte: u8) -> Result<(), FieldError> {
        if self.taken(byte) {
            Ok(())
        } else {
            Err(FieldError::Syntax)
        }
    }

    /// The bytes up to the first that does not fit.
    fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let end = self
            .rest
            .bytes()
            .position(|byte| !fits(byte))
            .unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        run
    }

    fn optional_white_space(&mut self) {
        let _white = self.run(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn spaces(&mut self) -> &'a str {
        self.run(|byte| byte == b' ')
    }

    /// The members of a list or a dictionary: `read` reads one and says how many there are by now (§4.2.1, §4.2.2).
    fn members(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<usize, FieldError>,
    ) -> Result<(), FieldError> {
        while !self.rest.is_empty() {
            if read(self)? > MEMBERS_MAX {
                return Err(FieldError::TooLong);
            }
            self.optional_white_space();
            if self.rest.is_empty() {
                return Ok(());
            }
            self.demanded(b',')?;
            self.optional_white_space();
            if self.rest.is_empty() {
                return Err(FieldError::Syntax);
            }
        }
        Ok(())
    }

    /// An item or an inner list (§4.2.1.1).
    fn member(&mut self) -> Result<Member, FieldError> {
        if self.peek() == Some(b'(') {
            self.inner_list().map(Member::InnerList)
        } else {
            self.item().map(Member::Item)
        }
    }

    fn inner_list(&mut self) -> Result<InnerList, FieldError> {
        self.demanded(b'(')?;
        let mut items = Vec::new();
        loop {
            let space = self.spaces();
            if self.taken(b')') {
                return Ok(InnerList {
                    items,
                    parameters: self.parameters()?,
                });
            }
            if space.is_empty() && !items.is_empty() {
                return Err(FieldError::Syntax);
            }
            items.push(self.item()?);
            if items.len() > MEMBERS_MAX {
                return Err(FieldError::TooLong);
            }
        }
    }

    fn item(&mut self) -> Result<Item, FieldError> {
        Ok(Item {
            value: self.bare_item()?,
            parameters: self.parameters()?,
        })
    }

    fn parameters(&mut self) -> Result<Parameters, FieldError> {
        let mut parameters: Vec<(String, BareItem)> = Vec::new();
        while self.taken(b';') {
            let _space = self.spaces();
            let key = self.key()?;
            if parameters.iter().any(|(name, _)| *name == key) {
                return Err(FieldError::Duplicate);
            }
            let value = if self.taken(b'=') {
                self.bare_item()?
            } else {
                BareItem::Boolean(true)
            };
            parameters.push((key, value));
            if parameters.len() > PARAMETERS_MAX {
                return Err(FieldError::TooLong);
            }
        }
        Ok(Parameters(parameters))
    }

    fn key(&mut self) -> Result<String, FieldError> {
        let begins = self
            .peek()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*');
        if !begins {
            return Err(FieldError::Syntax);
        }
        let key = self.run(is_key_byte);
        if key.len() > KEY_BYTES_MAX {
            return Err(FieldError::TooLong);
        }
        Ok(key.to_owned())
    }

    fn bare_item(&mut self) -> Result<BareItem, FieldError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.string(),
            Some(b'*' | b'A'..=b'Z' | b'a'..=b'z') => {
                Ok(BareItem::Token(self.run(is_own_token_byte).to_owned()))
            }
            Some(b':') => self.byte_sequence(),
            Some(b'?') => self.boolean(),
            Some(_) | None => Err(FieldError::Syntax),
        }
    }

    /// §4.2.4: up to 15 digits, or up to 12 and up to 3 behind a point.
    fn number(&mut self) -> Result<BareItem, FieldError> {
        let negative = self.taken(b'-');
        let whole = self.run(|byte| byte.is_ascii_digit());
        if whole.is_empty() {
            return Err(FieldError::Syntax);
        }
        let signed = |size: i64| if negative { -size } else { size };
        if !self.taken(b'.') {
            let size: i64 = whole.parse().map_err(|_| FieldError::Syntax)?;
            return if whole.len() <= 15 && size <= INTEGER_MAX {
                Ok(BareItem::Integer(signed(size)))
            } else {
                Err(FieldError::Syntax)
            };
        }
        let fraction = self.run(|byte| byte.is_ascii_digit());
        if whole.len() > 12 || !(1..=3).contains(&fraction.len()) {
            return Err(FieldError::Syntax);
        }
        let thousandths: i64 = format!("{whole}{fraction:0<3}")
            .parse()
            .map_err(|_| FieldError::Syntax)?;
        Ok(BareItem::Decimal(signed(thousandths)))
    }

    fn string(&mut self) -> Result<BareItem, FieldError> {
        self.demanded(b'"')?;
        let mut text = String::new();
        loop {
            text.push_str(
                self.run(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'),
            );
            if self.taken(b'"') {
                return Ok(BareItem::String(text));
            }
            self.demanded(b'\\')?;
            match self.peek() {
                Some(escaped @ (b'"' | b'\\')) => {
                    self.demanded(escaped)?;
                    text.push(char::from(escaped));
                }
                Some(_) | None => return Err(FieldError::Syntax),
            }
        }
    }

    fn byte_sequence(&mut self) -> Result<BareItem, FieldError> {
        self.demanded(b':')?;
        let encoded = self.run(|byte| byte != b':');
        self.demanded(b':')?;
        base64::decode(encoded)
            .map(BareItem::ByteSequence)
            .map_err(|_| FieldError::Syntax)
    }

    fn boolean(&mut self) -> Result<BareItem, FieldError> {
        self.demanded(b'?')?;
        if self.taken(b'1') {
            Ok(BareItem::Boolean(true))
        } else {
            self.demanded(b'0')?;
            Ok(BareItem::Boolean(false))
        }
    }
}

pub(super) const fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')
}

/// `tchar` of RFC 9110, and colon and slash.
const fn is_own_token_byte(byte: u8) -> bool {
    is_token_byte(byte) || matches!(byte, b':' | b'/')
}
