//! What other identity providers and the browsers that they send back say.

use crate::{Target, Verdict};
use countersign_authn::Form;
use countersign_base::{Bounded, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_federation::browser::{LogoutToken, ReturnPath, TokenSet, logout_token_of};
use countersign_federation::login::{Freshness, browser_tag};
use countersign_federation::{
    AuthorizationResponse, IdToken, LoginPurpose, MailDomain, PendingLogin, ProviderMetadata,
    ProviderRecord, TokenAnswer,
};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "upstream-callback",
        about: "a browser's return from another identity provider",
        run: callback,
        words: RESPONSE_WORDS,
    },
    Target {
        name: "upstream-metadata",
        about: "another identity provider's discovery document",
        run: metadata,
        words: METADATA_WORDS,
    },
    Target {
        name: "upstream-token",
        about: "another identity provider's token answer",
        run: token_answer,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "return-path",
        about: "where a browser wants to go after its sign-in at the gateway",
        run: return_path,
        words: &["/", "//", "\\", "?", "#", "%2F", "https://", "@", "\t"],
    },
    Target {
        name: "session-tokens",
        about: "an issuer's token answer to the gateway, and its logout requests",
        run: session_tokens,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "mail-address",
        about: "an address that somebody typed to sign in",
        run: mail_address,
        words: &["@", ".", "-", "corp.example", "xn--"],
    },
];

/// Fragments of responses.
pub(crate) const RESPONSE_WORDS: &[&str] = &[
    "state=",
    "&code=",
    "&iss=",
    "&error=",
    "&response=",
    "https%3A%2F%2Fcorp.example",
    "%00",
    "&",
];

/// Fragments of discovery documents.
pub(crate) const METADATA_WORDS: &[&str] = &[
    "\"issuer\":",
    "\"authorization_endpoint\":",
    "\"token_endpoint\":",
    "\"jwks_uri\":",
    "\"https://corp.example\"",
    "\"http://corp.example\"",
    "\"javascript:\"",
    "https://u:p@",
    "#",
    "null",
];

fn provider() -> Option<ProviderRecord> {
    Some(ProviderRecord::new(
        Tenant::default_tenant(),
        "corp".parse().ok()?,
        Bounded::parse("Corp").ok()?,
        "https://corp.example".parse().ok()?,
        Bounded::parse("countersign").ok()?,
    ))
}

/// A browser's return: whatever it carries, a code comes out of the right state, browser and issuer alone.
pub(crate) fn callback(input: &[u8]) -> Verdict {
    let (Ok(form), Some(provider)) = (Form::parse(input), provider()) else {
        return Verdict::Refused;
    };
    let Ok(response) = AuthorizationResponse::parse(&form) else {
        return Verdict::Refused;
    };
    let key = MacKey::new(Secret::new([3; 32]));
    let browser = browser_tag(&key, &Secret::new("browser".to_owned()));
    let pending = PendingLogin {
        provider: provider.name.clone(),
        issuer: provider.issuer.clone(),
        browser: browser.clone(),
        purpose: LoginPurpose::SignIn {
            ticket: String::new(),
        },
        freshness: Freshness::Any,
        begun: UnixTime(0),
    };
    let checked = response.check(&pending, &provider, &browser, UnixTime(1));
    if checked.is_ok() {
        assert_eq!(
            form.get("iss"),
            Some(provider.issuer.as_str()),
            "never a code without the issuer's name"
        );
        assert!(form.contains("code") && !form.contains("error"));
    }
    Verdict::of(&checked)
}

/// A discovery document.
pub(crate) fn metadata(input: &[u8]) -> Verdict {
    let Some(provider) = provider() else {
        return Verdict::Refused;
    };
    let parsed = ProviderMetadata::parse(input, &provider.issuer);
    if let Ok(metadata) = &parsed {
        for address in [
            metadata.authorization_endpoint(),
            metadata.token_endpoint(),
            metadata.jwks_uri(),
        ] {
            assert_eq!(address.scheme(), "https", "nothing leaves in clear");
        }
    }
    Verdict::of(&parsed)
}

/// A token answer and the ID token in it.
pub(crate) fn token_answer(input: &[u8]) -> Verdict {
    let (Ok(answer), Some(provider)) = (TokenAnswer::parse(input), provider()) else {
        return Verdict::Refused;
    };
    let _parsed = IdToken::parse(answer.id_token(), &provider);
    Verdict::Accepted
}

/// An address as somebody types it.
pub(crate) fn mail_address(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let domain = MailDomain::of_address(text).ok_or(());
    if let Ok(domain) = &domain {
        assert_eq!(
            MailDomain::of_address(&format!("x@{domain}")).as_ref(),
            Some(domain),
            "a domain has one form"
        );
    }
    Verdict::of(&domain)
}

/// A path to return to: whatever is taken stays at its origin.
pub(crate) fn return_path(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = text.parse::<ReturnPath>();
    if let Ok(path) = &parsed {
        let path = path.as_str();
        assert!(
            path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\t', '\n']),
            "nobody is led elsewhere"
        );
    }
    Verdict::of(&parsed)
}

/// A token answer, or a logout request.
pub(crate) fn session_tokens(input: &[u8]) -> Verdict {
    let Some(provider) = provider() else {
        return Verdict::Refused;
    };
    let said = logout_token_of(input).and_then(|token| LogoutToken::parse(&token, &provider));
    if said.is_some() || TokenSet::parse(input).is_some() {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}
