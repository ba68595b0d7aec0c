//! `[store]`: which database holds the state. SQLite in the data directory unless told otherwise.

use super::span::SecretReference;
use serde::Deserialize;

/// `[store]` as written and as used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Where the URL of a PostgreSQL server stands; it holds a password, so it is a reference. Without it, SQLite.
    pub postgres: Option<SecretReference>,
}
