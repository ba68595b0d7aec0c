//! What runs the fabric: the open key hierarchy, the key ring and its rotation, minting, snapshots of tenants and clients, conversations with other identity providers, revocations, reconciliation of
//! configuration, background jobs, and what is measured and logged.
//!
//! Not here: anything that answers a request (`api`, `gateway`), and files of configuration (`countersign`).

pub mod administrator;
pub mod api_keys;
pub mod authority;
pub mod browser_sessions;
pub mod ciba_notice;
pub mod client_keys;
pub mod deliveries;
pub mod directory;
pub mod erasure;
pub mod exchange;
pub mod fabric;
pub mod foreign_keys;
mod jobs;
pub mod keyring;
pub mod metrics;
pub mod mint;
pub mod opaque;
pub mod passwords;
pub mod policy_time;
pub mod reconcile;
pub mod revocations;
pub mod root;
pub mod rotation;
pub mod schemas;
pub mod seal;
pub mod secrets;
pub mod subjects;
pub mod telemetry;
pub mod traces;
pub mod upstream;
pub mod vault;
pub mod vault_sql;
pub mod webhooks;
pub mod wrong_codes;

pub use authority::Authority;
pub use ciba_notice::CibaNotice;
pub use client_keys::{ClientKeys, Wanted};
pub use directory::Directory;
pub use fabric::{Fabric, FabricOptions, Progress, StartError};
pub use foreign_keys::{
    FollowedKeys, ForeignKey, ForeignKeys, ForeignOrigin, ForeignSet, ForeignSource, KeyFormat,
    KeysOf,
};
pub use keyring::{KeyRing, KeyRingError, KeyRingOptions, PublishedKeys, Signer};
pub use metrics::Metrics;
pub use mint::revocation_list::{ListError, revocation_list};
pub use mint::{MintError, TokenSet, mint, sign_introspection, sign_userinfo};
pub use passwords::{PasswordPool, PoolBusy};
pub use reconcile::{Declared, DeclaredClient, DeclaredUser};
pub use revocations::RevocationTable;
pub use root::RootSource;
pub use rotation::HierarchyOptions;
pub use secrets::Secrets;
pub use traces::{TraceOptions, Traces};
pub use upstream::{Upstream, UpstreamCredential, UpstreamError, UpstreamOptions, Upstreams};
