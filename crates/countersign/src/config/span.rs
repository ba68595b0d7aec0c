//! Scalars that configuration writes in its own way: spans of time, with the bounds of each, and references to secrets.

use super::error::Mistakes;
use countersign_base::{Duration, Secret};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A span of time as a person writes it: `30s`, `5m`, `12h`, `90d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).ok_or_else(|| {
            de::Error::custom("expected a span of time such as `30s`, `5m`, `12h` or `90d`")
        })
    }
}

pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number
        .checked_mul(seconds)
        .filter(|total| (1..=315_360_000).contains(total))
        .map(Duration::from_secs)
}

/// The span that is written, which has to be in `range`; `said` says so of one that is not. Without one, or with a wrong one, `otherwise`.
pub(super) fn within(
    written: Option<Spanned<Span>>,
    range: RangeInclusive<Duration>,
    otherwise: Duration,
    said: &str,
    mistakes: &mut Mistakes<'_>,
) -> Duration {
    let Some(written) = written else {
        return otherwise;
    };
    let span = written.get_ref().0;
    if !range.contains(&span) {
        mistakes.at(
            &written.span(),
            said,
            "write it within that, or leave it out",
        );
        return otherwise;
    }
    span
}

/// Where a secret is to be read from. The secret itself never stands in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// An environment variable.
    Env(String),
    /// A file; relative paths start at the configuration directory. One trailing line break is not part of the secret.
    File(PathBuf),
}

impl SecretReference {
    /// Reads the secret.
    ///
    /// # Errors
    /// When the file or variable is not there, is not UTF-8, or is empty. The message names the place, never the content.
    pub fn read(&self, dir: &Path) -> Result<Secret<String>, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable `{name}` is not set"))?,
            Self::File(path) => {
                let path = dir.join(path);
                std::fs::read_to_string(&path).map_err(|error| {
                    format!("`{}` cannot be read: {}", path.display(), error.kind())
                })?
            }
        };
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            return Err(format!("{self} holds nothing"));
        }
        Ok(Secret::new(secret.to_owned()))
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = SecretReference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{ file = \"...\" }` or `{ env = \"...\" }`: a secret never stands in the configuration itself")
    }

    /// Somebody wrote the secret itself: it is refused without being repeated.
    fn visit_str<E: de::Error>(self, _secret: &str) -> Result<SecretReference, E> {
        Err(E::custom(
            "a secret never stands in the configuration itself: write `{ file = \"...\" }` or `{ env = \"...\" }`",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretReference, A::Error> {
        let reference = match map.next_entry::<String, String>()? {
            Some((key, value)) if key == "file" => SecretReference::File(PathBuf::from(value)),
            Some((key, value)) if key == "env" => SecretReference::Env(value),
            Some((key, _)) => return Err(de::Error::unknown_field(&key, &["env", "file"])),
            None => return Err(de::Error::invalid_length(0, &self)),
        };
        match map.next_entry::<String, String>()? {
            None => Ok(reference),
            Some(_) => Err(de::Error::custom(
                "expected one of `file` and `env`, not both",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2h", Some(7_200)),
            ("1d", Some(86_400)),
        ] {
            assert_eq!(parse_span(text), seconds.map(Duration::from_secs), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "0s",
            "5 m",
            "5min",
            "99999999999999999999d",
        ] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_in_the_configuration_is_refused() {
        #[derive(Deserialize)]
        struct Holder {
            #[expect(dead_code, reason = "only whether it parses matters")]
            secret: SecretReference,
        }
        assert!(toml::from_str::<Holder>("secret = \"hunter2\"").is_err());
        assert!(toml::from_str::<Holder>("secret = { file = \"a\", env = \"B\" }").is_err());
        assert!(toml::from_str::<Holder>("secret = { file = \"a\" }").is_ok());
    }
}
