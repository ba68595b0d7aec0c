//! `jwks` and `jwks_url`: where the public keys of somebody else are, in a file or at an address of theirs. One of the two.
//!
//! An address is fetched over `https` by the rules of `[egress]`; addresses with a user name, a password or a fragment are refused.

use super::error::Mistakes;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use url::Url;

/// Where a JWK set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file.
    File(PathBuf),
    /// An address.
    Url(Url),
}

impl KeyPlace {
    /// The same, where files are named from this directory on.
    pub(super) fn beside(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            Self::Url(url) => Self::Url(url),
        }
    }
}

/// The one place that is written.
pub(super) fn one(
    whole: &Range<usize>,
    file: Option<Spanned<PathBuf>>,
    url: Option<Spanned<String>>,
    mistakes: &mut Mistakes<'_>,
) -> Option<KeyPlace> {
    match (file, url) {
        (Some(file), None) => Some(KeyPlace::File(file.into_inner())),
        (None, Some(url)) => address(&url, mistakes).map(KeyPlace::Url),
        (None, None) => {
            mistakes.at(
                whole,
                "its public keys are missing",
                "write `jwks = \"FILE\"` or `jwks_url = \"https://...\"`",
            );
            None
        }
        (Some(_), Some(url)) => {
            mistakes.at(
                &url.span(),
                "`jwks` and `jwks_url`: the keys of one come from one place",
                "leave one of them out",
            );
            None
        }
    }
}

fn address(url: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<Url> {
    let plain = |url: &Url| {
        url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    };
    let parsed = Url::parse(url.get_ref()).ok().filter(plain);
    if parsed.is_none() {
        mistakes.at(
            &url.span(),
            "keys are fetched over https",
            "write `https://HOST/PATH`, without user name and fragment",
        );
    }
    parsed
}
