//! Values of requests that a person answers on another device.

use crate::{Target, Verdict};
use countersign_authn::Form;
use countersign_base::{Tenant, UnixTime};
use countersign_oauth::decoupled::{BackchannelRequest, BindingMessage, UserCode};
use countersign_oauth::{ClientAuthentication, ClientRecord, GrantType, TenantRecord};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "user-code",
        about: "a user code as somebody types it (RFC 8628)",
        run: user_code,
        words: CODE_WORDS,
    },
    Target {
        name: "backchannel-request",
        about: "a backchannel authentication request (CIBA)",
        run: backchannel_request,
        words: super::authn::FORM_WORDS,
    },
];

/// What people type, and what they should not.
pub(crate) const CODE_WORDS: &[&str] = &["WDJB", "-", " ", "bcdf", "A", "0", "\u{0412}"];

pub(crate) fn user_code(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = text.parse::<UserCode>();
    if let Ok(code) = &parsed {
        assert_eq!(
            code.to_string().parse::<UserCode>().as_ref(),
            Ok(code),
            "what is shown is what is read"
        );
    }
    Verdict::of(&parsed)
}

/// A backchannel authentication request of a registered client, after it was read as a form.
pub(crate) fn backchannel_request(input: &[u8]) -> Verdict {
    let Ok(form) = Form::parse(input) else {
        return Verdict::Refused;
    };
    let Some((client, tenant)) = registration() else {
        return Verdict::Refused;
    };
    let parsed = BackchannelRequest::parse(&form, &client, &tenant);
    if let Ok(request) = &parsed {
        assert!(
            request.scopes.is_subset(&client.scopes),
            "never more than is registered"
        );
        let shown = request.binding_message.as_ref().map(BindingMessage::as_str);
        assert_eq!(
            shown,
            form.get("binding_message"),
            "a message is shown as it was sent, or not at all"
        );
    }
    Verdict::of(&parsed)
}

fn registration() -> Option<(ClientRecord, TenantRecord)> {
    let tenant = TenantRecord::new(
        Tenant::default_tenant(),
        "https://localhost:8443".parse().ok()?,
    );
    let mut client = ClientRecord::new(
        "bank".parse().ok()?,
        Tenant::default_tenant(),
        ClientAuthentication::Secret { tag: vec![0; 32] },
        UnixTime(0),
    );
    client.grants.insert(GrantType::Ciba);
    client.scopes = "openid orders:read".parse().ok()?;
    client
        .audiences
        .insert("https://orders.example".parse().ok()?);
    Some((client, tenant))
}
