//! The gateway's canonical form of a path: applying it twice changes nothing, and nothing in it climbs.

use crate::Verdict;
use countersign_gateway::canonical::canonical_path;

/// Fragments of paths.
pub(crate) const PATH_WORDS: &[&str] = &[
    "/",
    "//",
    "/../",
    "/./",
    "%2f",
    "%2F",
    "%5c",
    "..;/",
    "%2e%2e",
    "%252e",
    ";a=b",
    "%00",
    "%c0%af",
    "\\",
    "*",
    "%e2%80%ae",
];

pub(crate) fn path(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let canonical = canonical_path(text);
    if let Ok(path) = &canonical {
        assert_eq!(
            canonical_path(path).as_ref(),
            Ok(path),
            "the canonical form is its own canonical form"
        );
        assert!(path.starts_with('/'), "a path begins with a slash");
        assert!(
            path.split('/')
                .all(|segment| segment != ".." && segment != "."),
            "nothing climbs"
        );
    }
    Verdict::of(&canonical)
}
