//! What is known of the endpoints that have something due: where they are, how they are signed for, what they want. Read from the store and believed for half a second, so that a secret
//! that is rotated or an endpoint that is disabled, on whatever node, counts within a second.
//!
//! What did not change is not built again: opened secrets and TLS stay while their rows do.

use super::pace::Wants;
use super::to_service::ToService;
use super::trust::{Certificate, Services, Trust};
use arc_swap::ArcSwap;
use countersign_base::{Secret, SourceName, UnixMillis, UnixTime};
use countersign_control::Fabric;
use countersign_crypto::jose::EncryptionKey;
use countersign_keys::{Aad, Sealed, envelope};
use countersign_net::Receiver;
use countersign_store::tables::webhook_endpoints::{
    self, EndpointRecord, EndpointRow, EndpointState, EndpointTarget, WebhookOrder, WebhookPayload,
    WebhookSigning,
};
use countersign_store::tables::webhook_secrets::{self, WebhookSecretRow};
use countersign_store::webhooks::Lane;
use countersign_store::{Connection, StoreError};
use countersign_wire::webhook::standard::SigningSecret;
use std::collections::HashMap;
use std::sync::Arc;

/// How long what was read is believed.
const BELIEVED_MILLIS: i64 = 500;
/// How long what nobody asked for is kept.
const KEPT_MILLIS: i64 = 60_000;
/// Endpoints that are kept; past it those that nobody asked for lately go.
const KEPT_MAX: usize = 4_096;

/// An endpoint that is served.
pub(super) struct Endpoint {
    pub(super) target: Target,
    pub(super) wants: Wants,
    pub(super) order: WebhookOrder,
    /// The name of its schedule.
    pub(super) retries: String,
    /// What it was built from.
    made_of: MadeOf,
}

/// Where an endpoint is.
pub(super) enum Target {
    /// Elsewhere.
    Receiver(Box<ToReceiver>),
    /// In this installation.
    Service(ToService),
    /// What is stored of it cannot be used; the reason. Attempts fail by it, so that whoever looks sees why.
    Unusable(&'static str),
}

/// A receiver elsewhere.
pub(super) struct ToReceiver {
    pub(super) receiver: Receiver,
    pub(super) signing: WebhookSigning,
    pub(super) secrets: Vec<SigningSecret>,
    /// By which a receiver knows each of them.
    pub(super) key_ids: Vec<String>,
    pub(super) payload: WebhookPayload,
    pub(super) encryption: Option<EncryptionKey>,
}

struct MadeOf {
    row: EndpointRow,
    secrets: Vec<WebhookSecretRow>,
    trust: Arc<Trust>,
    services: Arc<Services>,
}

/// What is known of an endpoint.
#[derive(Clone)]
pub(super) enum Known {
    /// It is not served: there is none, or it is disabled.
    NotServed,
    /// It is served.
    Served(Arc<Endpoint>),
}

struct Entry {
    known: Known,
    read: UnixMillis,
    asked: UnixMillis,
}

/// See the module.
pub(super) struct Endpoints {
    fabric: Arc<Fabric>,
    trust: Arc<ArcSwap<Trust>>,
    services: Arc<ArcSwap<Services>>,
    entries: HashMap<Lane, Entry>,
}

impl Endpoints {
    pub(super) fn new(
        fabric: Arc<Fabric>,
        trust: Arc<ArcSwap<Trust>>,
        services: Arc<ArcSwap<Services>>,
    ) -> Self {
        Self {
            fabric,
            trust,
            services,
            entries: HashMap::new(),
        }
    }

    /// Reads those of these that are not known, or have been for too long.
    pub(super) async fn refresh(&mut self, lanes: &[Lane]) -> Result<(), StoreError> {
        let now = self.fabric.clock().millis();
        let stale: Vec<&Lane> = lanes
            .iter()
            .filter(|lane| {
                let believed = |entry: &Entry| {
                    let since = now.0.saturating_sub(entry.read.0);
                    (0..BELIEVED_MILLIS).contains(&since)
                };
                !self.entries.get(*lane).is_some_and(believed)
            })
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        let fabric = Arc::clone(&self.fabric);
        let mut connection = fabric.store().read().await?;
        for lane in stale {
            let known = or_unreadable(lane, self.read(&mut connection, lane).await)?;
            let entry = Entry {
                known,
                read: now,
                asked: now,
            };
            self.entries.insert(lane.clone(), entry);
        }
        drop(connection);
        self.forget(now);
        Ok(())
    }

    /// What was read of an endpoint.
    pub(super) fn known(&mut self, lane: &Lane) -> Known {
        let now = self.fabric.clock().millis();
        match self.entries.get_mut(lane) {
            Some(entry) => {
                entry.asked = now;
                entry.known.clone()
            }
            None => Known::NotServed,
        }
    }

    fn forget(&mut self, now: UnixMillis) {
        if self.entries.len() > KEPT_MAX {
            self.entries
                .retain(|_, entry| now.0.saturating_sub(entry.asked.0) < KEPT_MILLIS);
        }
    }

