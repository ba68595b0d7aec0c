//! How a value is written into a file of a given form, so that no value can end the place where it stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Standard base64, padded.
    Base64,
    /// The bytes that are base64 in the vault, such as a key store.
    Base64Decode,
    /// In double quotes, as a shell and the environment files of systemd read it.
    Env,
    /// A JSON value, its quotes included; YAML reads it too.
    Json,
    /// A basic string of TOML, its quotes included; numbers and truth values as they are.
    Toml,
}

impl Filter {
    /// Every filter by its name.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("base64", Self::Base64),
        ("base64_decode", Self::Base64Decode),
        ("env", Self::Env),
        ("json", Self::Json),
        ("toml", Self::Toml),
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, filter)| *filter == self)
            .map_or("", |(name, _)| name)
    }

    /// The value as this filter writes it, if it can.
    pub(super) fn write(self, value: &Value) -> Option<Zeroizing<Vec<u8>>> {
        let written = match (self, value) {
            (Self::Json, value) => serde_json::to_vec(value).ok()?,
            (Self::Base64, value) => STANDARD.encode(&*plain(value)?).into_bytes(),
            (Self::Base64Decode, Value::String(text)) => STANDARD.decode(text).ok()?,
            (Self::Base64Decode, _) => return None,
            (Self::Env, value) => env(&plain(value)?)?.into_bytes(),
            (Self::Toml, Value::String(text)) => toml(text).into_bytes(),
            (Self::Toml, Value::Bool(_) | Value::Number(_)) => plain(value)?.as_bytes().to_vec(),
            (Self::Toml, Value::Array(_) | Value::Null | Value::Object(_)) => return None,
        };
        Some(Zeroizing::new(written))
    }
}

/// A value as it is, if it is one piece of text.
pub(super) fn plain(value: &Value) -> Option<Zeroizing<String>> {
    match value {
        Value::String(text) => Some(Zeroizing::new(text.clone())),
        Value::Bool(truth) => Some(Zeroizing::new(truth.to_string())),
        Value::Number(number) => Some(Zeroizing::new(number.to_string())),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// POSIX shell, "double-quotes": four signs have a meaning. A variable holds no NUL.
fn env(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let mut written = String::with_capacity(text.len() * 2 + 2);
    written.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            written.push('\\');
        }
        written.push(c);
    }
    written.push('"');
    Some(written)
}

/// TOML 1.0, basic strings: every control character is escaped, U+007F too.
fn toml(text: &str) -> String {
    let mut written = String::with_capacity(text.len() * 2 + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            // Writing to a string can't fail.
            c if c.is_control() => _ = write!(written, "\\u{:04X}", u32::from(c)),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}
