//! `t:normalizePath` and `t:normalizePathWin` as ModSecurity has them. Those of `zentinel-modsec` write backslashes for slashes, so that lists of files beside rules never
//! match, and take away `..` at the beginning.

use std::borrow::Cow;
use zentinel_modsec::transformations::Transformation;

/// Without `//`, `/./` and `/x/../`; `..` at the beginning of a relative path stays.
pub(super) struct NormalizePath;

/// The same, with backslashes as slashes.
pub(super) struct NormalizePathWin;

impl Transformation for NormalizePath {
    fn transform<'a>(&self, input: &'a str) -> Cow<'a, str> {
        Cow::Owned(normalized(input))
    }

    fn name(&self) -> &'static str {
        "normalizePath"
    }
}

impl Transformation for NormalizePathWin {
    fn transform<'a>(&self, input: &'a str) -> Cow<'a, str> {
        Cow::Owned(normalized(&input.replace('\\', "/")))
    }

    fn name(&self) -> &'static str {
        "normalizePathWin"
    }
}

fn normalized(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match (segment, kept.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => _ = kept.pop(),
            ("..", _) if absolute => {}
            (segment, _) => kept.push(segment),
        }
    }
    let mut normalized = String::with_capacity(path.len());
    if absolute {
        normalized.push('/');
    }
    normalized.push_str(&kept.join("/"));
    if path.ends_with('/') && !kept.is_empty() {
        normalized.push('/');
    }
    normalized
}
