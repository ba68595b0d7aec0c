//! The columns that the key-encryption key seals: how each is walked, and how what stands in one is replaced if it is still what was read.
//!
//! A column that is missing here would keep an old version from ever being rewrapped, and be lost when it goes: a test compares the list with the classified columns, and
//! another looks for the old version's name in every row of a database that was rotated.

use crate::catalogue::webhooks::{webhook_messages, webhook_secrets};
use crate::catalogue::{
    Statement, browser_sessions, decoupled_requests, deliveries, event_details, idempotency_keys,
    settings, signing_keys, subject_keys, totp_secrets, vault_keys,
};
use crate::engine::{Row, Value, args};
use crate::tables::{decode, encode, parsed};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Bounded, GrantId, Tenant};
use countersign_crypto::base64url;
use countersign_keys::rewrap::{Cursor, Replacement, RewrapRow, RewrapTable};
use countersign_keys::{Aad, KeyId, KeyVersion, Sealed};
use countersign_oauth::decoupled::{DecoupledRequest, PingDelivery};
use std::collections::BTreeMap;

/// A column in which the key-encryption key seals.
#[derive(Debug)]
pub struct SealedColumn {
    /// Its table.
    pub table: &'static str,
    /// Its name.
    pub column: &'static str,
    key: Key,
    form: Form,
    count: &'static Statement,
    /// Without it, every row is looked at: the envelope is inside of a text.
    named: Option<&'static Statement>,
    page: &'static Statement,
    reseal: &'static Statement,
}

/// What names a row within its tenant.
#[derive(Debug, Clone, Copy)]
enum Key {
    Bytes,
    Number,
    Text,
}

/// How the envelope stands in the column.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As it is.
    Envelope,
    /// In the request of another device.
    Notification,
    /// In a delivery.
    Ping,
    /// As a value of the installation.
    Setting,
}

macro_rules! column {
    ($table:ident.$column:literal, $key:ident, $form:ident, $named:expr) => {
        SealedColumn {
            table: stringify!($table),
            column: $column,
            key: Key::$key,
            form: Form::$form,
            count: &$table::KEYED_COUNT,
            named: $named,
            page: &$table::KEYED_PAGE,
            reseal: &$table::KEYED_RESEAL,
        }
    };
}

/// All of them. What stands under people's or tenants' keys is not among them: those keys are.
pub static SEALED_COLUMNS: &[SealedColumn] = &[
    column!(browser_sessions."sealed", Bytes, Envelope, Some(&browser_sessions::KEYED_NAMED)),
    column!(decoupled_requests."record", Number, Notification, None),
    column!(deliveries."record", Bytes, Ping, None),
    column!(event_details."sealed", Bytes, Envelope, Some(&event_details::KEYED_NAMED)),
    column!(idempotency_keys."sealed", Bytes, Envelope, Some(&idempotency_keys::KEYED_NAMED)),
    column!(settings."value", Text, Setting, Some(&settings::KEYED_NAMED)),
    column!(signing_keys."sealed", Text, Envelope, Some(&signing_keys::KEYED_NAMED)),
    column!(subject_keys."wrapped", Bytes, Envelope, Some(&subject_keys::KEYED_NAMED)),
    column!(totp_secrets."sealed", Bytes, Envelope, Some(&totp_secrets::KEYED_NAMED)),
    column!(vault_keys."wrapped", Bytes, Envelope, Some(&vault_keys::KEYED_NAMED)),
    column!(webhook_messages."sealed", Bytes, Envelope, Some(&webhook_messages::KEYED_NAMED)),
    column!(webhook_secrets."sealed", Bytes, Envelope, Some(&webhook_secrets::KEYED_NAMED)),
];

/// A page of a column: its rows for the machine, and what was read, to write replacements by.
pub(super) struct Page {
    pub(super) rows: Vec<RewrapRow>,
    read: BTreeMap<Vec<u8>, Stored>,
}

/// A row as it was read.
struct Stored {
    tenant: String,
    key: Value,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    Notification(Box<DecoupledRequest>, String),
    Ping(Box<PingDelivery>, String),
}

/// The column that a rewrap names.
pub(super) fn named(table: &str) -> Result<&'static SealedColumn, StoreError> {
    SEALED_COLUMNS
        .iter()
        .find(|column| column.table == table)
        .ok_or_else(|| StoreError::corrupt("settings", "a rewrap names a table that is not walked"))
}

