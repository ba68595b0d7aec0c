//! What a registration comes to: the client as it would be, and the question whether policy permits it (`Action::"register"`).

use super::members::host;
use super::metadata::{AuthenticationMethod, ClientMetadata};
use super::refusal::RegistrationRefusal;
use super::statement::ApprovedStatement;
use crate::client::{
    Application, BindingRule, ClientAuthentication, ClientRecord, Origin, PushedRequestRule,
    RequestRules, SignedRequestRule, TokenRules,
};
use crate::tenant::{RegistrationRules, TenantRecord};
use countersign_base::{ClientId, UnixTime};
use countersign_policy::{Query, Target, Value, vocabulary};
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the caller of the registration endpoint showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token that an administrator made.
    InitialAccessToken,
    /// Nothing but a document at the client's own address.
    MetadataDocument,
    /// Nothing.
    Nothing,
    /// The token of the registration that is changed.
    RegistrationAccessToken,
    /// A software statement of a trusted issuer.
    SoftwareStatement,
}

impl Credential {
    /// The name, as policies use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InitialAccessToken => "initial_access_token",
            Self::MetadataDocument => "metadata_document",
            Self::Nothing => "none",
            Self::RegistrationAccessToken => "registration_access_token",
            Self::SoftwareStatement => "software_statement",
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A client comes into being.
    Add,
    /// A registration is replaced.
    Change,
}

/// A client as it would be.
#[derive(Debug, Clone)]
pub struct Proposal {
    record: ClientRecord,
    operation: Operation,
    credential: Credential,
    method: &'static str,
    rules: RegistrationRules,
    source: Option<IpAddr>,
    at: UnixTime,
}

impl Proposal {
    /// The proposal that metadata come to. A client with a secret has an empty tag until the shell has made the secret.
    ///
    /// # Errors
    /// When the whole contradicts itself.
    pub fn new(
        id: ClientId,
        tenant: &TenantRecord,
        metadata: ClientMetadata,
        statement: Option<&ApprovedStatement>,
        (operation, credential): (Operation, Credential),
        source: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<Self, RegistrationRefusal> {
        let rules = &tenant.registration;
        let method = metadata.authentication.as_str();
        let authentication = match metadata.authentication {
            AuthenticationMethod::Public => ClientAuthentication::Public,
            AuthenticationMethod::Secret => ClientAuthentication::Secret { tag: Vec::new() },
            AuthenticationMethod::Keys(jwks) => ClientAuthentication::Keys {
                jwks: jwks.unwrap_or_else(|| json!({ "keys": [] })),
            },
        };
        let mut record = ClientRecord::new(id, tenant.name.clone(), authentication, now);
        if let Some(name) = metadata.name {
            record.name = name;
        }
        record.application = metadata.application;
        record.grants = metadata.grants;
        record.redirect_uris = metadata.redirect_uris;
        record.scopes = metadata.scopes.unwrap_or_else(|| rules.scopes.clone());
        record.audiences = rules.audiences.clone();
        record.binding = metadata.binding;
        record.pushed_requests = metadata.pushed_requests;
        record.registration = metadata.about;
        record.registration.software_issuer = statement.map(|statement| statement.issuer().clone());
        if let Some(statement) = statement {
            record.registration.software_id = Some(statement.software().clone());
        }
        record.logout = metadata.logout;
        record.token_rules.subject_type = metadata.subject_type;
        record.token_rules.sector = metadata.sector;
        record.request_rules.signed_requests = metadata.signed_requests;
        record.origin = match credential {
            Credential::MetadataDocument => Origin::Document,
            Credential::InitialAccessToken
            | Credential::Nothing
            | Credential::RegistrationAccessToken
            | Credential::SoftwareStatement => Origin::Registered,
        };
        record.check()?;
        tenant.profile.check(&record)?;
        Ok(Self {
            record,
            operation,
            credential,
            method,
            rules: rules.clone(),
            source,
            at: now,
        })
    }

    /// The client.
    #[must_use]
    pub const fn record(&self) -> &ClientRecord {
        &self.record
    }

    /// What is done.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The name of its authentication method.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// Until when the document that the client is made of is believed.
    pub(super) const fn fresh_until(&mut self, until: UnixTime) {
        self.record.registration.document_fresh_until = Some(until);
    }

    /// The client as it stands in the store, with what its metadata speak of replaced (RFC 7592 §2.2). What an administrator said of it stays.
    #[must_use]
    pub fn over(self, stored: ClientRecord) -> ClientRecord {
        let new = self.record;
        ClientRecord {
            name: new.name,
            application: new.application,
            authentication: new.authentication,
            grants: new.grants,
            redirect_uris: new.redirect_uris,
            scopes: new.scopes,
            audiences: new.audiences,
            binding: new.binding,
            pushed_requests: new.pushed_requests,
            registration: new.registration,
            logout: new.logout,
            token_rules: TokenRules {
                sector: new.token_rules.sector,
                subject_type: new.token_rules.subject_type,
                ..stored.token_rules
            },
            request_rules: RequestRules {
                signed_requests: new.request_rules.signed_requests,
                ..stored.request_rules
            },
            ..stored
        }
    }

    /// Fills in what only the shell can make: the tag of a new secret or of the one that is kept, and that of the registration access token.
    pub fn credentials(&mut self, secret: Option<Vec<u8>>, token: Vec<u8>) {
        if let (ClientAuthentication::Secret { tag }, Some(secret)) =
            (&mut self.record.authentication, secret)
        {
            *tag = secret;
        }
        self.record.registration.token = token;
    }

    /// The client, to be written.
    #[must_use]
    pub fn into_record(self) -> ClientRecord {
        self.record
    }
}

impl Target for Proposal {
    fn query(&self) -> Query {
        let record = &self.record;
        let audiences = |set: &std::collections::BTreeSet<countersign_base::Audience>| {
            Value::strings(set.iter().map(countersign_base::Audience::as_str))
        };
        let uris = || record.redirect_uris.iter().map(|uri| uri.as_str());
        let operation = match self.operation {
            Operation::Add => "add",
            Operation::Change => "change",
        };
        let about = &record.registration;
        let mut context: BTreeMap<String, Value> = BTreeMap::from([
            ("operation".to_owned(), operation.into()),
            ("credential".to_owned(), self.credential.as_str().into()),
            ("authentication".to_owned(), self.method.into()),
            (
                "application".to_owned(),
                application(record.application).into(),
            ),
            (
                "grant_types".to_owned(),
                Value::strings(record.grants.iter().map(|grant| grant.as_str())),
            ),
            ("redirect_uris".to_owned(), Value::strings(uris())),
            ("redirect_hosts".to_owned(), hosts(uris())),
            ("scopes".to_owned(), vocabulary::scope_set(&record.scopes)),
            ("audiences".to_owned(), audiences(&record.audiences)),
            (
                "registrable_scopes".to_owned(),
                vocabulary::scope_set(&self.rules.scopes),
            ),
            (
                "registrable_audiences".to_owned(),
                audiences(&self.rules.audiences),
            ),
            ("time".to_owned(), self.at.0.into()),
        ]);
        let optional = [
            (
                "software_id",
                about.software_id.as_ref().map(|id| id.as_str().into()),
            ),
            (
                "software_issuer",
                about
                    .software_issuer
                    .as_ref()
                    .map(|issuer| issuer.as_str().into()),
            ),
            ("source", self.source.map(Value::from)),
        ];
        context.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        Query {
            principal: vocabulary::anonymous(&record.tenant),
            action: "register".to_owned(),
            resource: vocabulary::client(&record.id, &record.tenant),
            context,
            others: Vec::new(),
        }
    }
}

/// The hosts of addresses; a private scheme has none.
fn hosts<'a>(uris: impl Iterator<Item = &'a str>) -> Value {
    let hosts: std::collections::BTreeSet<String> =
        uris.map(host).filter(|host| !host.is_empty()).collect();
    Value::strings(hosts.iter().map(String::as_str))
}

