//! Durable state: SQLite and PostgreSQL, the journal and the tiles.

pub mod audit;
