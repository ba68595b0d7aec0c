//! The digits are those of the formatter.

use std::fmt;

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write(f, self.0)
    }
}

#[test]
fn digits_are_those_of_the_formatter() {
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&all[..0], &all[..1], &all[..32], &all[..33], &all] {
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Hex(bytes).to_string(), expected);
    }
}
