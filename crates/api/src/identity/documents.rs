//! Clients that are the address of their own metadata document: found, fetched through the egress guard, decided by policy, and kept while they are fresh.
//!
//! A document is fetched at the client's first request and when it has grown old. The row in the store is written when a person's approval makes a code, so that
//! strangers cannot fill it; from then on it follows the document. While the document cannot be had, what was read of it counts for a day.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use super::record;
use super::register::permitted;
use countersign_audit::Code;
use countersign_audit::event::{Actor, ClientChanged, RegistrationRefused};
use countersign_base::{ClientId, Duration, Tenant, UnixTime};
use countersign_crypto::jose::Algorithm;
use countersign_net::FetchRules;
use countersign_oauth::ClientRecord;
use countersign_oauth::registration::document::{DOCUMENT_BYTES_MAX, FRESH_MAX, freshness};
use countersign_oauth::registration::{Proposal, document_client};
use countersign_oauth::tenant::registration::MetadataDocuments;
use countersign_store::Write;
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
        Some(url) => of_document(identity, call, id, url).await,
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
    if let Some(stored) = stored.as_ref().filter(|stored| !stored.enabled) {
        return Ok(Some(Arc::clone(stored)));
    }
    if let Some(known) = identity.documents.find(tenant, id, now) {
        return Ok(known);
    }
    if let Some(stored) = &stored
        && fresh_until(stored) > now
    {
        return Ok(Some(Arc::clone(stored)));
    }
    identity.slow_down(call)?;
    let (record, until) = match fetch(identity, call, id, url).await? {
        Some(record) => {
            let record = taken_up(identity, call, stored.as_deref(), record).await?;
            let until = fresh_until(&record);
            (Some(record), until)
        }
        // What was read of it before counts for a day.
        None => (
            stored.filter(|stored| fresh_until(stored).plus(FRESH_MAX) > now),
            now.plus(FAILED_FOR),
        ),
    };
    identity.documents.keep(tenant, id, record.clone(), until);
    Ok(record)
}

fn fresh_until(record: &ClientRecord) -> UnixTime {
    record
        .registration
        .document_fresh_until
        .unwrap_or(UnixTime(0))
}

/// Fetches and judges; nothing where there is no good document. Why not is in the log.
async fn fetch(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    url: &str,
) -> Result<Option<ClientRecord>, Failure> {
    let proposal = match proposal(identity, call, id, url).await {
        Ok(proposal) => proposal,
        Err(reason) => {
            let event = RegistrationRefused {
                client: None,
                error: Code::of("invalid_client"),
                reason: Code::of(reason),
            };
            record::refused(identity, call, event)?;
            return Ok(None);
        }
    };
    match permitted(identity, call, proposal).await {
        Ok(recorded) => Ok(Some(recorded.into_target().into_proposal().into_record())),
        Err(Failure::Registration(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn proposal(
    identity: &Identity,
    call: &Call,
    id: &ClientId,
    url: &str,
) -> Result<Proposal, &'static str> {
    let fabric = &identity.fabric;
    let url = Url::parse(url).map_err(|_| "url")?;
    let rules = FetchRules::json(DOCUMENT_BYTES_MAX);
    let fetched = fabric
        .outside()
        .fetch(&url, &rules)
        .await
        .map_err(|error| error.reason())?;
    let algorithm = fabric.keys().algorithms().first().copied();
    document_client(
        id,
        &fetched.body,
        &call.tenant,
        algorithm.unwrap_or(Algorithm::Es256),
        freshness(fetched.max_age),
        fabric.now(),
    )
    .map_err(|refusal| refusal.reason())
}

/// The client as it is now. If it has a row that says otherwise, the row follows.
async fn taken_up(
    identity: &Identity,
    call: &Call,
    stored: Option<&ClientRecord>,
    mut record: ClientRecord,
) -> Result<Arc<ClientRecord>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    if let Some(stored) = stored {
        record.created = stored.created;
        let event = ClientChanged {
            by: Actor::Client(record.id.clone()),
            change: Code::of("document"),
            client: record.id.clone(),
        };
        let event = fabric.recorder().about_event(tenant, Some(call.id), event);
        let writes = vec![Write::FollowDocument(Box::new(record.clone()))];
        let _receipt = fabric
            .store()
            .change(tenant, writes, event, fabric.now())
            .await?;
        fabric.directory().client_changed(tenant, &record.id);
    }
    Ok(Arc::new(record))
}
