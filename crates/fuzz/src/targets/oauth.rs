//! Values of the authorization server's requests.

use crate::{Target, Verdict};
use countersign_authn::Form;
use countersign_authn::access_token::{AuthorizationDetails, DETAILS_BYTES_MAX};
use countersign_base::{Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_oauth::authorize::{Parameters, ReturnAddress, Via};
use countersign_oauth::claims_request::ClaimsRequest;
use countersign_oauth::par::request_handle;
use countersign_oauth::pkce::{CodeChallenge, CodeVerifier};
use countersign_oauth::redirect::RedirectUri;
use countersign_oauth::{
    AuthorizationRequest, ClientAuthentication, ClientRecord, GrantType, RefreshHandle,
    TenantRecord, TokenRequest,
};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "redirect-uri",
        about: "a redirect URI",
        run: redirect_uri,
        words: URI_WORDS,
    },
    Target {
        name: "pkce",
        about: "a code challenge and a verifier",
        run: pkce,
        words: &[],
    },
    Target {
        name: "refresh-token",
        about: "a refresh token",
        run: refresh_token,
        words: &[],
    },
    Target {
        name: "request-uri",
        about: "a request URI of a pushed request",
        run: request_uri,
        words: URI_WORDS,
    },
    Target {
        name: "token-request",
        about: "a token request",
        run: token_request,
        words: super::authn::FORM_WORDS,
    },
    Target {
        name: "authorization-request",
        about: "an authorization request",
        run: authorization_request,
        words: super::authn::FORM_WORDS,
    },
    Target {
        name: "authorization-details",
        about: "authorization details (RFC 9396)",
        run: authorization_details,
        words: PARTICULAR_WORDS,
    },
    Target {
        name: "claims-parameter",
        about: "the claims parameter (OpenID Connect Core §5.5)",
        run: claims_parameter,
        words: PARTICULAR_WORDS,
    },
];

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

/// A token request's form, after it was read as a form.
pub(crate) fn token_request(input: &[u8]) -> Verdict {
    let Ok(form) = Form::parse(input) else {
        return Verdict::Refused;
    };
    let parsed = TokenRequest::parse(&form);
    if let Ok(request) = &parsed {
        assert_eq!(
            form.get("grant_type"),
            Some(request.grant_type().as_str()),
            "never another grant than the one named"
        );
    }
    Verdict::of(&parsed)
}

/// An authorization request of a registered client.
pub(crate) fn authorization_request(input: &[u8]) -> Verdict {
    let Ok(form) = Form::parse(input) else {
        return Verdict::Refused;
    };
    let Some((client, tenant)) = registration() else {
        return Verdict::Refused;
    };
    let Ok(address) = ReturnAddress::find(&form, &client, &tenant) else {
        return Verdict::Refused;
    };
    let parsed = AuthorizationRequest::parse(
        &Parameters::Plain(&form),
        &client,
        &address,
        &tenant,
        Via::Browser,
    );
    if let Err(error) = &parsed {
        // Whatever is wrong goes back to a registered address.
        let _code = error.to_string();
    }
    Verdict::of(&parsed)
}

fn registration() -> Option<(ClientRecord, TenantRecord)> {
    let tenant = TenantRecord::new(
        Tenant::default_tenant(),
        "https://localhost:8443".parse().ok()?,
    );
    let mut client = ClientRecord::new(
        "portal".parse().ok()?,
        Tenant::default_tenant(),
        ClientAuthentication::Public,
        UnixTime(0),
    );
    client.grants.insert(GrantType::AuthorizationCode);
    client
        .redirect_uris
        .insert("https://portal.example/callback".parse().ok()?);
    client.scopes = "openid orders:read".parse().ok()?;
    client
        .audiences
        .insert("https://orders.example".parse().ok()?);
    Some((client, tenant))
}

/// Words of JSON parameters.
pub(crate) const PARTICULAR_WORDS: &[&str] = &[
    "[{",
    "}]",
    "\"type\":\"account\"",
    "\"actions\":[\"read\"]",
    "\"locations\":[",
    "\"id_token\":{",
    "\"userinfo\":{",
    "\"essential\":true",
    "\"value\":",
    "\"values\":[",
    "\"sub\"",
    "\"email\"",
    "null",
    "[[[[",
];

/// What was read is written and read again as the same, lies within itself, and is within its limits.
pub(crate) fn authorization_details(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = AuthorizationDetails::parse(text);
    if let Ok(details) = &parsed {
        let written = serde_json::to_string(details).unwrap_or_default();
        assert!(written.len() <= DETAILS_BYTES_MAX);
        assert_eq!(AuthorizationDetails::parse(&written).as_ref(), Ok(details));
        assert!(details.iter().all(|detail| {
            // An empty list of actions allows nothing, and is no narrowing of itself either.
            let empty = ["actions", "datatypes", "locations", "privileges"]
                .iter()
                .any(|name| {
                    detail
                        .members()
                        .get(*name)
                        .and_then(|value| value.as_array())
                        .is_some_and(Vec::is_empty)
                });
            empty || detail.is_within(detail)
        }));
    }
    Verdict::of(&parsed)
}

/// A client gets no claim of a scope that it is not registered for.
pub(crate) fn claims_parameter(input: &[u8]) -> Verdict {
    let (Ok(text), Some((mut client, _))) = (std::str::from_utf8(input), registration()) else {
        return Verdict::Refused;
    };
    client.scopes = "openid email".parse().unwrap_or_default();
    let parsed = ClaimsRequest::parse(text, &client);
    if let Ok(request) = &parsed {
        assert!(
            request
                .of_the_person()
                .iter()
                .all(|claim| claim.scope() == "email")
        );
    }
    Verdict::of(&parsed)
}