    async fn read(&self, connection: &mut Connection, lane: &Lane) -> Result<Known, StoreError> {
        let (tenant, id) = (&lane.tenant, lane.endpoint);
        let Some(row) = webhook_endpoints::find(connection, tenant, id).await? else {
            return Ok(Known::NotServed);
        };
        let secrets = match row.state {
            EndpointState::Disabled => return Ok(Known::NotServed),
            EndpointState::Service => Vec::new(),
            EndpointState::Enabled => {
                let now = self.fabric.now();
                webhook_secrets::of_endpoint(connection, tenant, id, now).await?
            }
        };
        let made_of = MadeOf {
            row,
            secrets,
            trust: self.trust.load_full(),
            services: self.services.load_full(),
        };
        if let Some(Entry {
            known: Known::Served(before),
            ..
        }) = self.entries.get(lane)
            && before.made_of.is_the_same(&made_of)
        {
            return Ok(Known::Served(Arc::clone(before)));
        }
        let endpoint = self.build(lane, made_of);
        if !self
            .fabric
            .webhook_rules()
            .schedules
            .knows(&endpoint.retries)
        {
            // It was there when the endpoint was added: whoever took it out of the configuration hears what became of it.
            tracing::warn!(
                event = "webhook_schedule_unknown",
                tenant = %lane.tenant,
                endpoint = %lane.endpoint,
                schedule = endpoint.retries,
                instead = "standard"
            );
        }
        Ok(Known::Served(Arc::new(endpoint)))
    }

    fn build(&self, lane: &Lane, made_of: MadeOf) -> Endpoint {
        match made_of.row.target.clone() {
            EndpointTarget::Receiver(record) => {
                let target = self.receiver(lane, &record, &made_of);
                Endpoint {
                    target: target.unwrap_or_else(Target::Unusable),
                    wants: Wants {
                        rate: record.rate,
                        concurrency: at_once(record.order, record.concurrency),
                    },
                    order: record.order,
                    retries: record.retries.as_str().to_owned(),
                    made_of,
                }
            }
            EndpointTarget::Service(source) => service(lane, &source, made_of),
        }
    }

    fn receiver(
        &self,
        lane: &Lane,
        record: &EndpointRecord,
        made_of: &MadeOf,
    ) -> Result<Target, &'static str> {
        let url = record.url.as_str().parse().map_err(|_| "url")?;
        let certificate = if record.client_certificate {
            Certificate::Shown
        } else {
            Certificate::Hidden
        };
        let tls = made_of
            .trust
            .of_endpoint(record.ca.as_deref(), certificate)?;
        let receiver = Receiver::new(url);
        let receiver = match tls {
            Some(tls) => receiver.with_tls(tls),
            None => receiver,
        };
        let encryption = record.encryption.as_ref().map(EncryptionKey::parse);
        let secrets = made_of.secrets.iter().map(|row| self.secret(lane, row));
        Ok(Target::Receiver(Box::new(ToReceiver {
            receiver,
            signing: record.signing,
            secrets: secrets.collect::<Result<_, _>>()?,
            key_ids: made_of
                .secrets
                .iter()
                .map(|row| row.id.to_string())
                .collect(),
            payload: record.payload,
            encryption: encryption.transpose().map_err(|_| "encryption_key")?,
        })))
    }

    fn secret(&self, lane: &Lane, row: &WebhookSecretRow) -> Result<SigningSecret, &'static str> {
        let id = row.id.as_bytes();
        let place = Aad::row(&lane.tenant, "webhook_secrets", "sealed", id);
        let sealed = Sealed::from_bytes(row.sealed.clone());
        let opened = envelope::open(&*self.fabric.secrets().keks(), &place, &sealed)
            .map_err(|_| "secret_unreadable")?;
        let text = std::str::from_utf8(opened.expose()).map_err(|_| "secret_unreadable")?;
        SigningSecret::parse(&Secret::new(text.to_owned())).map_err(|_| "secret_unreadable")
    }
}

/// An endpoint that cannot be read, for instance because another version of this program wrote it, is not served and keeps none of the others waiting.
fn or_unreadable(lane: &Lane, read: Result<Known, StoreError>) -> Result<Known, StoreError> {
    match read {
        Err(error @ StoreError::Corrupt { .. }) => {
            let endpoint = lane.endpoint;
            tracing::error!(event = "webhook_endpoint_unreadable", %endpoint, %error);
            Ok(Known::NotServed)
        }
        known => known,
    }
}

/// An endpoint that wants everything in order gets one at a time; of others the store sees to it that of a key only one is out.
const fn at_once(order: WebhookOrder, wanted: u16) -> u16 {
    match order {
        WebhookOrder::Any | WebhookOrder::PerKey => wanted,
        WebhookOrder::Strict => 1,
    }
}

fn service(lane: &Lane, source: &SourceName, made_of: MadeOf) -> Endpoint {
    let services = Arc::clone(&made_of.services);
    let (target, wants, retries) = match services.of(&lane.tenant, source) {
        Some(service) => {
            let wants = Wants {
                rate: service.rate,
                concurrency: service.concurrency,
            };
            let target = Target::Service(ToService::new(services.pool(), service));
            (target, wants, service.retries.clone())
        }
        None => {
            let wants = Wants {
                rate: None,
                concurrency: 1,
            };
            let retries = "standard".to_owned();
            (Target::Unusable("service_unknown"), wants, retries)
        }
    };
    Endpoint {
        target,
        wants,
        order: WebhookOrder::Any,
        retries,
        made_of,
    }
}

impl MadeOf {
    fn is_the_same(&self, other: &Self) -> bool {
        self.row == other.row
            && self.secrets == other.secrets
            && Arc::ptr_eq(&self.trust, &other.trust)
            && Arc::ptr_eq(&self.services, &other.services)
    }
}

impl Endpoint {
    /// When it was changed last.
    pub(super) fn changed(&self) -> UnixTime {
        self.made_of.row.changed
    }

    /// Whether of what waits for it only some may be out at a time.
    pub(super) fn is_ordered(&self) -> bool {
        self.order != WebhookOrder::Any
    }
}

#[cfg(test)]
mod tests;
