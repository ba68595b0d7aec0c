//! Who calls, and with which key: client authentication and proof of possession at the endpoints that clients use.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use super::documents;
use super::record;
use countersign_authn::client::{
    self, AuthenticatedClient, ClientDemand, ClientRequest, ClientRules, Registration,
};
use countersign_authn::dpop::{self, ProofUse};
use countersign_authn::trust::{AssertionFault, ClientTrust, ForeignKeyNeeded};
use countersign_authn::{Form, KeyAnswer, Unspent};
use countersign_base::{ClientId, Conditional, Tenant};
use countersign_control::{Fabric, ForeignKey, Wanted};
use countersign_crypto::x509::TrustAnchors;
use countersign_oauth::{Binding, ClientRecord, OAuthError, SecurityProfile, TenantRecord};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Clients whose registrations are kept parsed; past it all are forgotten and parsed again.
const REGISTRATIONS_MAX: usize = 10_000;

/// Parsed registrations, so that a client's keys are not read anew for each assertion. An entry counts only for the very record it was parsed from: a
/// changed client is another record.
#[derive(Default)]
pub(super) struct Registrations(RwLock<HashMap<(Tenant, ClientId), Parsed>>);

struct Parsed {
    from: Arc<ClientRecord>,
    registration: Arc<Registration>,
}

impl Registrations {
    fn of(&self, record: &Arc<ClientRecord>) -> Arc<Registration> {
        let key = (record.tenant.clone(), record.id.clone());
        if let Some(parsed) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            && Arc::ptr_eq(&parsed.from, record)
        {
            return Arc::clone(&parsed.registration);
        }
        let registration = Arc::new(record.registration());
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= REGISTRATIONS_MAX {
            kept.clear();
        }
        kept.insert(
            key,
            Parsed {
                from: Arc::clone(record),
                registration: Arc::clone(&registration),
            },
        );
        registration
    }
}

/// Whom each tenant believes, its authorities parsed. An entry counts only for the very record it was parsed from.
#[derive(Default)]
pub(super) struct Trusts(RwLock<HashMap<Tenant, Believed>>);

type Believed = (Arc<TenantRecord>, Arc<ClientTrust>);

impl Trusts {
    fn of(&self, tenant: &Arc<TenantRecord>, fabric: &Fabric) -> Arc<ClientTrust> {
        if let Some((from, trust)) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&tenant.name)
            && Arc::ptr_eq(from, tenant)
        {
            return Arc::clone(trust);
        }
        let own = TrustAnchors::from_pem(fabric.authority().certificate_pem().as_bytes())
            .unwrap_or_default();
        let trust = Arc::new(tenant.trust.clients(&own));
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(
                tenant.name.clone(),
                (Arc::clone(tenant), Arc::clone(&trust)),
            );
        trust
    }
}

/// A client whose credential holds, its one-time values still to be spent.
pub(super) struct Caller {
    pub(super) unspent: Unspent<AuthenticatedClient>,
    pub(super) record: Arc<ClientRecord>,
}

/// Authenticates the client of a call.
pub(super) async fn authenticate(
    identity: &Identity,
    call: &Call,
    form: &Form,
) -> Result<Caller, Failure> {
    let fabric = &identity.fabric;
    let trust = identity.trusts.of(&call.tenant, fabric);
    let demand = demanded(identity, call, form, &trust).await?;
    let method = demand.method().name();
    let record = documents::client(identity, call, demand.client_id()).await?;
    let registration = match &record {
        Some(record) => Some(registration(identity, record, &demand).await),
        None => None,
    };
    let rules = ClientRules {
        audience: &call.tenant.issuer,
        secrets: &fabric.secrets().client_secret_key(&call.tenant.name),
        trust: &trust,
    };
    match (
        client::prove(demand, registration.as_deref(), &rules, fabric.now()),
        record,
    ) {
        (Ok(unspent), Some(record)) => {
            // R31: what the client's profile does not admit is no authentication, even if it holds.
            if SecurityProfile::of(&record, &call.tenant).admits(unspent.method()) {
                return Ok(Caller { unspent, record });
            }
            let error = OAuthError::ProfileAuthentication;
            record::client_refused(
                identity,
                call,
                Some(record.id.clone()),
                method,
                error.reason(),
            )?;
            Err(error.into())
        }
        (Ok(_), None) => Err(OAuthError::ClientUnauthenticated.into()),
        (Err(refusal), record) => {
            let known = record.as_ref().map(|record| record.id.clone());
            record::client_refused(identity, call, known, method, refusal.reason().as_str())?;
            Err(refusal.into())
        }
    }
}

