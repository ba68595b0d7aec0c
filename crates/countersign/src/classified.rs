//! What this program itself keeps that is classified: one row a column of the store, with how it lies there and how it goes.
//!
//! The list is the data dictionary of our own store, as `DataDictionary` of the guard is a service's. A test compares it with the migrations: a table that is neither here
//! nor among [`UNCLASSIFIED`] fails, and so does a column that no table has. Columns named `user_id`, `grant_id` and `session_id` hold random names that mean nothing
//! elsewhere; they are not listed for themselves.

use Classification::{Confidential, Internal, Restricted};
use Form::{Clear, KeyedHash, Sealed};
use countersign_base::Classification;

/// How a value lies in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Clear,
    /// As a keyed hash: it is recognised and not read.
    KeyedHash,
    /// As an envelope under this key.
    Sealed(Holder),
}

impl Form {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Clear => "clear",
            KeyedHash => "keyed_hash",
            Sealed(_) => "sealed",
        }
    }

    /// Whose key seals it, if it is sealed.
    pub(crate) const fn key_scope(self) -> Option<&'static str> {
        match self {
            Clear | KeyedHash => None,
            Sealed(Holder::Installation) => Some("installation"),
            Sealed(Holder::Root) => Some("root"),
            Sealed(Holder::Subject) => Some("subject"),
            Sealed(Holder::Tenant) => Some("tenant"),
        }
    }
}

/// Whose key seals something of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The installation's key-encryption key.
    Installation,
    /// The root key.
    Root,
    /// The person's own data key.
    Subject,
    /// The tenant's data key.
    Tenant,
}

/// A column of the store.
#[derive(Debug)]
pub(crate) struct OwnColumn {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) classification: Classification,
    pub(crate) form: Form,
    /// What stands in it.
    pub(crate) holds: &'static str,
    /// How it goes.
    pub(crate) erased: &'static str,
}

const fn own(
    (table, column): (&'static str, &'static str),
    classification: Classification,
    form: Form,
    holds: &'static str,
    erased: &'static str,
) -> OwnColumn {
    OwnColumn {
        table,
        column,
        classification,
        form,
        holds,
        erased,
    }
}

const WITH_THE_PERSON: &str = "with the person's row";
const AFTER_EXPIRY: &str = "after it expires";
const A_MONTH_AFTER: &str = "30 days after it expires";
const A_DAY_AFTER: &str = "a day after it expires";
const WITH_THE_SESSION: &str = "when the session ends or expires";

