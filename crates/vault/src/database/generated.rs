//! User names and passwords that are made here. Neither can hold a quote, a backslash or a space, so that statements that write the quotes themselves hold them.

use super::password::Password;
use countersign_base::UnixTime;
use countersign_crypto::Random;

/// Bytes of a name in PostgreSQL (`NAMEDATALEN` without its end).
pub(super) const NAME_BYTES_MAX: usize = 63;
/// Letters of a password: 190 bits.
const PASSWORD_LETTERS: usize = 32;
/// Letters of a user name that are drawn.
const NAME_LETTERS: usize = 20;
/// Letters of the caller's and the role's name in a user name.
const SHOWN_LETTERS: usize = 8;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `v-<display8>-<role8>-<20 random>-<unix>`, cut to 63 bytes.
pub(super) fn username(display: &str, role: &str, random: &Random, now: UnixTime) -> String {
    let name = format!(
        "v-{}-{}-{}-{now}",
        shown(display),
        shown(role),
        letters(NAME_LETTERS, random)
    );
    name.chars().take(NAME_BYTES_MAX).collect()
}

/// A password of letters and digits, with at least one capital, one small letter and one digit.
pub(super) fn password(random: &Random) -> Password {
    loop {
        let text = letters(PASSWORD_LETTERS, random);
        let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
        if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) {
            return Password::new(text);
        }
    }
}

/// The first characters of a name that others chose, in those that need no quoting.
fn shown(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            c
        } else {
            '-'
        }
    };
    name.chars().take(SHOWN_LETTERS).map(plain).collect()
}

/// Letters and digits, each as likely as the next: bytes past the last multiple of 62 are drawn again.
fn letters(count: usize, random: &Random) -> String {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let drawn = random.secret::<32>();
        let fair = drawn.expose().iter().filter(|byte| **byte < 248);
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 62)).copied();
        let wanted = count - text.len();
        text.extend(fair.filter_map(letter).map(char::from).take(wanted));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_and_what_and_hold_nothing_that_needs_quoting() {
        let random = Random::system();
        let now = UnixTime(1_800_000_000);
        let name = username("token", "app", &random, now);
        assert!(name.starts_with("v-token-app-") && name.ends_with("-1800000000"));
        assert_eq!(name.len(), "v-token-app-".len() + 20 + 11);
        let odd = username("al\"ice; DROP", "r'\u{f6}\\le$role", &random, now);
        assert!(odd.starts_with("v-al-ice---r---le-r-"), "{odd}");
        assert!(odd.len() <= 63);
        assert_ne!(name, username("token", "app", &random, now));
    }

    #[test]
    fn passwords_are_long_letters_and_digits() {
        let random = Random::system();
        for _ in 0..200 {
            let password = password(&random);
            let text = password.secret().expose();
            assert_eq!(text.len(), 32);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(text.bytes().any(|byte| byte.is_ascii_digit()));
        }
    }
}
