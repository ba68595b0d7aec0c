//! Side-by-side measurements and the crash test, on loopback only and bounded in time.
//!
//! The headline of a measurement is requests per second of the server's CPU time (user and system, as the operating system counts it), which stays
//! comparable on a busy machine. `limit` rows say what the same machine does for the unavoidable part of the work alone.

pub(crate) mod admin;
pub mod answers;
pub mod browser;
pub mod chaos;
pub mod chaos_keys;
pub mod chaos_webhooks;
pub mod clients;
pub mod cpu;
pub(crate) mod form;
pub mod load;
pub mod open_loop;
pub mod page;
pub mod peers;
pub mod report;
pub mod running;
pub mod server;
pub mod soak;
pub mod suites;
pub mod tls_receiver;
pub mod upstream;
pub mod zipf;

/// Why something could not be measured or checked.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;
