//! One set of behaviours for both engines.
//!
//! Each behaviour runs on SQLite in a temporary directory, and on PostgreSQL in a schema of its own if the environment variable
//! `COUNTERSIGN_TEST_POSTGRES` holds the address of a server; otherwise that half says that it is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail it by panicking"
)]

mod access_tokens;
mod api_keys;
mod assertions;
mod browser_sessions;
mod client_credentials;
mod crash;
mod decoupled;
mod deliveries;
mod fixture;
mod grant_assertions;
mod idempotency_keys;
mod logouts;
mod nodes;
mod one_time;
mod refresh;
mod reopening;
mod rewrap;
mod sample;
mod statements;
mod sweeps;
mod tables;
mod upstream;
mod used_proofs;
mod vault_entries;
mod webhook_messages;
mod webhook_order;
mod webhook_plans;
mod webhooks;

/// Declares the behaviours of a module as tests of both engines.
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Fixture::sqlite().await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(fixture) = crate::fixture::Fixture::postgres().await {
                    super::$name(fixture.clone()).await;
                    fixture.remove().await;
                }
            })*
        }
    };
}
pub(crate) use behaviours;
