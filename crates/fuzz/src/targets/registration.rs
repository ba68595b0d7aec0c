//! What clients say of themselves, and what they ask for when somebody leaves.

use crate::{Target, Verdict};
use countersign_authn::Form;
use countersign_base::{ClientId, Duration, Tenant, UnixTime};
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_oauth::logout::LogoutRequest;
use countersign_oauth::registration::metadata::{MethodDefault, object};
use countersign_oauth::registration::{
    ClientInformation, ClientMetadata, Credential, Operation, Proposal, document_client, sector,
};
use countersign_oauth::{ClientAuthentication, ClientRecord, TenantRecord};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "registration-request",
        about: "what a client says of itself (RFC 7591)",
        run: request,
        words: METADATA_WORDS,
    },
    Target {
        name: "client-metadata-document",
        about: "a document at a client's own address",
        run: document,
        words: METADATA_WORDS,
    },
    Target {
        name: "sector-document",
        about: "the document of a sector_identifier_uri",
        run: sector_document,
        words: &["[\"", "\",\"", "\"]", "https://app.example/cb"],
    },
    Target {
        name: "logout-request",
        about: "a logout request of a client",
        run: logout,
        words: LOGOUT_WORDS,
    },
];

/// Members of client metadata, with values that are and are not theirs.
pub(crate) const METADATA_WORDS: &[&str] = &[
    "{\"",
    "\":\"",
    "\",\"",
    "[\"",
    "\"]",
    "}",
    "null",
    "\"redirect_uris\":[\"https://app.example/cb\"]",
    "\"redirect_uris\":[\"http://127.0.0.1/cb\"]",
    "\"redirect_uris\":[\"javascript:alert(1)\"]",
    "\"application_type\":\"native\"",
    "\"grant_types\":[\"refresh_token\"]",
    "\"token_endpoint_auth_method\":\"none\"",
    "\"subject_type\":\"pairwise\"",
    "\"sector_identifier_uri\":\"https://[::1]/\"",
    "\"jwks_uri\":\"https://app.example\\u002ejwks\"",
    "\"jwks\":{\"keys\":[]}",
    "\"scope\":\"openid\"",
    "\"backchannel_logout_session_required\":true",
];

/// Parameters of a logout request.
pub(crate) const LOGOUT_WORDS: &[&str] = &[
    "id_token_hint=",
    "&post_logout_redirect_uri=",
    "https%3A%2F%2Fapp.example%2Fbye",
    "&client_id=app",
    "&state=",
    "eyJhbGciOiJub25lIn0",
    ".",
    "%2e%2e",
];

fn tenant() -> Option<TenantRecord> {
    let issuer = "https://localhost:8443".parse().ok()?;
    let mut tenant = TenantRecord::new(Tenant::default_tenant(), issuer);
    tenant.registration.scopes = "openid".parse().ok()?;
    Some(tenant)
}

/// The body of a registration, up to the client that it would become.
pub(crate) fn request(input: &[u8]) -> Verdict {
    let (Ok(object), Some(tenant)) = (object(input), tenant()) else {
        return Verdict::Refused;
    };
    let read = ClientMetadata::read(
        &object,
        &tenant.registration,
        MethodDefault::Secret,
        Algorithm::Es256,
    );
    let Ok(metadata) = read else {
        return Verdict::Refused;
    };
    let Ok(id) = "0123abcd".parse() else {
        return Verdict::Refused;
    };
    let how = (Operation::Add, Credential::Nothing);
    let proposal = Proposal::new(id, &tenant, metadata, None, how, None, UnixTime(0));
    if let Ok(proposal) = &proposal {
        check(proposal.record());
    }
    Verdict::of(&proposal)
}

/// A document at the client's own address.
pub(crate) fn document(input: &[u8]) -> Verdict {
    let Ok(id) = "https://app.example/client".parse::<ClientId>() else {
        return Verdict::Refused;
    };
    let Some(tenant) = tenant() else {
        return Verdict::Refused;
    };
    let fresh = Duration::from_secs(300);
    let read = document_client(&id, input, &tenant, Algorithm::Es256, fresh, UnixTime(0));
    if let Ok(proposal) = &read {
        let record = proposal.record();
        assert_eq!(record.id, id, "the client is its address");
        assert!(
            !matches!(record.authentication, ClientAuthentication::Secret { .. }),
            "nothing public is a secret"
        );
        check(record);
    }
    Verdict::of(&read)
}

/// Whatever was taken holds as a whole, and can be told.
fn check(record: &ClientRecord) {
    assert_eq!(record.check(), Ok(()), "what is taken can be registered");
    assert!(
        !record.redirect_uris.iter().any(|uri| {
            let uri = uri.as_str().to_ascii_lowercase();
            uri.starts_with("javascript:") || uri.starts_with("data:") || uri.contains('#')
        }),
        "no script and no fragment"
    );
    let information = ClientInformation::of(record);
    assert!(
        !information.members().contains_key("client_secret"),
        "the one answer that makes a secret adds it"
    );
}

/// The document behind `sector_identifier_uri`.
pub(crate) fn sector_document(input: &[u8]) -> Verdict {
    let Ok(uri) = "https://app.example/cb".parse() else {
        return Verdict::Refused;
    };
    Verdict::of(&sector::check(input, &[uri].into()))
}

/// A logout request, after it was read as a form.
pub(crate) fn logout(input: &[u8]) -> Verdict {
    let Ok(form) = Form::parse(input) else {
        return Verdict::Refused;
    };
    let Some(client) = leaving() else {
        return Verdict::Refused;
    };
    let Ok(issuer) = "https://localhost:8443".parse() else {
        return Verdict::Refused;
    };
    let mut request = LogoutRequest::parse(&form);
    let back = request.return_address(&client);
    if let Some(back) = &back {
        assert!(
            back.location().starts_with("https://app.example/bye"),
            "nobody is sent anywhere else"
        );
    }
    let hinted = request.hint_header().is_some();
    assert!(
        request.hinted(&issuer, &JwkSet::default()).is_err(),
        "without keys nothing is of ours"
    );
    if hinted || back.is_some() {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

fn leaving() -> Option<ClientRecord> {
    let mut client = ClientRecord::new(
        "app".parse().ok()?,
        Tenant::default_tenant(),
        ClientAuthentication::Public,
        UnixTime(0),
    );
    let bye = "https://app.example/bye".parse().ok()?;
    client.logout.post_logout_redirect_uris = [bye].into();
    Some(client)
}
