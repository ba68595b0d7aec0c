//! The binding message of CIBA (Core §7.1): a short text that the person compares on both devices.
//!
//! It comes from the client and is shown beside what this server says, so that whatever could rearrange or hide the text around it is refused, never repaired.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Characters of a message: it has to fit on a small screen.
const CHARACTERS_MAX: usize = 128;

/// A message that can be shown as it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindingMessage(String);

/// It cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 128 characters without control, formatting and direction characters")]
pub struct NotABindingMessage;

impl BindingMessage {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BindingMessage {
    type Err = NotABindingMessage;

    fn from_str(text: &str) -> Result<Self, NotABindingMessage> {
        let length = text.chars().count();
        let shown = !text.trim().is_empty() && !text.chars().any(deceives);
        if shown && length <= CHARACTERS_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotABindingMessage)
        }
    }
}

impl TryFrom<String> for BindingMessage {
    type Error = NotABindingMessage;

    fn try_from(text: String) -> Result<Self, NotABindingMessage> {
        text.parse()
    }
}

impl From<BindingMessage> for String {
    fn from(message: BindingMessage) -> Self {
        message.0
    }
}

impl fmt::Debug for BindingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindingMessage")
    }
}

/// Characters that draw nothing but change how others are drawn: direction, invisible operators, line and paragraph separators, tags.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