/// Every column with the number of its rows, for a rewrap to begin with.
pub(super) async fn counted(connection: &mut Connection) -> Result<Vec<RewrapTable>, StoreError> {
    let mut tables = Vec::with_capacity(SEALED_COLUMNS.len());
    for column in SEALED_COLUMNS {
        let row = connection.fetch_optional(column.count, args![]).await?;
        let count = row.map_or(Ok(0), |row| row.get::<i64>(0))?;
        tables.push(RewrapTable {
            name: column.table.to_owned(),
            rows: u64::try_from(count).unwrap_or(0),
        });
    }
    Ok(tables)
}

/// Whether anything in any column names this version: its table, if so.
pub(super) async fn naming(
    connection: &mut Connection,
    id: KeyId,
    version: KeyVersion,
    page: u16,
) -> Result<Option<&'static str>, StoreError> {
    let name = [id.as_bytes().as_slice(), &version.0.to_be_bytes()].concat();
    for column in SEALED_COLUMNS {
        let found = match column.named {
            Some(named) => connection
                .fetch_optional(named, args![name.as_slice()])
                .await?
                .is_some(),
            None => named_in_texts(connection, column, (id, version), page).await?,
        };
        if found {
            return Ok(Some(column.table));
        }
    }
    Ok(None)
}

async fn named_in_texts(
    connection: &mut Connection,
    column: &SealedColumn,
    name: (KeyId, KeyVersion),
    limit: u16,
) -> Result<bool, StoreError> {
    let mut after = None;
    loop {
        let page = column.page(connection, after.as_ref(), limit).await?;
        let Some(last) = page.rows.last() else {
            return Ok(false);
        };
        after = Some(last.cursor.clone());
        if page.rows.iter().any(|row| row.sealed.key() == Ok(name)) {
            return Ok(true);
        }
    }
}

impl SealedColumn {
    /// Up to `limit` rows after `cursor`.
    pub(super) async fn page(
        &self,
        connection: &mut Connection,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let (tenant, key) = match cursor {
            None => (String::new(), self.first_key()),
            Some(cursor) => self.place(cursor)?,
        };
        let limit = i64::from(limit);
        let values = match self.form {
            Form::Setting => vec![key, Value::Int(limit)],
            Form::Envelope | Form::Notification | Form::Ping => {
                vec![Value::Text(tenant), key, Value::Int(limit)]
            }
        };
        let mut page = Page {
            rows: Vec::new(),
            read: BTreeMap::new(),
        };
        for row in connection.fetch_all(self.page, values).await? {
            let (row, stored) = self.read(&row)?;
            page.read.insert(row.cursor.as_bytes().to_vec(), stored);
            page.rows.push(row);
        }
        Ok(page)
    }

    /// Writes a replacement, unless the row is gone or another than it was read; whether it was written.
    pub(super) async fn reseal(
        &self,
        tx: &mut Transaction,
        page: &Page,
        replacement: &Replacement,
    ) -> Result<bool, StoreError> {
        let Some(stored) = page.read.get(replacement.cursor.as_bytes()) else {
            return Ok(false);
        };
        let new = replacement.new.as_bytes().to_vec();
        let key = stored.key.clone();
        let values = match &stored.content {
            Content::Bytes(old) => match self.form {
                Form::Setting => vec![key, Value::Blob(new), Value::Blob(old.clone())],
                Form::Envelope | Form::Notification | Form::Ping => {
                    let tenant = Value::Text(stored.tenant.clone());
                    vec![tenant, key, Value::Blob(new), Value::Blob(old.clone())]
                }
            },
            Content::Notification(request, old) => {
                let mut request = request.clone();
                request.notification = Some(self.text(&new)?);
                self.texts(stored, encode(self.table, &*request)?, old)
            }
            Content::Ping(delivery, old) => {
                let mut delivery = delivery.clone();
                delivery.notice = self.text(&new)?;
                self.texts(stored, encode(self.table, &*delivery)?, old)
            }
        };
        Ok(tx.execute(self.reseal, values).await? == 1)
    }

    fn texts(&self, stored: &Stored, new: String, old: &str) -> Vec<Value> {
        vec![
            Value::Text(stored.tenant.clone()),
            stored.key.clone(),
            Value::Text(new),
            Value::Text(old.to_owned()),
        ]
    }

