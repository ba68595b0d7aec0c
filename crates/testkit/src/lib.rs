//! Fakes and fixtures for the tests: a clock that stands, randomness that repeats, certificates, a collector of traces that remembers what it was sent,
//! an authenticator for passkeys, and somebody who calls a server.
//!
//! Not here: the whole server; the `countersign` crate starts it in the test's process (`countersign::run`).

mod authenticator;
mod caller;
mod certificates;
mod clock;
mod collector;
mod fabric;
mod identity_provider;
mod internet;
pub mod random;
mod redis;

pub use authenticator::{Authenticator, USER_PRESENT, USER_VERIFIED};
pub use caller::{Answer, Caller, CookieJar, basic, claims_of};
pub use certificates::TestAuthority;
pub use clock::{FakeClock, system_clock};
pub use collector::{FakeCollector, ReceivedSpan};
pub use fabric::{TestFabric, tenant};
pub use identity_provider::FakeIdentityProvider;
pub use internet::{FakeInternet, Heard, Held, Said};
pub use random::seeded;
pub use redis::RedisServer;
