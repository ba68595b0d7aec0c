//! Durations as the Vault API writes them: integer seconds, or texts such as `90`, `15m`, `1h30m`, `2d`.

use countersign_base::Duration;
use serde_json::Value as Json;

/// The longest that is taken: a hundred years.
const SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// A duration from a JSON value.
#[must_use]
pub fn of_json(value: &Json) -> Option<Duration> {
    match value {
        Json::Number(number) => seconds(number.as_u64()?),
        Json::String(text) => of_text(text),
        _ => None,
    }
}

/// A duration from a text.
#[must_use]
pub fn of_text(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return seconds(text.parse().ok()?);
    }
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(letters)?;
        let each = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(each)?)?;
        rest = next;
    }
    seconds(total)
}

fn seconds(number: u64) -> Option<Duration> {
    (number <= SECONDS_MAX).then(|| Duration::from_secs(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_vault_writes_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("90", Some(90)),
            ("15m", Some(900)),
            ("1h30m", Some(5_400)),
            ("2d", Some(172_800)),
            ("", None),
            ("-1", None),
            ("1.5h", None),
            ("h", None),
            ("1x", None),
            ("5m3", None),
            ("99999999999999999999", None),
            ("9999999999999999999h", None),
        ] {
            assert_eq!(of_text(text), expected.map(Duration::from_secs), "{text}");
        }
    }
}
