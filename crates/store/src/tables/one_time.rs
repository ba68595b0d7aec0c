//! Values that work once: authorization codes, request URIs, and the interactions of a browser.
//!
//! The kind is in the type of the handle, in the hash that is stored and in the primary key, so that a value of one kind is never
//! found as another (CVE-2026-4282). A spent value stays as a row, marked, until it is swept: a second use is told from a first (R23).

use super::{decode, encode};
use crate::catalogue::{Statement, one_time as sql};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_federation::PendingLogin;
use countersign_oauth::registration::InitialAccess;
use countersign_oauth::{CodeRecord, PushedRequest, Taken};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// How long a row is kept after its value expired, so that a late second use is still seen for what it is.
pub const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(24 * 3600);

/// A kind of handle. The list is closed: see the implementors.
pub trait Kind: sealed::Sealed + Send + Sync + 'static {
    /// The kind's name in the database and in the hash of its handles.
    const KIND: &'static str;
}

/// A kind of one-time value that is kept in this table.
pub trait OneTime: Kind {
    /// What such a value stands for.
    type Record: Serialize + DeserializeOwned + Send + 'static;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal => $record:ty;)* @elsewhere $($(#[$other_doc:meta])* $other:ident = $other_name:literal;)*) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}

        impl sealed::Sealed for $kind {}

        impl Kind for $kind {
            const KIND: &'static str = $name;
        }

        impl OneTime for $kind {
            type Record = $record;
        })*

        $($(#[$other_doc])*
        #[derive(Debug)]
        pub enum $other {}

        impl sealed::Sealed for $other {}

        impl Kind for $other {
            const KIND: &'static str = $other_name;
        })*

        /// The name of every kind.
        pub const KINDS: &[&str] = &[$($name,)* $($other_name,)*];
    };
}

kinds! {
    /// An authorization code (RFC 6749 §4.1.2).
    AuthorizationCode = "authorization_code" => CodeRecord;
    /// The `state` of a browser's sign-in at the gateway.
    BrowserLogin = "browser_login" => PendingLogin;
    /// The challenge of a passkey's ceremony; the row is added when it is answered, and a second one conflicts.
    PasskeyChallenge = "passkey_challenge" => ();
    /// A token with which one client may register itself (RFC 7591 §3), made by an administrator.
    InitialAccessToken = "initial_access_token" => InitialAccess;
    /// The `request_uri` of a pushed authorization request (RFC 9126 §2.2).
    RequestUri = "request_uri" => PushedRequest;
    /// The `state` of a sign-in at another provider (OpenID Connect Core §3.1.2.1).
    UpstreamState = "upstream_state" => PendingLogin;

    // Handles whose values have a table of their own, because they are not spent when they are first presented.
    @elsewhere
    /// The `auth_req_id` of a backchannel authentication request (CIBA Core §7.3).
    AuthReqId = "auth_req_id";
    /// A device code (RFC 8628 §3.2).
    DeviceCode = "device_code";
    /// What a person types to find a device's request (RFC 8628 §6.1).
    UserCode = "user_code";
}

/// The keyed hash of a one-time value of kind `K`. The value itself is never stored.
pub struct HandleHash<K> {
    hash: [u8; 32],
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> HandleHash<K> {
    /// The hash of the value that a client presented or that is being made, under the tenant's key for handles.
    #[must_use]
    pub fn of(key: &MacKey, tenant: &Tenant, value: &str) -> Self {
        let tag = key.tag(K::KIND, &[tenant.as_str().as_bytes(), value.as_bytes()]);
        Self {
            hash: *tag.as_bytes(),
            kind: PhantomData,
        }
    }

    /// The 32 bytes that are stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl<K> Clone for HandleHash<K> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            kind: PhantomData,
        }
    }
}

impl<K: Kind> fmt::Debug for HandleHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleHash({})", K::KIND)
    }
}

/// A one-time value that is about to be stored, its kind checked when it was made.
#[derive(Debug, Clone)]
pub struct NewOneTime {
    kind: &'static str,
    hash: [u8; 32],
    record: String,
    expires: UnixTime,
}

impl NewOneTime {
    /// A value of kind `K` that can be spent before `expires`.
    ///
    /// # Errors
    /// When the record has no JSON form, which is a fault of its type.
    pub fn new<K: OneTime>(
        handle: &HandleHash<K>,
        record: &K::Record,
        expires: UnixTime,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            kind: K::KIND,
            hash: handle.hash,
            record: encode("one_time", record)?,
            expires,
        })
    }
}

/// Stores a new value.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a value of this kind and handle.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewOneTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            new.kind,
            &new.hash,
            new.record.clone(),
            new.expires.0
        ],
    )
    .await
    .map(drop)
}

/// Looks at a value without spending it. What has expired is unknown.
pub async fn find<K: OneTime>(
    connection: &mut Connection,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    now: UnixTime,
) -> Result<Taken<K::Record>, StoreError> {
    read::<K>(connection, &sql::FIND, tenant, handle, now).await
}

/// Takes a value: of any number of transactions that take the same one, one finds it fresh.
pub(crate) async fn take<K: OneTime>(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    now: UnixTime,
) -> Result<Taken<K::Record>, StoreError> {
    let taken = read::<K>(tx, &sql::LOCK, tenant, handle, now).await?;
    if matches!(taken, Taken::Fresh(_)) {
        let spent = tx
            .execute(
                &sql::SPEND,
                args![tenant.as_str(), K::KIND, &handle.hash, now.0],
            )
            .await?;
        if spent != 1 {
            return Err(StoreError::corrupt(
                "one_time",
                "a locked value was spent by somebody else",
            ));
        }
    }
    Ok(taken)
}

/// Keeps a spent value for longer: as long as what came of it can live, so that its second use is seen for what it is (R23).
pub(crate) async fn keep<K: OneTime>(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    until: UnixTime,
) -> Result<(), StoreError> {
    let values = args![tenant.as_str(), K::KIND, &handle.hash, until.0];
    tx.execute(&sql::KEEP, values).await.map(drop)
}

async fn read<K: OneTime>(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    now: UnixTime,
) -> Result<Taken<K::Record>, StoreError> {
    let row = connection
        .fetch_optional(statement, args![tenant.as_str(), K::KIND, &handle.hash])
        .await?;
    row.map_or(Ok(Taken::Unknown), |row| taken(&row, now))
}

fn taken<R: DeserializeOwned>(row: &Row, now: UnixTime) -> Result<Taken<R>, StoreError> {
    let record = decode("one_time", &row.get::<String>(0)?)?;
    let expires = UnixTime(row.get(1)?);
    Ok(match row.get::<Option<i64>>(2)? {
        Some(_) => Taken::Spent(record),
        None if expires <= now => Taken::Unknown,
        None => Taken::Fresh(record),
    })
}
