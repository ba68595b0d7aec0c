//! The two databases behind one connection type. Nothing here knows a table, but that units leave events for the outbox of the audit log.
//!
//! A statement is written once, with `$1` parameters, and runs on both; what differs between the engines (how a transaction
//! begins, how units share a commit, how a row is locked) stands in the modules below and nowhere else.

mod connection;
mod group;
mod migrate;
mod open;
mod sqlite;
mod transact;
mod unit;

pub use connection::{Connection, Transaction};
pub(crate) use connection::{Row, Value, args};
pub(crate) use group::GroupCommit;
pub(crate) use migrate::{MIGRATIONS_POSTGRES, MIGRATIONS_SQLITE, migrate};
pub use open::{StoreOptions, StoreUrl};
pub(crate) use open::{open_postgres, open_sqlite};
pub(crate) use sqlite::Readers;
pub(crate) use transact::run_postgres;
pub(crate) use unit::{Once, Unit};
