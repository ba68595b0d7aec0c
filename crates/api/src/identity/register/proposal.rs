//! From a body to a client that policy permits and the log knows of.

use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use countersign_audit::{Code, Text};
use countersign_base::{ClientId, RequestId, UnixTime};
use countersign_control::Wanted;
use countersign_crypto::jose::Algorithm;
use countersign_net::FetchRules;
use countersign_oauth::ClientAuthentication;
use countersign_oauth::registration::metadata::{MethodDefault, object};
use countersign_oauth::registration::sector::{self, SECTOR_BYTES_MAX};
use countersign_oauth::registration::{
    ApprovedStatement, ClientMetadata, Credential, METADATA_BYTES_MAX, Operation, Proposal,
    RegistrationRefusal,
};
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_policy::{Permitted, Query, Target, decide};
use countersign_store::{About, Durability, Recordable, Recorded};
use http::header;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::PoisonError;
use url::Url;

/// What a caller sent.
pub(super) struct Sent {
    pub(super) object: Map<String, Value>,
    pub(super) statement: Option<ApprovedStatement>,
}

/// The JSON object in the body of a call.
pub(super) async fn read_body(call: &mut Call) -> Result<Sent, Failure> {
    let essence = call
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(RegistrationRefusal::Metadata("Content-Type must be application/json").into());
    }
    let body = std::mem::take(call.body.get_mut().unwrap_or_else(PoisonError::into_inner));
    let collected = Limited::new(body, METADATA_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| Failure::BodyUnreadable)?;
    Ok(Sent {
        object: object(&collected.to_bytes())?,
        statement: None,
    })
}

impl Sent {
    /// With what a software statement says over the rest. Where one is shown it has to hold; where the mode asks for one it has to be there.
    pub(super) fn with_statement(
        self,
        call: &Call,
        now: UnixTime,
        mode: RegistrationMode,
    ) -> Result<Self, Failure> {
        let shown = match self.object.get("software_statement") {
            None | Some(Value::Null) if mode == RegistrationMode::SoftwareStatement => {
                return Err(RegistrationRefusal::Statement.into());
            }
            None | Some(Value::Null) => return Ok(self),
            Some(Value::String(text)) => text,
            Some(_) => return Err(RegistrationRefusal::Statement.into()),
        };
        let rules = &call.tenant.registration;
        let statement =
            ApprovedStatement::verify(shown, &rules.software_issuers, &call.tenant.issuer, now)?;
        Ok(Self {
            object: statement.over(self.object),
            statement: Some(statement),
        })
    }
}

/// The client that the metadata describe.
pub(super) fn propose(
    identity: &Identity,
    call: &Call,
    id: ClientId,
    sent: &Sent,
    how: (Operation, Credential),
) -> Result<Proposal, Failure> {
    let fabric = &identity.fabric;
    let algorithm = fabric.keys().algorithms().first().copied();
    let metadata = ClientMetadata::read(
        &sent.object,
        &call.tenant.registration,
        MethodDefault::Secret,
        algorithm.unwrap_or(Algorithm::Es256),
    )?;
    Ok(Proposal::new(
        id,
        &call.tenant,
        metadata,
        sent.statement.as_ref(),
        how,
        Some(call.source()),
        fabric.now(),
    )?)
}

/// A client as it would be, and the call that proposes it.
pub(crate) struct Registering {
    proposal: Proposal,
    request: RequestId,
    source: IpAddr,
}

impl Registering {
    pub(crate) const fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    pub(crate) fn into_proposal(self) -> Proposal {
        self.proposal
    }
}

impl Target for Registering {
    fn query(&self) -> Query {
        self.proposal.query()
    }
}

impl Recordable for Registering {
    fn about(&self) -> About {
        let record = self.proposal.record();
        About {
            request: Some(self.request),
            client: Some(record.id.clone()),
            action: Text::of("register"),
            resource: Text::of("Client"),
            anonymous_from: Some(self.source),
            ..About::new(record.tenant.clone(), Code::of("registration"))
        }
    }
}

/// Lets policy decide, and records what it decided: only a recorded permit is written.
pub(crate) async fn permitted(
    identity: &Identity,
    call: &Call,
    proposal: Proposal,
) -> Result<Recorded<Permitted<Registering>>, Failure> {
    let fabric = &identity.fabric;
    let target = Registering {
        proposal,
        request: call.id,
        source: call.source(),
    };
    match decide(&fabric.policies(), target) {
        Ok(permitted) => Ok(fabric
            .recorder()
            .record(permitted, Durability::Durable)
            .await?),
        Err(denied) => {
            let _recorded = fabric.recorder().record_denied(denied)?;
            call.was_recorded();
            Err(RegistrationRefusal::Policy.into())
        }
    }
}

/// Fetches what the metadata name, through the guard: the sector identifier document (REG-2) and the client's keys.
pub(super) async fn fetched(identity: &Identity, proposal: &Proposal) -> Result<(), Failure> {
    let record = proposal.record();
    let fabric = &identity.fabric;
    if let Some(address) = &record.registration.sector_identifier_uri {
        let refused = RegistrationRefusal::Document("sector_identifier_uri");
        let url = Url::parse(address.as_str()).map_err(|_| refused)?;
        let rules = FetchRules::json(SECTOR_BYTES_MAX);
        let document = fabric
            .outside()
            .fetch(&url, &rules)
            .await
            .map_err(|error| {
                tracing::info!(
                    event = "sector_document_not_fetched",
                    reason = error.reason()
                );
                refused
            })?;
        sector::check(&document.body, &record.redirect_uris)?;
    }
    let by_keys = matches!(record.authentication, ClientAuthentication::Keys { .. });
    if let (true, Some(address)) = (by_keys, &record.registration.jwks_uri) {
        let keys = fabric.client_keys().find(address, Wanted::Current).await;
        if keys.is_none_or(|keys| keys.is_empty()) {
            return Err(RegistrationRefusal::Document("jwks_uri").into());
        }
    }
    Ok(())
}
