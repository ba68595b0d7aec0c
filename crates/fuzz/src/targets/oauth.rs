//! Values of the authorization server's requests.

use crate::Verdict;
use countersign_base::Secret;
use countersign_crypto::mac::MacKey;
use countersign_oauth::RefreshHandle;
use countersign_oauth::par::request_handle;
use countersign_oauth::pkce::{CodeChallenge, CodeVerifier};
use countersign_oauth::redirect::RedirectUri;

/// Fragments of addresses.
pub(crate) const URI_WORDS: &[&str] = &[
    "https://",
    "http://127.0.0.1",
    "http://[::1]",
    ":8080",
    "@evil.example",
    "#",
    "?",
    "..;/",
    "%252f",
    "\\",
    "\t",
    "javascript:",
    "data:",
    "urn:ietf:params:oauth:request_uri:",
];

pub(crate) fn redirect_uri(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = text.parse::<RedirectUri>();
    if let Ok(uri) = &parsed {
        assert_eq!(uri.as_str(), text, "a redirect URI is never rewritten");
    }
    Verdict::of(&parsed)
}

pub(crate) fn pkce(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let (verifier, challenge) = (text.parse::<CodeVerifier>(), text.parse::<CodeChallenge>());
    if let (Ok(verifier), Ok(challenge)) = (&verifier, &challenge) {
        assert!(
            challenge.verify(verifier).is_err(),
            "a text is not its own digest"
        );
    }
    Verdict::of(&verifier).or(Verdict::of(&challenge))
}

/// What the authorization server's tags of refresh tokens are about.
pub(crate) const REFRESH_DOMAIN: &str = "countersign refresh token v1";

/// The key of the seeds. It guards nothing.
pub(crate) fn refresh_key() -> MacKey {
    MacKey::new(Secret::new([9; 32]))
}

pub(crate) fn refresh_token(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    Verdict::of(&RefreshHandle::parse(text, &refresh_key()))
}

pub(crate) fn request_uri(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    Verdict::of(&request_handle(text))
}
