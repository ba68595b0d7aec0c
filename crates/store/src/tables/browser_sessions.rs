//! Sessions of browsers at the gateway: tokens, sealed, under a keyed hash of the cookie. Neither the cookie nor a token is ever stored in the clear.
//!
//! Tokens are replaced by who read their generation and nobody else: of two nodes that refresh at once one keeps its answer.

use crate::catalogue::browser_sessions as sql;
use crate::engine::args;
use crate::{Connection, Store, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};
use countersign_crypto::mac::Tag;

const TABLE: &str = "browser_sessions";

/// Sessions that one person may have of one name; the oldest go first.
pub const SESSIONS_MAX: u16 = 16;

/// A session that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewBrowserSession {
    /// The keyed hash of its cookie.
    pub handle: Tag,
    /// The keyed hash of the cookie of the session whose place it takes in the same browser.
    pub replaces: Option<Tag>,
    /// What the configuration calls it.
    pub name: String,
    /// A keyed hash of who signed in.
    pub subject: Tag,
    /// A keyed hash of the issuer's own name for the sign-in.
    pub upstream_session: Option<Tag>,
    /// The tokens, sealed.
    pub sealed: Vec<u8>,
    /// When it ends by itself.
    pub expires: UnixTime,
}

/// A session as it is kept.
#[derive(Debug, Clone)]
pub struct BrowserSession {
    /// What the configuration calls it.
    pub name: String,
    /// The tokens, sealed.
    pub sealed: Vec<u8>,
    /// How often they were replaced.
    pub generation: i64,
    /// When it began.
    pub created: UnixTime,
    /// When it was last used, roughly.
    pub used: UnixTime,
    /// When it ends by itself.
    pub expires: UnixTime,
}

/// Whose sessions end when the issuer says so.
#[derive(Debug, Clone)]
pub enum Whose {
    /// Those of one sign-in.
    Session(Tag),
    /// Every one of somebody.
    Subject(Tag),
}

/// Whether tokens were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Somebody else was first, or the session is over.
    No,
    /// They were.
    Yes,
}

/// Stores a session, and ends the one whose place it takes and those past [`SESSIONS_MAX`].
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewBrowserSession,
    now: UnixTime,
) -> Result<(), StoreError> {
    if let Some(replaced) = &new.replaces {
        end(tx, tenant, replaced).await?;
    }
    let upstream: Option<Vec<u8>> = new
        .upstream_session
        .as_ref()
        .map(|tag| tag.as_bytes().to_vec());
    let values = args![
        tenant.as_str(),
        new.handle.as_bytes(),
        new.name.as_str(),
        new.subject.as_bytes(),
        upstream,
        new.sealed.clone(),
        now.0,
        new.expires.0
    ];
    tx.execute(&sql::ADD, values).await?;
    let values = args![
        tenant.as_str(),
        new.name.as_str(),
        new.subject.as_bytes(),
        i64::from(SESSIONS_MAX)
    ];
    tx.execute(&sql::END_SURPLUS, values).await.map(drop)
}

/// Ends a session, if it is there.
pub(crate) async fn end(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &Tag,
) -> Result<(), StoreError> {
    tx.execute(&sql::END, args![tenant.as_str(), handle.as_bytes()])
        .await
        .map(drop)
}

/// Ends every session of a name that began at `said` or before and is theirs.
pub(crate) async fn end_of(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    whose: &Whose,
    said: UnixTime,
) -> Result<(), StoreError> {
    let (statement, tag) = match whose {
        Whose::Session(tag) => (&sql::END_OF_UPSTREAM_SESSION, tag),
        Whose::Subject(tag) => (&sql::END_OF_SUBJECT, tag),
    };
    let values = args![tenant.as_str(), name, tag.as_bytes(), said.0];
    tx.execute(statement, values).await.map(drop)
}

/// The session of this cookie. Whether it is still alive is the caller's to judge.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    handle: &Tag,
) -> Result<Option<BrowserSession>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), handle.as_bytes()])
        .await?;
    row.map(|row| {
        Ok(BrowserSession {
            name: row.get(0)?,
            sealed: row.get(1)?,
            generation: row.get(2)?,
            created: UnixTime(row.get(3)?),
            used: UnixTime(row.get(4)?),
            expires: UnixTime(row.get(5)?),
        })
    })
    .transpose()
}

impl Store {
    /// Replaces the tokens of a session whose generation is still this one.
    ///
    /// # Errors
    /// When the database failed; nothing was changed.
    pub async fn replace_browser_tokens(
        &self,
        tenant: &Tenant,
        handle: &Tag,
        generation: i64,
        sealed: Vec<u8>,
    ) -> Result<Replaced, StoreError> {
        let (tenant, handle) = (tenant.clone(), handle.clone());
        let changed = self
            .write(move |tx| {
                Box::pin(async move {
                    let values = args![tenant.as_str(), handle.as_bytes(), sealed, generation];
                    tx.execute(&sql::REPLACE, values).await
                })
            })
            .await?;
        Ok(if changed == 0 {
            Replaced::No
        } else {
            Replaced::Yes
        })
    }

    /// Remembers that a session was used.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn browser_session_used(
        &self,
        tenant: &Tenant,
        handle: &Tag,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (tenant, handle) = (tenant.clone(), handle.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let values = args![tenant.as_str(), handle.as_bytes(), now.0];
                tx.execute(&sql::USED, values).await.map(drop)
            })
        })
        .await
    }
}

/// The table's name in the place that a sealed row is bound to.
pub const NAME: &str = TABLE;