/// A client's registration, with its keys fetched if it registered only where they are. An assertion by a key that is not among them is a reason to look once more:
/// the client may have changed its keys (OpenID Connect Core §10.1.1).
async fn registration(
    identity: &Identity,
    record: &Arc<ClientRecord>,
    demand: &ClientDemand,
) -> Arc<Registration> {
    let parsed = identity.registrations.of(record);
    let Some(address) = &record.registration.jwks_uri else {
        return parsed;
    };
    match parsed.method {
        client::Method::Keys(_) => {
            let known = identity.fabric.client_keys();
            // Keys that cannot be had are none: nothing verifies under them.
            let mut keys = Box::pin(known.find(address, Wanted::Current))
                .await
                .unwrap_or_default();
            if demand.misses_key_in(&keys)
                && let Some(newer) = Box::pin(known.find(address, Wanted::Newer)).await
            {
                keys = newer;
            }
            Arc::new(Registration {
                method: client::Method::Keys(keys),
                ..(*parsed).clone()
            })
        }
        client::Method::Certificates(_)
        | client::Method::PostedSecret(_)
        | client::Method::Public
        | client::Method::Secret(_)
        | client::Method::TlsSubject(_)
        | client::Method::Workload(_) => parsed,
    }
}

/// What the request shows, with the key of the workload's issuer where it shows a workload's token.
async fn demanded(
    identity: &Identity,
    call: &Call,
    form: &Form,
    trust: &ClientTrust,
) -> Result<ClientDemand, Failure> {
    let request = ClientRequest {
        headers: call.headers(),
        form,
        peer: call.peer(),
    };
    let demand = match client::demand(&request, trust) {
        Ok(demand) => demand,
        Err(refusal) => {
            record::client_refused(identity, call, None, "unknown", refusal.reason().as_str())?;
            return Err(refusal.into());
        }
    };
    let Some(needed) = demand.key() else {
        return Ok(demand);
    };
    match Box::pin(foreign_key(&identity.fabric, &call.tenant.name, &needed)).await {
        KeyAnswer::Unavailable => {
            // Not the client's fault, and no reason to tell it that it failed.
            let (method, reason) = (demand.method().name(), AssertionFault::KeysUnavailable);
            record::client_refused(identity, call, None, method, reason.as_str())?;
            Err(Failure::Unavailable)
        }
        answer => Ok(demand.answered(answer)),
    }
}

/// The key of a foreign issuer.
pub(super) async fn foreign_key(
    fabric: &Fabric,
    tenant: &Tenant,
    needed: &ForeignKeyNeeded,
) -> KeyAnswer {
    match fabric.foreign_keys().find(tenant, needed).await {
        ForeignKey::Found(key) => KeyAnswer::Key(key),
        ForeignKey::Unavailable => KeyAnswer::Unavailable,
        ForeignKey::Unknown => KeyAnswer::Unknown,
    }
}

/// Authenticates a client and spends its assertion, at an endpoint whose own transaction does not.
pub(super) async fn authenticate_and_spend(
    identity: &Identity,
    call: &Call,
    form: &Form,
) -> Result<(AuthenticatedClient, Arc<ClientRecord>), Failure> {
    let Caller { unspent, record } = authenticate(identity, call, form).await?;
    match identity.fabric.store().spend_assertion(unspent).await? {
        Ok(client) => Ok((client, record)),
        Err(_replayed) => {
            record::client_refused(
                identity,
                call,
                Some(record.id.clone()),
                "private_key_jwt",
                "assertion_replayed",
            )?;
            Err(OAuthError::ClientUnauthenticated.into())
        }
    }
}

/// The key that the call proves: by a DPoP proof, or by the certificate of its connection.
pub(super) async fn binding(identity: &Identity, call: &Call) -> Result<Binding, Failure> {
    let fabric = &identity.fabric;
    match dpop::demand(
        call.headers(),
        &call.parts.method,
        &call.target_uri(identity),
    )? {
        Conditional::Present(proof) => {
            let now = fabric.now();
            let unspent = dpop::prove(proof, ProofUse::AtServer, fabric.nonces().policy(now), now)?;
            let key = fabric
                .store()
                .spend_proof(fabric.replay(), &call.tenant.name, unspent, now)
                .await?
                .map_err(|_| OAuthError::DpopProofRefused)?;
            Ok(Binding::Dpop(*key.thumbprint()))
        }
        Conditional::Absent(_) => Ok(match call.peer() {
            Conditional::Present(certificate) => Binding::Certificate(certificate.thumbprint()),
            Conditional::Absent(_) => Binding::Bearer,
        }),
    }
}
