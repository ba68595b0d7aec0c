//! What is opened before anything can be declared or asked: store, key hierarchy, authority, log, the keeper of queries with people's keys.

use super::{FabricOptions, Progress, StartError};
use crate::authority::{self, Authority};
use crate::metrics::Metrics;
use crate::root::make_private_directory;
use crate::secrets::Secrets;
use crate::subjects;
use crate::traces::{TraceOptions, Traces};
use countersign_base::Clock;
use countersign_crypto::random::Random;
use countersign_store::audit::{AuditLog, AuditOptions, AuditTask};
use countersign_store::{Details, Store};
use std::sync::Arc;

/// What is opened before anything can be declared or asked.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) secrets: Arc<Secrets>,
    pub(super) authority: Authority,
    pub(super) audit: AuditLog,
    pub(super) details: Details,
    pub(super) task: AuditTask,
}

pub(super) async fn open(options: &FabricOptions) -> Result<Opened, StartError> {
    let FabricOptions {
        data,
        clock,
        random,
        root,
        progress,
        ..
    } = options;
    let now = clock.now();
    make_private_directory(data).map_err(|cause| StartError::Data {
        path: data.clone(),
        cause,
    })?;
    let store = Store::open(&options.store, now).await?;
    progress(Progress::StoreOpened);
    let secrets =
        Arc::new(Secrets::open(&store, root, data, options.passphrase_cost, random, now).await?);
    let authority = Authority::open(&store, &secrets, data, now).await?;
    let signer = authority::log_key(&store, &secrets).await?;
    let log_options = AuditOptions {
        random: random.clone(),
        ..AuditOptions::default()
    };
    let outbox = Arc::new(store.clone());
    let (audit, task) = AuditLog::open(
        &data.join("audit"),
        &options.origin,
        signer,
        clock,
        outbox,
        log_options,
    )?;
    progress(Progress::LogOpened);
    let subjects = subjects::open(&store, &secrets, data).await?;
    let details = Details::start(
        store.clone(),
        subjects,
        random.clone(),
        clock.clone(),
        options.details_for,
    );
    // What was cut off is completed before anything is opened with what it left.
    details.take_erasures().await?;
    Ok(Opened {
        store,
        secrets,
        authority,
        audit,
        details,
        task,
    })
}

pub(super) fn traces(
    options: TraceOptions,
    authority: &Authority,
    clock: &Clock,
    random: &Random,
    metrics: &Metrics,
) -> Result<Traces, StartError> {
    Traces::start(
        options,
        authority.certificate_pem(),
        clock.clone(),
        random.clone(),
        metrics.clone(),
    )
    .map_err(StartError::Traces)
}
