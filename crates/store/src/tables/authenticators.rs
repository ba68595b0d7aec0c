//! What people prove who they are with, beside a password: passkeys, authenticator apps, recovery codes; and the browsers they are known with.
//!
//! Everything that works once is used by a change that fails if somebody was first ([`StoreError::Superseded`]): a step of time, a recovery code, a counter. It
//! stands in the unit that begins the session, so that a session never begins without its use, nor twice with one.

use super::{bytes, decode, encode};
use crate::catalogue::{known_browsers, passkeys, recovery_codes, totp_secrets};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_authn::webauthn::{Asserted, CredentialId};
use countersign_base::{Bounded, Duration, Tenant, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_oauth::authentication::records::PASSKEYS_MAX;
use countersign_oauth::authentication::{PasskeyRecord, SecondFactors};
use countersign_oauth::totp::TimeStep;

/// How long a browser is known after its last sign-in.
pub const BROWSER_KNOWN_FOR: Duration = Duration::from_secs(180 * 86_400);

/// One change of somebody's factors.
#[derive(Clone)]
pub enum AuthenticatorChange {
    /// A new passkey; there must be none of its id in the tenant.
    AddPasskey(Box<PasskeyRecord>),
    /// An app takes the place of the one before; the step is that of the code that confirmed it.
    PutTotp(UserId, Vec<u8>, TimeStep),
    /// New recovery codes take the place of all before.
    PutRecoveryCodes(UserId, Vec<Tag>),
    /// No browser is known any more, for whoever knew the password is out.
    ForgetBrowsers(UserId),
    /// The browser of a sign-in is known from now on.
    RememberBrowser(UserId, Tag),
    /// The end of a passkey.
    RemovePasskey(UserId, CredentialId),
    /// The end of an app.
    RemoveTotp(UserId),
    /// Another name for a passkey; one that is gone stays gone.
    RenamePasskey(UserId, CredentialId, Bounded<64>),
    /// A recovery code is used.
    SpendRecoveryCode(UserId, Tag),
    /// The code of this step is used.
    SpendTotpStep(UserId, TimeStep),
    /// A passkey was used.
    UsePasskey(UserId, Asserted),
}

/// Carries out a change.
pub(crate) async fn apply(
    tx: &mut Transaction,
    tenant: &Tenant,
    change: &AuthenticatorChange,
    now: UnixTime,
) -> Result<(), StoreError> {
    match change {
        AuthenticatorChange::AddPasskey(record) => add_passkey(tx, tenant, record).await,
        AuthenticatorChange::PutTotp(user, sealed, step) => {
            let values = args![
                tenant.as_str(),
                user.as_bytes(),
                sealed.clone(),
                step.0,
                now.0
            ];
            tx.execute(&totp_secrets::PUT, values).await.map(drop)
        }
        AuthenticatorChange::PutRecoveryCodes(user, codes) => {
            put_recovery_codes(tx, tenant, *user, codes).await
        }
        AuthenticatorChange::ForgetBrowsers(user) => {
            let values = args![tenant.as_str(), user.as_bytes()];
            tx.execute(&known_browsers::CLEAR, values).await.map(drop)
        }
        AuthenticatorChange::RememberBrowser(user, browser) => {
            remember_browser(tx, tenant, *user, browser, now).await
        }
        AuthenticatorChange::RemovePasskey(user, credential) => {
            let values = args![
                tenant.as_str(),
                user.as_bytes(),
                credential.as_bytes().to_vec()
            ];
            tx.execute(&passkeys::REMOVE, values).await.map(drop)
        }
        AuthenticatorChange::RemoveTotp(user) => {
            let values = args![tenant.as_str(), user.as_bytes()];
            tx.execute(&totp_secrets::REMOVE, values).await.map(drop)
        }
        AuthenticatorChange::RenamePasskey(user, credential, name) => {
            rename_passkey(tx, tenant, *user, credential, name).await
        }
        AuthenticatorChange::SpendRecoveryCode(user, code) => {
            let values = args![tenant.as_str(), user.as_bytes(), code.as_bytes(), now.0];
            once(
                tx.execute(&recovery_codes::SPEND, values).await?,
                "recovery_codes",
            )
        }
        AuthenticatorChange::SpendTotpStep(user, step) => {
            let values = args![tenant.as_str(), user.as_bytes(), step.0];
            once(
                tx.execute(&totp_secrets::SPEND, values).await?,
                "totp_secrets",
            )
        }
        AuthenticatorChange::UsePasskey(user, asserted) => {
            let values = args![
                tenant.as_str(),
                user.as_bytes(),
                asserted.credential().as_bytes().to_vec(),
                i64::from(asserted.counter()),
                i64::from(asserted.is_backed_up()),
                now.0
            ];
            once(tx.execute(&passkeys::USE, values).await?, "passkeys")
        }
    }
}

async fn remember_browser(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    browser: &Tag,
    now: UnixTime,
) -> Result<(), StoreError> {
    let values = args![
        tenant.as_str(),
        user.as_bytes(),
        browser.as_bytes(),
        now.0,
        now.plus(BROWSER_KNOWN_FOR).0
    ];
    tx.execute(&known_browsers::PUT, values).await.map(drop)
}

async fn put_recovery_codes(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    codes: &[Tag],
) -> Result<(), StoreError> {
    let whose = args![tenant.as_str(), user.as_bytes()];
    tx.execute(&recovery_codes::CLEAR, whose).await?;
    for code in codes {
        let values = args![tenant.as_str(), user.as_bytes(), code.as_bytes()];
        tx.execute(&recovery_codes::ADD, values).await?;
    }
    Ok(())
}

fn once(rows: u64, table: &'static str) -> Result<(), StoreError> {
    match rows {
        1 => Ok(()),
        _ => Err(StoreError::Superseded(table)),
    }
}

async fn add_passkey(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &PasskeyRecord,
) -> Result<(), StoreError> {
    let text = encode("passkeys", record)?;
    let values = args![
        tenant.as_str(),
        record.credential.id.as_bytes().to_vec(),
        record.user.as_bytes(),
        text,
        i64::from(record.credential.counter),
        i64::from(record.credential.backed_up)
    ];
    tx.execute(&passkeys::ADD, values).await.map(drop)
}

async fn rename_passkey(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    credential: &CredentialId,
    name: &Bounded<64>,
) -> Result<(), StoreError> {
    let Some(mut record) = passkey(tx, tenant, credential).await? else {
        return Ok(());
    };
    record.name = name.clone();
    let values = args![
        tenant.as_str(),
        user.as_bytes(),
        credential.as_bytes().to_vec(),
        encode("passkeys", &record)?
    ];
    tx.execute(&passkeys::RECORD, values).await.map(drop)
}

/// The passkey of this id.
pub async fn passkey(
    connection: &mut Connection,
    tenant: &Tenant,
    credential: &CredentialId,
) -> Result<Option<PasskeyRecord>, StoreError> {
    let values = args![tenant.as_str(), credential.as_bytes().to_vec()];
    let row = connection.fetch_optional(&passkeys::FIND, values).await?;
    row.map(|row| passkey_of(&row)).transpose()
}

/// Every passkey of a person, the oldest first.
pub async fn passkeys_of(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Vec<PasskeyRecord>, StoreError> {
    let values = args![tenant.as_str(), user.as_bytes(), i64::from(PASSKEYS_MAX)];
    let rows = connection.fetch_all(&passkeys::OF_USER, values).await?;
    let mut found = rows.iter().map(passkey_of).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|passkey| passkey.created);
    Ok(found)
}

fn passkey_of(row: &Row) -> Result<PasskeyRecord, StoreError> {
    let mut record: PasskeyRecord = decode("passkeys", &row.get::<String>(0)?)?;
    record.credential.counter = u32::try_from(row.get::<i64>(1)?)
        .map_err(|_| StoreError::corrupt("passkeys", "a counter is no number of 32 bits"))?;
    record.credential.backed_up = row.get::<i64>(2)? != 0;
    record.last_used = row.get::<Option<i64>>(3)?.map(UnixTime);
    Ok(record)
}

/// An authenticator app, as it is kept.
pub struct SealedTotp {
    /// The secret, sealed for its row.
    pub sealed: Vec<u8>,
    /// The last step of which a code was used.
    pub last_step: TimeStep,
    /// When it was added.
    pub created: UnixTime,
}

/// The app of a person.
pub async fn totp(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Option<SealedTotp>, StoreError> {
    let row = connection
        .fetch_optional(&totp_secrets::FIND, args![tenant.as_str(), user.as_bytes()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(SealedTotp {
        sealed: row.get(0)?,
        last_step: TimeStep(row.get(1)?),
        created: UnixTime(row.get(2)?),
    }))
}

/// The keyed hashes of a person's recovery codes that were not used.
pub async fn recovery_codes_of(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Vec<Tag>, StoreError> {
    let rows = connection
        .fetch_all(
            &recovery_codes::LEFT,
            args![tenant.as_str(), user.as_bytes()],
        )
        .await?;
    rows.iter()
        .map(|row| bytes("recovery_codes", &row.get::<Vec<u8>>(0)?).map(Tag::from_bytes))
        .collect()
}

/// Which second factors a person has.
pub async fn factors_of(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<SecondFactors, StoreError> {
    let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let passkeys = passkeys_of(connection, tenant, user).await?.len();
    let codes = recovery_codes_of(connection, tenant, user).await?.len();
    let totp = totp(connection, tenant, user).await?;
    Ok(SecondFactors {
        totp: u16::from(totp.is_some()),
        passkeys: count(passkeys),
        recovery_codes: count(codes),
    })
}

/// A browser that somebody signed in with.
#[derive(Debug, Clone)]
pub struct KnownBrowser {
    /// The keyed hash of its cookie.
    pub browser: [u8; 32],
    /// When they first did.
    pub first_used: UnixTime,
    /// When they last did.
    pub last_used: UnixTime,
}

/// The browsers that a person is known with.
pub async fn browsers_of(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<Vec<KnownBrowser>, StoreError> {
    let values = args![tenant.as_str(), user.as_bytes(), now.0];
    let rows = connection
        .fetch_all(&known_browsers::OF_USER, values)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(KnownBrowser {
                browser: bytes("known_browsers", &row.get::<Vec<u8>>(0)?)?,
                first_used: UnixTime(row.get(1)?),
                last_used: UnixTime(row.get(2)?),
            })
        })
        .collect()
}

/// Whether a person signed in with this browser before.
pub async fn is_known(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    browser: &Tag,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let values = args![tenant.as_str(), user.as_bytes(), browser.as_bytes(), now.0];
    let row = connection
        .fetch_optional(&known_browsers::FIND, values)
        .await?;
    Ok(row.is_some())
}
