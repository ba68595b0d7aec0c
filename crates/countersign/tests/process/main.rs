//! The program itself, as a process: its command line, and what must never be found in anything that it writes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests, outside of test functions too"
)]

mod agent_output;
mod canary;
mod command_line;
mod idempotency;
mod key_server;
mod key_sets;
mod message;
mod partners;
mod policies;
mod server;
mod webhooks;