const fn application(application: Application) -> &'static str {
    match application {
        Application::Native => "native",
        Application::Web => "web",
    }
}

/// The client information response (RFC 7591 §3.2.1) without its credentials: those stand in the one answer that makes them.
#[derive(Debug, Clone)]
pub struct ClientInformation(Map<String, serde_json::Value>);

impl ClientInformation {
    /// What is registered.
    #[must_use]
    pub fn of(record: &ClientRecord) -> Self {
        let about = &record.registration;
        let mut members = Map::new();
        let mut put = |name: &str, value: serde_json::Value| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !empty {
                members.insert(name.to_owned(), value);
            }
        };
        put("client_id", json!(record.id));
        put("client_id_issued_at", json!(record.created));
        put("client_name", json!(record.name));
        put("application_type", json!(record.application));
        put("redirect_uris", json!(record.redirect_uris));
        put("grant_types", json!(record.grants));
        if record
            .grants
            .contains(&crate::client::GrantType::AuthorizationCode)
        {
            put("response_types", json!(["code"]));
        }
        put("scope", json!(record.scopes));
        put(
            "token_endpoint_auth_method",
            json!(method(&record.authentication)),
        );
        match (&record.authentication, &about.jwks_uri) {
            (_, Some(address)) => put("jwks_uri", json!(address)),
            (ClientAuthentication::Keys { jwks }, None) => put("jwks", jwks.clone()),
            (_, None) => {}
        }
        put("client_uri", json!(about.client_uri));
        put("logo_uri", json!(about.logo_uri));
        put("policy_uri", json!(about.policy_uri));
        put("tos_uri", json!(about.tos_uri));
        put("contacts", json!(about.contacts));
        put("subject_type", json!(record.token_rules.subject_type));
        put("sector_identifier_uri", json!(about.sector_identifier_uri));
        put("initiate_login_uri", json!(about.initiate_login_uri));
        put("software_id", json!(about.software_id));
        put("software_version", json!(about.software_version));
        put(
            "post_logout_redirect_uris",
            json!(record.logout.post_logout_redirect_uris),
        );
        put(
            "backchannel_logout_uri",
            json!(record.logout.backchannel_uri),
        );
        put(
            "dpop_bound_access_tokens",
            json!(record.binding == BindingRule::Required),
        );
        put(
            "require_signed_request_object",
            json!(record.request_rules.signed_requests == SignedRequestRule::Required),
        );
        put(
            "require_pushed_authorization_requests",
            json!(record.pushed_requests == PushedRequestRule::Required),
        );
        Self(members)
    }

    /// With one more member: a credential that this answer alone shows.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The members.
    #[must_use]
    pub const fn members(&self) -> &Map<String, serde_json::Value> {
        &self.0
    }
}

const fn method(authentication: &ClientAuthentication) -> &'static str {
    match authentication {
        ClientAuthentication::Certificates { .. } => "self_signed_tls_client_auth",
        ClientAuthentication::Keys { .. } => "private_key_jwt",
        ClientAuthentication::PostedSecret { .. } => "client_secret_post",
        ClientAuthentication::Public => "none",
        ClientAuthentication::Secret { .. } => "client_secret_basic",
        ClientAuthentication::TlsSubject { .. } => "tls_client_auth",
        ClientAuthentication::Workload { .. } => "workload",
    }
}