/// The store's classified columns, by table and column.
pub(crate) const COLUMNS: &[OwnColumn] = &[
    own(
        ("access_tokens", "handle"),
        Restricted,
        KeyedHash,
        "which opaque access token it is",
        AFTER_EXPIRY,
    ),
    own(
        ("access_tokens", "record"),
        Confidential,
        Clear,
        "what an opaque access token says",
        AFTER_EXPIRY,
    ),
    own(
        ("api_keys", "record"),
        Internal,
        Clear,
        "what an API key allows",
        A_MONTH_AFTER,
    ),
    own(
        ("api_keys", "tag"),
        Restricted,
        KeyedHash,
        "a partner's API key",
        A_MONTH_AFTER,
    ),
    own(
        ("audit_outbox", "record"),
        Confidential,
        Clear,
        "records on their way to the audit log; no names of people",
        "when it is in the log, which stays",
    ),
    own(
        ("browser_sessions", "handle"),
        Restricted,
        KeyedHash,
        "a browser's cookie at the gateway",
        WITH_THE_SESSION,
    ),
    own(
        ("browser_sessions", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "a browser's tokens",
        WITH_THE_SESSION,
    ),
    own(
        ("browser_sessions", "subject"),
        Confidential,
        KeyedHash,
        "who signed in",
        WITH_THE_SESSION,
    ),
    own(
        ("browser_sessions", "upstream_session"),
        Confidential,
        KeyedHash,
        "the issuer's name of a sign-in",
        WITH_THE_SESSION,
    ),
    own(
        ("clients", "record"),
        Confidential,
        Clear,
        "a client's registration; its secret as a keyed hash",
        "with the client",
    ),
    own(
        ("consents", "record"),
        Confidential,
        Clear,
        "what a person allowed a client",
        WITH_THE_PERSON,
    ),
    own(
        ("decoupled_requests", "handle"),
        Restricted,
        KeyedHash,
        "a device code or a CIBA request id",
        A_DAY_AFTER,
    ),
    own(
        ("decoupled_requests", "record"),
        Confidential,
        Clear,
        "what is asked of a person on another device; what notifies the client is sealed in it",
        A_DAY_AFTER,
    ),
    own(
        ("decoupled_requests", "user_code"),
        Restricted,
        KeyedHash,
        "the code that a person types",
        A_DAY_AFTER,
    ),
    own(
        ("deliveries", "record"),
        Confidential,
        Clear,
        "what others are told: subjects and sessions that ended",
        "when it is delivered, or 30 days after that failed",
    ),
    own(
        ("event_details", "salt"),
        Confidential,
        Clear,
        "the salt of a commitment in the audit log",
        "after `[audit] details_for`",
    ),
    own(
        ("event_details", "sealed"),
        Confidential,
        Sealed(Holder::Subject),
        "the query of a recorded decision; under the installation's key where it is about nobody",
        "with the person's key, or after `[audit] details_for`",
    ),
    own(
        ("exchanges", "record"),
        Confidential,
        Clear,
        "which token was exchanged for which",
        A_DAY_AFTER,
    ),
    own(
        ("grants", "record"),
        Confidential,
        Clear,
        "what a person granted a client",
        A_DAY_AFTER,
    ),
    own(
        ("idempotency_keys", "caller"),
        Confidential,
        KeyedHash,
        "who used an idempotency key",
        AFTER_EXPIRY,
    ),
    own(
        ("idempotency_keys", "name"),
        Confidential,
        KeyedHash,
        "an idempotency key, with whose it is",
        AFTER_EXPIRY,
    ),
    own(
        ("idempotency_keys", "print"),
        Confidential,
        KeyedHash,
        "what was asked under an idempotency key",
        AFTER_EXPIRY,
    ),
    own(
        ("idempotency_keys", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "the answer that is given again under an idempotency key",
        AFTER_EXPIRY,
    ),
    own(
        ("keks", "wrapped"),
        Restricted,
        Sealed(Holder::Root),
        "a version of the key-encryption key",
        "not while anything is under it",
    ),
    own(
        ("known_browsers", "browser"),
        Confidential,
        KeyedHash,
        "a browser that somebody signed in with",
        AFTER_EXPIRY,
    ),
    own(
        ("logout_fanouts", "record"),
        Confidential,
        Clear,
        "whose sessions ended, while clients are being told",
        "when all are told",
    ),
    own(
        ("memberships", "group_name"),
        Confidential,
        Clear,
        "who is in which group",
        WITH_THE_PERSON,
    ),
    own(
        ("one_time", "handle"),
        Restricted,
        KeyedHash,
        "authorization codes, request URIs, interactions",
        A_DAY_AFTER,
    ),
    own(
        ("one_time", "record"),
        Confidential,
        Clear,
        "what such a value stands for",
        A_DAY_AFTER,
    ),
    own(
        ("passkeys", "credential"),
        Confidential,
        Clear,
        "the id of a passkey",
        WITH_THE_PERSON,
    ),
    own(
        ("passkeys", "record"),
        Confidential,
        Clear,
        "the public key of a passkey",
        WITH_THE_PERSON,
    ),
    own(
        ("recovery_codes", "code"),
        Restricted,
        KeyedHash,
        "a recovery code",
        WITH_THE_PERSON,
    ),
    own(
        ("refresh_families", "record"),
        Confidential,
        Clear,
        "the generation of a refresh token, which is derived and not stored",
        A_DAY_AFTER,
    ),
    own(
        ("sessions", "handle"),
        Restricted,
        KeyedHash,
        "the cookie of a sign-in",
        AFTER_EXPIRY,
    ),
    own(
        ("sessions", "record"),
        Confidential,
        Clear,
        "when, how and with what a person signed in",
        AFTER_EXPIRY,
    ),
    own(
        ("settings", "value"),
        Restricted,
        Sealed(Holder::Installation),
        "the private keys of the log and of the development authority; other settings in the clear",
        "not at all",
    ),
    own(
        ("signing_keys", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "a tenant's private signing key",
        "when the key has retired",
    ),
    own(
        ("subject_keys", "wrapped"),
        Restricted,
        Sealed(Holder::Installation),
        "a person's data key, under the epoch key besides",
        "when the person is erased; the row stays, empty, and old copies of it open no more",
    ),
    own(
        ("throttle", "source"),
        Confidential,
        KeyedHash,
        "the username or address of failed sign-ins",
        AFTER_EXPIRY,
    ),
    own(
        ("totp_secrets", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "the secret of an authenticator app",
        WITH_THE_PERSON,
    ),
    own(
        ("upstream_links", "record"),
        Confidential,
        Clear,
        "who somebody is at another provider",
        WITH_THE_PERSON,
    ),
    own(
        ("upstream_links", "subject"),
        Confidential,
        Clear,
        "the provider's name of a person",
        WITH_THE_PERSON,
    ),
    own(
        ("upstream_sessions", "provider"),
        Confidential,
        Clear,
        "by which provider somebody signed in",
        AFTER_EXPIRY,
    ),
    own(
        ("users", "record"),
        Restricted,
        Clear,
        "profile, roles and attributes; the password as a hash",
        WITH_THE_PERSON,
    ),
    own(
        ("users", "username"),
        Confidential,
        Clear,
        "what a person types to sign in",
        WITH_THE_PERSON,
    ),
    own(
        ("vault_entries", "name"),
        Confidential,
        Clear,
        "what secrets, keys and roles of the vault are called; tokens by their keyed hash",
        "with the entry",
    ),
    own(
        ("vault_entries", "sealed"),
        Restricted,
        Sealed(Holder::Tenant),
        "what the vault keeps: secrets, keys, tokens, leases",
        "when it is deleted, ends or is destroyed",
    ),
    own(
        ("vault_keys", "wrapped"),
        Restricted,
        Sealed(Holder::Installation),
        "a tenant's data key of the vault",
        "not while anything is under it",
    ),
    own(
        ("webhook_endpoints", "record"),
        Confidential,
        Clear,
        "where a partner's webhooks go, and how",
        "when the endpoint is removed and nothing waits for it",
    ),
    own(
        ("webhook_messages", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "what webhooks say",
        "7 days after it was delivered, 30 days after that was given up",
    ),
    own(
        ("webhook_secrets", "sealed"),
        Restricted,
        Sealed(Holder::Installation),
        "what a partner's webhooks are signed with",
        "when its overlap ends, or the endpoint is removed",
    ),
];

/// Tables without anything confidential, and why that is so.
#[cfg(test)]
pub(crate) const UNCLASSIFIED: &[(&str, &str)] = &[
    ("assertions", "digests of what was used once"),
    ("erasures", "random names with a time; they stay for good"),
    ("grant_assertions", "digests of what was used once"),
    (
        "identity_providers",
        "addresses of providers; our secrets there are references",
    ),
    ("registered_clients", "which clients registered themselves"),
    ("revocations", "random names with a time"),
    ("tenants", "settings"),
    ("used_proofs", "digests of what was used once"),
    ("user_groups", "names of groups and their roles"),
    (
        "webhook_deliveries",
        "random names with times, states and answers' numbers; order keys as digests",
    ),
    ("webhook_event_types", "names and schemas of event types"),
    ("webhook_receipts", "digests of what came in"),
    (
        "webhook_subscriptions",
        "which endpoint wants which event types",
    ),
];

#[cfg(test)]
mod tests;
