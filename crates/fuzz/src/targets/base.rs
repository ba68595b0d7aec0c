//! Typed names: what is taken is written back unchanged.

use crate::{Target, Verdict};
use countersign_base::{
    Audience, ClientId, EndpointId, EventId, EventPattern, EventTypeName, GrantId, GroupName,
    Issuer, Kid, MessageId, PartnerName, ReceiverUrl, Region, RequestId, Role, RouteId, Scope,
    Scopes, SessionId, SourceName, Tenant, UserId, Username, WebhookSecretId,
};
use std::fmt::Display;
use std::str::FromStr;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[Target {
    name: "vocabulary",
    about: "every typed name of the base crate",
    run: vocabulary,
    words: WORDS,
}];

/// Fragments of names.
pub(crate) const WORDS: &[&str] = &[
    "https://",
    "a",
    "default",
    "eu-west-1",
    "orders:read",
    "invoice.*",
    " ",
    "/",
    ".",
    ":",
    "0000000000000000",
];

/// Every type with a textual form.
pub(crate) fn vocabulary(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let exact = [
        same::<Audience>(text),
        same::<ClientId>(text),
        same::<EndpointId>(text),
        same::<EventId>(text),
        same::<EventPattern>(text),
        same::<EventTypeName>(text),
        same::<GrantId>(text),
        same::<GroupName>(text),
        same::<Issuer>(text),
        same::<Kid>(text),
        same::<MessageId>(text),
        same::<PartnerName>(text),
        same::<ReceiverUrl>(text),
        same::<Region>(text),
        same::<RequestId>(text),
        same::<Role>(text),
        same::<RouteId>(text),
        same::<Scope>(text),
        same::<SessionId>(text),
        same::<SourceName>(text),
        same::<Tenant>(text),
        same::<UserId>(text),
        same::<Username>(text),
        same::<WebhookSecretId>(text),
    ];
    let scopes = text.parse::<Scopes>();
    if let Ok(scopes) = &scopes {
        assert_eq!(
            scopes.to_string().parse::<Scopes>().as_ref(),
            Ok(scopes),
            "scopes survive being written"
        );
    }
    exact.into_iter().fold(Verdict::of(&scopes), Verdict::or)
}

fn same<T: FromStr + Display>(text: &str) -> Verdict {
    let parsed = text.parse::<T>();
    if let Ok(value) = &parsed {
        assert_eq!(value.to_string(), text, "a name is written as it was read");
    }
    Verdict::of(&parsed)
}