    fn text<const N: usize>(&self, sealed: &[u8]) -> Result<Bounded<N>, StoreError> {
        Bounded::parse(&base64url::encode(sealed))
            .map_err(|_| StoreError::corrupt(self.table, "what is sealed anew is too long"))
    }

    fn read(&self, row: &Row) -> Result<(RewrapRow, Stored), StoreError> {
        let (tenant, at) = match self.form {
            Form::Setting => (String::new(), 0),
            Form::Envelope | Form::Notification | Form::Ping => (row.get::<String>(0)?, 1),
        };
        let (key, name) = match self.key {
            Key::Bytes => {
                let key: Vec<u8> = row.get(at)?;
                (Value::Blob(key.clone()), key)
            }
            Key::Number => {
                let key: i64 = row.get(at)?;
                (Value::Int(key), key.to_be_bytes().to_vec())
            }
            Key::Text => {
                let key: String = row.get(at)?;
                (Value::Text(key.clone()), key.into_bytes())
            }
        };
        let (content, sealed, aad) = self.content(row, at + 1, &tenant, &name)?;
        // A tenant's name holds no zero byte.
        let cursor = Cursor::new([tenant.as_bytes(), b"\0", &name].concat());
        let stored = Stored {
            tenant,
            key,
            content,
        };
        let row = RewrapRow {
            cursor,
            aad,
            sealed,
        };
        Ok((row, stored))
    }

    fn content(
        &self,
        row: &Row,
        at: usize,
        tenant: &str,
        name: &[u8],
    ) -> Result<(Content, Sealed, Aad), StoreError> {
        match self.form {
            Form::Envelope => {
                let sealed: Vec<u8> = row.get(at)?;
                let aad = Aad::row(&parsed(self.table, tenant)?, self.table, self.column, name);
                let content = Content::Bytes(sealed.clone());
                Ok((content, Sealed::from_bytes(sealed), aad))
            }
            Form::Setting => {
                let sealed: Vec<u8> = row.get(at)?;
                let place = match name {
                    b"authority_key" => "authority key",
                    _ => "log key",
                };
                let content = Content::Bytes(sealed.clone());
                Ok((
                    content,
                    Sealed::from_bytes(sealed),
                    Aad::installation(place),
                ))
            }
            Form::Notification => {
                let text: String = row.get(at)?;
                let request: DecoupledRequest = decode(self.table, &text)?;
                let sealed = request.notification.as_ref();
                let sealed = self.envelope(sealed.map_or("", |sealed| sealed.as_str()))?;
                let aad = notice(&parsed(self.table, tenant)?, request.grant);
                Ok((Content::Notification(Box::new(request), text), sealed, aad))
            }
            Form::Ping => {
                let text: String = row.get(at)?;
                let ping: PingDelivery = decode(self.table, &text)?;
                let sealed = self.envelope(ping.notice.as_str())?;
                let aad = notice(&parsed(self.table, tenant)?, ping.grant);
                Ok((Content::Ping(Box::new(ping), text), sealed, aad))
            }
        }
    }

    fn envelope(&self, text: &str) -> Result<Sealed, StoreError> {
        base64url::decode(text)
            .map(Sealed::from_bytes)
            .map_err(|_| StoreError::corrupt(self.table, "a sealed notification is no base64url"))
    }

    fn first_key(&self) -> Value {
        match self.key {
            Key::Bytes => Value::Blob(Vec::new()),
            Key::Number => Value::Int(i64::MIN),
            Key::Text => Value::Text(String::new()),
        }
    }

    fn place(&self, cursor: &Cursor) -> Result<(String, Value), StoreError> {
        let broken = || StoreError::corrupt("settings", "the cursor of a rewrap is none");
        let bytes = cursor.as_bytes();
        let end = bytes.iter().position(|byte| *byte == 0);
        let (tenant, name) = end
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or_else(broken)?;
        let name = name
            .split_first()
            .map_or(&[] as &[u8], |(_zero, name)| name);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
        let key = match self.key {
            Key::Bytes => Value::Blob(name.to_vec()),
            Key::Number => Value::Int(i64::from_be_bytes(name.try_into().map_err(|_| broken())?)),
            Key::Text => Value::Text(text(name)?),
        };
        Ok((text(tenant)?, key))
    }
}

/// Where a notification belongs, in the request and in its delivery.
fn notice(tenant: &Tenant, grant: GrantId) -> Aad {
    let row = grant.as_u64().to_be_bytes();
    Aad::row(tenant, "decoupled_requests", "notification", &row)
}
