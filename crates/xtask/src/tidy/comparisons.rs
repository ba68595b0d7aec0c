//! Secrets are compared in constant time or not at all (R30, CA-16, A31).
//!
//! `Secret` and `Tag` have no `==` (compile-fail tests of `base` and `crypto` hold that); what could still be compared is what comes out of them. So a line that
//! exposes a secret, or takes the bytes of a tag, holds no comparison, in production code anywhere. The check is textual and errs towards refusing.

use super::Check;
use crate::tree::{self, SourceFile};
use crate::verb::Problem;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "comparisons",
    findings,
};

/// What lets a secret's value out.
const OUTLETS: &[&str] = &[
    ".expose()",
    ".expose_mut()",
    "tag.as_bytes()",
    "Tag::as_bytes",
];

/// What compares in a time that depends on the values. `..=`, `=>` and lengths are none.
const COMPARISONS: &[&str] = &[
    " == ",
    " != ",
    ".eq(",
    ".ne(",
    ".cmp(",
    ".starts_with(",
    ".ends_with(",
    ".contains(",
];

/// Comparisons of what is no secret, each with the reason.
const ALLOWED: &[(&str, &str)] = &[];

fn findings() -> Result<Vec<String>, Problem> {
    let files = tree::rust_files()?;
    let shipped = files.iter().filter(|file| !file.is_test());
    Ok(shipped.flat_map(of_file).collect())
}

fn of_file(file: &SourceFile) -> Vec<String> {
    if ALLOWED.iter().any(|(path, _)| file.path == *path) {
        return Vec::new();
    }
    file.production_lines()
        .filter(|(_, line)| compares(tree::code_of(line)))
        .map(|(number, _)| {
            format!(
                "{}:{number}: a secret is compared where its value comes out; compare tags with `MacKey::verify`, or hash both first",
                file.path
            )
        })
        .collect()
}

fn compares(code: &str) -> bool {
    code.split("&&")
        .flat_map(|part| part.split("||"))
        .any(|clause| OUTLETS.iter().any(|outlet| compared_in(clause, outlet)))
}

fn compared_in(clause: &str, outlet: &str) -> bool {
    let compared = |side: &str| COMPARISONS.iter().any(|mark| side.contains(mark));
    clause.match_indices(outlet).any(|(at, _)| {
        let (before, rest) = clause.split_at(at);
        let after = rest.strip_prefix(outlet).unwrap_or(rest);
        // Its length is no secret.
        let length = after.starts_with(".len()") || after.starts_with(".is_empty()");
        !length && (compared(before) || compared(after))
    })
}

#[cfg(test)]
mod tests {
    use super::{compares, findings};

    #[test]
    fn ca_16_r30_a31_no_secret_is_compared_where_its_value_comes_out() {
        assert_eq!(findings().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_rule_sees_a_comparison_on_either_side() {
        for code in [
            "if secret.expose() == given {",
            "if given != secret.expose().as_str() {",
            "secret.expose().eq(given)",
            "stored.expose().starts_with(given)",
            "known.iter().any(|tag| tag.as_bytes() == given)",
        ] {
            assert!(compares(code), "{code}");
        }
        for code in [
            "let text = secret.expose().clone();",
            "if secret.expose().len() == 32 {",
            "if given == expected {",
            "mac.verify(&parts, &tag)",
            "match secret.expose().is_empty() {",
            "kek.id() == current.id() && kek.matches(current.expose())",
        ] {
            assert!(!compares(code), "{code}");
        }
    }
}
