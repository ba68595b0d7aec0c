//! Whom the dispatcher believes and as whom it appears: the installation's authorities and certificate, and the services that the configuration names.

use countersign_base::{SourceName, Tenant};
use countersign_net::{DeliveryPool, DeliveryTls, Receiver, TlsError, TlsIdentity, TrustRoots};
use countersign_wire::webhook::standard::SigningSecret;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The authorities that receivers' certificates descend from, and the certificate that is shown to endpoints that want one.
#[derive(Clone)]
pub struct Trust {
    roots: TrustRoots,
    identity: Option<TlsIdentity>,
    /// For endpoints that want our certificate and have no authority of their own: they share connections.
    shown: Option<DeliveryTls>,
}

impl Trust {
    /// These.
    ///
    /// # Errors
    /// When rustls refuses them.
    pub fn new(roots: TrustRoots, identity: Option<TlsIdentity>) -> Result<Self, TlsError> {
        let shown = match &identity {
            Some(identity) => Some(DeliveryTls::new(&roots, Some(identity))?),
            None => None,
        };
        Ok(Self {
            roots,
            identity,
            shown,
        })
    }

    /// What an endpoint needs beside what the pool has; nothing, if it needs no more. The reason, where there is no such thing.
    pub(super) fn of_endpoint(
        &self,
        ca: Option<&str>,
        certificate: Certificate,
    ) -> Result<Option<DeliveryTls>, &'static str> {
        match (ca, certificate) {
            (None, Certificate::Hidden) => Ok(None),
            (None, Certificate::Shown) => match &self.shown {
                Some(shown) => Ok(Some(shown.clone())),
                None => Err("certificate_missing"),
            },
            (Some(pem), certificate) => {
                let roots = TrustRoots::from_pem(pem.as_bytes()).map_err(|_| "ca_unreadable")?;
                let identity = match (certificate, &self.identity) {
                    (Certificate::Hidden, _) => None,
                    (Certificate::Shown, Some(identity)) => Some(identity),
                    (Certificate::Shown, None) => return Err("certificate_missing"),
                };
                DeliveryTls::new(&roots, identity)
                    .map(Some)
                    .map_err(|_| "ca_unreadable")
            }
        }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &std::any::type_name_of_val(&self.roots))
            .finish_non_exhaustive()
    }
}

/// Whether an endpoint sees our certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    Hidden,
    Shown,
}

/// A service of this installation that takes what a source sends.
#[derive(Debug, Clone)]
pub struct Service {
    /// Where it is.
    pub receiver: Receiver,
    /// Further addresses that do the same: they take turns.
    pub also: Vec<Receiver>,
    /// What deliveries to it are signed with (Standard Webhooks); nothing, if they are not.
    pub signing: Arc<[SigningSecret]>,
    /// What bodies are.
    pub media_type: String,
    /// Deliveries a second, if they are limited.
    pub rate: Option<u32>,
    /// Deliveries at a time.
    pub concurrency: u16,
    /// The name of its schedule of retries.
    pub retries: String,
}

/// The services of the configuration, by the source whose webhooks they take.
#[derive(Debug, Clone)]
pub struct Services {
    pool: DeliveryPool,
    named: BTreeMap<(Tenant, SourceName), Service>,
}

impl Services {
    /// These, over this pool, which reaches them and nothing else.
    #[must_use]
    pub fn new(
        pool: DeliveryPool,
        services: impl IntoIterator<Item = ((Tenant, SourceName), Service)>,
    ) -> Self {
        Self {
            pool,
            named: services.into_iter().collect(),
        }
    }

    pub(super) const fn pool(&self) -> &DeliveryPool {
        &self.pool
    }

    pub(super) fn of(&self, tenant: &Tenant, source: &SourceName) -> Option<&Service> {
        self.named.get(&(tenant.clone(), source.clone()))
    }
}
