//! Redis or Valkey: counts and idempotency keys that several processes share.
//!
//! One task of the runtime that started it owns the connection; the cores that serve requests reach it through a bounded channel
//! ([`SharedCounters`]). All counts of one request are checked and charged by one script in one round trip, or none of them is.
//! Time is the server's alone: clocks of gateways that differ make no caller's window longer or shorter.
//!
//! What is in there is names under a key of ours, numbers, and answers sealed: no client, no subject, no address can be read from it. Everything carries an
//! expiry. A server that does not answer in time is away ([`Away`]), and whoever asked decides what that means; this module opens no door.
//!
//! Not here: durable state. A Redis that loses everything costs counts, and what was known of keys.

mod counters;
mod keys;
mod link;
mod presence;

pub use counters::{
    Charged, Counted, CounterAsk, CounterName, CounterRule, CounterState, KEYS_MAX,
};
pub use keys::{Found, KeyEnd, KeyHeld, RUNNING_MAX, SharedKey, SharedKeys};
pub use link::{Away, CounterClock, PasswordSource, RedisAddress, RedisOptions, SharedCounters};
pub use presence::Presence;
