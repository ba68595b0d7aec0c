//! The typed tables, one module each. Nothing outside this folder knows a column.
//!
//! Functions that read take a [`Connection`](crate::Connection), functions that write take a [`Transaction`](crate::Transaction),
//! which only a unit of work has. What belongs to a tenant is never reached without naming the tenant.

pub mod access_tokens;
pub mod api_keys;
pub mod assertions;
pub mod audit_outbox;
pub mod authenticators;
pub mod browser_sessions;
pub mod clients;
pub mod consents;
pub mod decoupled_requests;
pub mod deliveries;
pub mod erasures;
pub mod event_details;
pub mod exchanges;
pub mod grant_assertions;
pub mod grants;
pub(crate) mod idempotency_keys;
pub mod identity_providers;
pub mod keks;
pub(crate) mod logout_fanouts;
pub mod one_time;
pub mod refresh_families;
pub mod revocations;
pub mod sessions;
pub mod settings;
pub mod signing_keys;
pub mod subject_keys;
pub mod tenants;
pub mod throttle;
pub mod upstream_links;
pub mod upstream_sessions;
pub mod used_proofs;
pub mod user_groups;
pub mod users;
pub mod vault_entries;
pub mod vault_keys;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
pub mod webhook_event_types;
pub mod webhook_messages;
pub mod webhook_receipts;
pub mod webhook_secrets;

use crate::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most rows that one page of a listing has.
pub const PAGE_MAX: u16 = 500;

pub(crate) fn encode<R: Serialize>(table: &'static str, record: &R) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::corrupt(table, error))
}

pub(crate) fn decode<R: DeserializeOwned>(
    table: &'static str,
    text: &str,
) -> Result<R, StoreError> {
    // The position is enough to find the fault; serde's own message could repeat a stored value.
    serde_json::from_str(text).map_err(|error| {
        StoreError::corrupt(
            table,
            format_args!("its record fails at column {}", error.column()),
        )
    })
}

fn bytes<const N: usize>(table: &'static str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| {
        StoreError::corrupt(
            table,
            format_args!("an identifier has {} bytes instead of {N}", bytes.len()),
        )
    })
}

pub(crate) fn parsed<T: std::str::FromStr>(
    table: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::corrupt(table, "a name does not have its grammar"))
}

fn page(limit: u16) -> i64 {
    i64::from(limit.min(PAGE_MAX))
}
