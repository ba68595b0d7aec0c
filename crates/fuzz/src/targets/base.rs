//! Typed names: what is taken is written back unchanged.

use crate::Verdict;
use countersign_base::{
    Audience, ClientId, EventId, GrantId, GroupName, Issuer, Kid, Region, RequestId, Role, RouteId,
    Scope, Scopes, SessionId, Tenant, UserId, Username,
};
use std::fmt::Display;
use std::str::FromStr;

/// Fragments of names.
pub(crate) const WORDS: &[&str] = &[
    "https://",
    "a",
    "default",
    "eu-west-1",
    "orders:read",
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
        same::<EventId>(text),
        same::<GrantId>(text),
        same::<GroupName>(text),
        same::<Issuer>(text),
        same::<Kid>(text),
        same::<Region>(text),
        same::<RequestId>(text),
        same::<Role>(text),
        same::<RouteId>(text),
        same::<Scope>(text),
        same::<SessionId>(text),
        same::<Tenant>(text),
        same::<UserId>(text),
        same::<Username>(text),
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
