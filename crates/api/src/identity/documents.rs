//! Clients that are the address of their own metadata document: found, fetched through the egress guard, decided by policy, and kept while they are fresh.
//!
//! A document is fetched at the client's first request and when it has grown old. The row in the store is written when a person's approval makes a code, so that
//! strangers cannot fill it; from then on it follows the document. While its server is not reached, what was read of it counts for a day. A server that is reached and
//! does not give a good document has withdrawn it: the client is disabled, with every token it has, until the document is there again.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use super::record;
use super::register::permitted;
use countersign_audit::Code;
use countersign_audit::event::{Actor, ClientChanged, RegistrationRefused};
use countersign_base::{ClientId, Duration, Tenant, UnixTime};
use countersign_crypto::jose::Algorithm;
use countersign_net::{FetchRules, FetchVerdict};
use countersign_oauth::ClientRecord;
use countersign_oauth::registration::document::{DOCUMENT_BYTES_MAX, FRESH_MAX, freshness};
use countersign_oauth::registration::{Proposal, document_client};
use countersign_oauth::tenant::registration::MetadataDocuments;
use countersign_store::{StoreError, Write};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// Documents that are kept; past it all are forgotten and fetched again.
const DOCUMENTS_MAX: usize = 1000;
/// How long nobody looks again for a document that could not be had.
const FAILED_FOR: Duration = Duration::from_secs(30);

/// What was found lately.
#[derive(Default)]
pub(super) struct Documents(Mutex<HashMap<(Tenant, ClientId), Known>>);

struct Known {
    record: Option<Arc<ClientRecord>>,
    until: UnixTime,
}

impl Documents {
    fn find(
        &self,
        tenant: &Tenant,
        id: &ClientId,
        now: UnixTime,
    ) -> Option<Option<Arc<ClientRecord>>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(tenant.clone(), id.clone()))
            .filter(|known| now < known.until)
            .map(|known| known.record.clone())
    }

    fn keep(
        &self,
        tenant: &Tenant,
        id: &ClientId,
        record: Option<Arc<ClientRecord>>,
        until: UnixTime,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DOCUMENTS_MAX {
            known.clear();
        }
        known.insert((tenant.clone(), id.clone()), Known { record, until });
    }
}

/// The client of this id, of whatever kind.
pub(super) async fn client(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
) -> Result<Option<Arc<ClientRecord>>, Failure> {
    match id.document_url() {
        None => Ok(identity
            .fabric
            .directory()
            .client(&call.tenant.name, id)
            .await?),
        Some(_) if call.tenant.registration.documents == MetadataDocuments::Refused => Ok(None),
        Some(url) => Box::pin(of_document(identity, call, id, url)).await,
    }
}

/// What has to be written beside an approval, so that the client of a document is there for what comes of it.
pub(super) async fn row(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
) -> Result<Option<Write>, Failure> {
    if id.document_url().is_none() {
        return Ok(None);
    }
    let record = client(identity, call, id).await?;
    Ok(record.map(|record| Write::FollowDocument(Box::new((*record).clone()))))
}

async fn of_document(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    url: &str,
) -> Result<Option<Arc<ClientRecord>>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let now = fabric.now();
    let stored = fabric.directory().client(tenant, id).await?;
    // Who was disabled here is so whatever is remembered of the document.
    if let Some(stored) = stored.as_ref().filter(|stored| is_shut(stored)) {
        return Ok(Some(Arc::clone(stored)));
    }
    let withdrawn = stored.as_ref().is_some_and(|stored| !stored.enabled);
    if let Some(known) = identity.documents.find(tenant, id, now) {
        // What another node saw withdrawn is looked at again, whatever is remembered here.
        let outdated = withdrawn && known.as_ref().is_some_and(|known| known.enabled);
        if !outdated {
            return Ok(known);
        }
    }
    if let Some(stored) = &stored
        && stored.enabled
        && fresh_until(stored) > now
    {
        return Ok(Some(Arc::clone(stored)));
    }
    identity.slow_down(call)?;
    let (record, until) = match look(identity, call, id, url).await? {
        Looked::Denied => return Ok(None),
        Looked::Good(record) => {
            let record = taken_up(identity, call, stored.as_deref(), *record).await?;
            let until = fresh_until(&record);
            (Some(record), until)
        }
        Looked::Refused => (
            withdraw(identity, call, stored).await?,
            now.plus(FAILED_FOR),
        ),
        // What was read of it before counts for a day; what was withdrawn stays so.
        Looked::Unreachable => (
            stored.filter(|stored| !stored.enabled || fresh_until(stored).plus(FRESH_MAX) > now),
            now.plus(FAILED_FOR),
        ),
    };
    identity.documents.keep(tenant, id, record.clone(), until);
    Ok(record)
}

