//! What issuers publish at an HTTPS address (keys, metadata), fetched through the guard for addresses that somebody else named, and kept a while.

use countersign_base::{Clock, Duration, UnixTime};
use countersign_net::{FetchRules, GuardedClient};
use countersign_vault::work::Unreachable;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Bytes of one document.
const BYTES_MAX: usize = 256 * 1024;
/// Documents that are kept.
const KEPT_MAX: usize = 1_000;
/// How long an answer is kept. What an issuer withdraws is believed for so long.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// How long it is remembered that an address does not answer.
const COOLDOWN: Duration = Duration::from_secs(10);

type Document = Result<String, Unreachable>;

/// The documents.
pub(super) struct Documents {
    outside: GuardedClient,
    clock: Clock,
    kept: Mutex<HashMap<String, (Document, UnixTime)>>,
}

impl Documents {
    pub(super) fn new(outside: GuardedClient, clock: Clock) -> Self {
        Self {
            outside,
            clock,
            kept: Mutex::default(),
        }
    }

    /// What the address answers.
    pub(super) async fn fetch(&self, address: &str) -> Document {
        let now = self.clock.now();
        if let Some((document, until)) = self.lock().get(address)
            && now < *until
        {
            return document.clone();
        }
        let document = self.ask(address).await;
        let lasts = if document.is_ok() { KEPT_FOR } else { COOLDOWN };
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let until = self.clock.now().plus(lasts);
        kept.insert(address.to_owned(), (document.clone(), until));
        document
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Document, UnixTime)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, address: &str) -> Document {
        let url = Url::parse(address).map_err(|_| Unreachable)?;
        let fetched = self
            .outside
            .fetch(&url, &FetchRules::json(BYTES_MAX))
            .await
            .map_err(|error| {
                tracing::warn!(
                    event = "vault_document_not_fetched",
                    reason = error.reason()
                );
                Unreachable
            })?;
        String::from_utf8(fetched.body.to_vec()).map_err(|_| Unreachable)
    }
}
