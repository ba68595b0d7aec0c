//! Durable state: SQLite and PostgreSQL behind the same typed tables, the journal and the tiles.
//!
//! What must happen together is one unit of work in one transaction ([`Store::issue`], [`Store::spend`], [`Store::change`]); what is
//! answered was durable before. This crate decides nothing: judges come in as pure functions, and what they return is written.
//!
//! Only this crate makes a [`Recorded`], the evidence that a decision stands in the audit log or in the transaction beside it.

pub mod audit;
pub mod backup;
pub mod catalogue;
mod deliver;
mod details;
mod engine;
mod error;
pub mod idempotency;
mod judged;
mod logout;
mod outbox;
mod parsed;
mod record;
pub mod redis;
mod replay;
mod revise;
mod rewrap;
mod spend;
mod store;
mod subjects;
mod sweep;
pub mod tables;
pub mod webhooks;
mod write;

pub use deliver::{Lease, Settlement};
pub use details::{AT_HAND_UNASKED_MAX, DetailError, Details, EraseError, Keks};
pub use engine::{Connection, StoreOptions, StoreUrl, Transaction};
pub use error::{Constraint, StoreError};
pub use judged::{Judged, Settled};
pub use logout::Told;
pub use record::{
    About, Durability, Ending, RecordError, Recordable, Recorded, Recorder, commitment,
};
pub use replay::{MessageReplayed, ReplayMemory};
pub use rewrap::{
    Finished, KEK_VERSIONS_MAX, KekProgress, KeksDestroyed, RewrapTurn, SEALED_COLUMNS,
    SealedColumn, kek_status,
};
pub use spend::{AssertionReplayed, Loaded, Loot, Presented};
pub use store::Store;
pub use subjects::{ForgetError, KeepEpochs, SubjectDataKey, SubjectKeyError, Subjects};
pub use sweep::{Sweep, Swept};
pub use tables::authenticators::AuthenticatorChange;
pub use tables::decoupled_requests::NewDecoupled;
pub use tables::deliveries::{Delivery, DeliveryId, Destination, NewDelivery};
pub use tables::one_time::{
    AuthReqId, AuthorizationCode, BrowserLogin, DeviceCode, HandleHash, InitialAccessToken, Kind,
    NewOneTime, OneTime, PasskeyChallenge, RequestUri, UpstreamState, UserCode,
};
pub use write::{Write, record_event};