/// Disabled by somebody here, and not because its document was withdrawn.
fn is_shut(stored: &ClientRecord) -> bool {
    !stored.enabled && stored.registration.document_withdrawn.is_none()
}

fn fresh_until(record: &ClientRecord) -> UnixTime {
    record
        .registration
        .document_fresh_until
        .unwrap_or(UnixTime(0))
}

/// What came of a look at a document.
enum Looked {
    /// It is good, and policy does not want it now. That is no word about the document: another request may be answered otherwise.
    Denied,
    /// It is good.
    Good(Box<ClientRecord>),
    /// Its server does not give it, or gives what is no document of this client.
    Refused,
    /// Its server was not heard.
    Unreachable,
}

/// Why there is no good document.
struct NoDocument {
    reason: &'static str,
    verdict: FetchVerdict,
}

impl NoDocument {
    const fn refused(reason: &'static str) -> Self {
        Self {
            reason,
            verdict: FetchVerdict::Refused,
        }
    }
}

/// Fetches and judges. Why there is no good document is in the log.
async fn look(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    url: &str,
) -> Result<Looked, Failure> {
    let proposal = match proposal(identity, call, id, url).await {
        Ok(proposal) => proposal,
        Err(NoDocument { reason, verdict }) => {
            let event = RegistrationRefused {
                client: None,
                error: Code::of("invalid_client"),
                reason: Code::of(reason),
            };
            record::refused(identity, call, event)?;
            return Ok(match verdict {
                FetchVerdict::Refused => Looked::Refused,
                FetchVerdict::Unreachable => Looked::Unreachable,
            });
        }
    };
    match permitted(identity, call, proposal).await {
        Ok(recorded) => {
            let record = recorded.into_target().into_proposal().into_record();
            Ok(Looked::Good(Box::new(record)))
        }
        Err(Failure::Registration(_)) => Ok(Looked::Denied),
        Err(failure) => Err(failure),
    }
}

async fn proposal(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    url: &str,
) -> Result<Proposal, NoDocument> {
    let fabric = &identity.fabric;
    let url = Url::parse(url).map_err(|_| NoDocument::refused("url"))?;
    let rules = FetchRules::json(DOCUMENT_BYTES_MAX);
    let fetched = fabric
        .outside()
        .fetch(&url, &rules)
        .await
        .map_err(|error| NoDocument {
            reason: error.reason(),
            verdict: error.verdict(),
        })?;
    let algorithm = fabric.keys().algorithms().first().copied();
    document_client(
        id,
        &fetched.body,
        &call.tenant,
        algorithm.unwrap_or(Algorithm::Es256),
        freshness(fetched.max_age),
        fabric.now(),
    )
    .map_err(|refusal| NoDocument::refused(refusal.reason()))
}

/// The client as it is now. If it has a row that says otherwise, the row follows.
async fn taken_up(
    identity: &Identity,
    call: &Call,
    stored: Option<&ClientRecord>,
    mut record: ClientRecord,
) -> Result<Arc<ClientRecord>, Failure> {
    if let Some(stored) = stored {
        record.created = stored.created;
        let row = Box::new(record.clone());
        let write = if stored.enabled {
            Write::FollowDocument(row)
        } else {
            Write::RestoreDocument(row)
        };
        changed(identity, call, &record.id, ("document", write)).await?;
    }
    Ok(Arc::new(record))
}

/// The client, disabled, if it has a row.
async fn withdraw(
    identity: &Identity,
    call: &Call,
    stored: Option<Arc<ClientRecord>>,
) -> Result<Option<Arc<ClientRecord>>, Failure> {
    let stored = match stored {
        Some(stored) if stored.enabled => stored,
        none_or_disabled => return Ok(none_or_disabled),
    };
    let (fabric, now) = (&identity.fabric, identity.fabric.now());
    let write = Write::WithdrawDocument(stored.id.clone());
    match changed(identity, call, &stored.id, ("withdrawn", write)).await {
        // Whoever was quicker has ended it.
        Ok(()) | Err(StoreError::Superseded(_)) => {}
        Err(error) => return Err(error.into()),
    }
    // No token of it is taken on this node once the answer has left.
    fabric.revocations().refresh(fabric.store(), now).await?;
    let mut record = (*stored).clone();
    record.enabled = false;
    record.registration.document_withdrawn = Some(now);
    Ok(Some(Arc::new(record)))
}

/// Writes what became of a client's row, and its event.
async fn changed(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    (change, write): (&'static str, Write),
) -> Result<(), StoreError> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let event = ClientChanged {
        by: Actor::Client(id.clone()),
        change: Code::of(change),
        client: id.clone(),
    };
    let event = fabric.recorder().about_event(tenant, Some(call.id), event);
    let written = fabric
        .store()
        .change(tenant, vec![write], event, fabric.now())
        .await;
    fabric.directory().client_changed(tenant, id);
    written.map(drop)
}
