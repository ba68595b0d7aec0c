//! `[[clients]]`: applications that ask for tokens. What stands here can't be changed by script.

use super::Tenants;
use super::ciba::RawCiba;
use super::error::Mistakes;
use super::requests::{self, RawRequests, RequestsSection};
use super::span::{SecretReference, Span};
use super::trusted_issuers::TrustedIssuerSection;
use countersign_authn::access_token::DetailType;
use countersign_authn::client::{NotATlsSubject, TlsSubject};
use countersign_authn::trust::{IssuerName, SecretInBody};
use countersign_base::{Audience, Bounded, ClientId, Scope, Tenant};
use countersign_oauth::SecurityProfile;
use countersign_oauth::WebAddress;
use countersign_oauth::client::delegation::DelegationRules;
use countersign_oauth::client::{
    AccessTokenFormat, AnswerRules, Application, BindingRule, CibaRules, ConsentRule, GrantType,
    LogoutRules, PushedRequestRule, RefreshRule, TokenRules,
};
use countersign_oauth::redirect::RedirectUri;
use countersign_oauth::subject_identifier::{Sector, SubjectType};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// One of `[[clients]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawClient {
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    id: Spanned<ClientId>,
    name: Option<Bounded<128>>,
    /// Who answers for it: a team or a mailbox.
    owner: Option<Bounded<128>>,
    /// A reference to a secret: the client authenticates with `client_secret_basic`.
    secret: Option<SecretReference>,
    /// Where the secret comes: `header`, or `body` (`client_secret_post`) where the tenant allows it.
    secret_in: Option<SecretPlace>,
    /// A file with the client's public JWK set: it authenticates with `private_key_jwt`.
    jwks: Option<PathBuf>,
    /// The one name of its certificates, `KIND:NAME`: it authenticates with `tls_client_auth`.
    tls_subject: Option<Spanned<String>>,
    /// A file with its own certificates in PEM, or a JWK set: it authenticates with `self_signed_tls_client_auth`.
    tls_certificates: Option<PathBuf>,
    /// The name of a trusted issuer: it authenticates with what that issuer gives to workloads.
    workload: Option<Spanned<String>>,
    #[serde(default)]
    application: Option<Application>,
    #[serde(default)]
    grants: Vec<Spanned<String>>,
    #[serde(default)]
    redirect_uris: Vec<RedirectUri>,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
    #[serde(default)]
    audiences: BTreeSet<Audience>,
    /// The audiences that the client is itself, as a resource server.
    #[serde(default)]
    serves: BTreeSet<Audience>,
    #[serde(default)]
    actors: BTreeSet<Bounded<128>>,
    /// What it may do in token exchange beyond its audiences.
    #[serde(default)]
    delegation: DelegationRules,
    binding: Option<BindingRule>,
    pushed_requests: Option<PushedRequestRule>,
    /// `fapi2` or `fapi2-message-signing`: the client is held to the whole profile.
    profile: Option<SecurityProfile>,
    #[serde(default)]
    requests: RawRequests,
    consent: Option<ConsentRule>,
    #[serde(default)]
    ciba: RawCiba,
    access_token_lifetime: Option<Spanned<Span>>,
    refresh_token_lifetime: Option<Span>,
    access_token_format: Option<AccessTokenFormat>,
    /// The types of authorization details that it may ask for; the tenant registers them.
    #[serde(default)]
    authorization_details_types: BTreeSet<DetailType>,
    /// When it gets a refresh token: with every grant, or only with the scope `offline_access`.
    refresh_tokens: Option<RefreshRule>,
    /// The host that clients with the same pairwise subjects share.
    sector: Option<Sector>,
    subject_type: Option<SubjectType>,
    /// `[clients.answers]`: encrypted ID tokens, userinfo and introspection.
    #[serde(default)]
    answers: AnswerRules,
    /// Where a browser may be sent after signing out.
    #[serde(default)]
    post_logout_redirect_uris: BTreeSet<RedirectUri>,
    /// Where logout tokens are sent.
    backchannel_logout_uri: Option<WebAddress>,
}

/// Where a client puts its secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretPlace {
    /// In the body of the request (`client_secret_post`).
    Body,
    /// In the header `Authorization` (`client_secret_basic`).
    #[default]
    Header,
}

/// How a declared client authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCredential {
    /// With a certificate of these, or on a key of these.
    Certificates(PathBuf),
    /// With the keys of this JWK set.
    Jwks(PathBuf),
    /// Not at all.
    Public,
    /// With this secret.
    Secret(SecretReference, SecretPlace),
    /// With a certificate of a trusted authority that has this name.
    TlsSubject(TlsSubject),
    /// With what this issuer gives to workloads.
    Workload(IssuerName),
}

/// One client.
#[derive(Debug, Clone)]
pub struct ClientSection {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// Its identifier.
    pub id: ClientId,
    /// What people read on the consent page.
    pub name: Option<Bounded<128>>,
    /// Who answers for it.
    pub owner: Option<Bounded<128>>,
    /// How it authenticates.
    pub credential: ClientCredential,
    /// What kind of program it is.
    pub application: Application,
    /// The grants it may use.
    pub grants: BTreeSet<GrantType>,
    /// Where answers may be sent.
    pub redirect_uris: BTreeSet<RedirectUri>,
    /// The scopes it may ask for.
    pub scopes: BTreeSet<Scope>,
    /// The audiences it may ask tokens for.
    pub audiences: BTreeSet<Audience>,
    /// The audiences it is itself.
    pub serves: BTreeSet<Audience>,
    /// Who may act through it.
    pub actors: BTreeSet<Bounded<128>>,
    /// What it may do in token exchange beyond its audiences.
    pub delegation: DelegationRules,
    /// Whether its tokens must be bound to a key.
    pub binding: BindingRule,
    /// Whether its authorization requests must be pushed.
    pub pushed_requests: PushedRequestRule,
    /// How its authorization requests come and how they are answered.
    pub requests: RequestsSection,
    /// Whether people are asked.
    pub consent: ConsentRule,
    /// What it registers for CIBA.
    pub ciba: CibaRules,
    /// How long its access tokens live, if not the default.
    pub access_token_lifetime: Option<Span>,
    /// How long its refresh token families live, if not the default.
    pub refresh_token_lifetime: Option<Span>,
    /// What kind of tokens it gets.
    pub token_rules: TokenRules,
    /// How answers about people and tokens come to it.
    pub answers: AnswerRules,
    /// What it registers about signing out.
    pub logout: LogoutRules,
}

pub(crate) fn check(
    raw: Vec<RawClient>,
    tenants: &Tenants<'_>,
    issuers: &[TrustedIssuerSection],
    mistakes: &mut Mistakes<'_>,
) -> Vec<ClientSection> {
    let mut clients: Vec<ClientSection> = Vec::new();
    for client in raw {
        let Some(tenant) = tenants.find(client.tenant.as_ref(), mistakes) else {
            continue;
        };
        if clients
            .iter()
            .any(|earlier| earlier.tenant == tenant && earlier.id == *client.id.get_ref())
        {
            mistakes.at(
                &client.id.span(),
                format!("the client `{}` stands here twice", client.id.get_ref()),
                "remove one of them",
            );
            continue;
        }
        let trust = Trust {
            secret_in_body: tenants.secret_in_body(&tenant),
            issuers,
        };
        if let Some(section) = check_one(client, tenant, &trust, mistakes) {
            clients.push(section);
        }
    }
    clients
}

/// What a client's credential depends on elsewhere in the file.
struct Trust<'a> {
    secret_in_body: SecretInBody,
    issuers: &'a [TrustedIssuerSection],
}

fn credential(
    client: &RawClient,
    tenant: &Tenant,
    trust: &Trust<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<ClientCredential> {
    let mut found = Vec::new();
    if let Some(secret) = &client.secret {
        let place = client.secret_in.unwrap_or_default();
        if (place, trust.secret_in_body) == (SecretPlace::Body, SecretInBody::Refused) {
            mistakes.at(
                &client.id.span(),
                "the tenant takes no secrets in the body of a request",
                "leave `secret_in` out; or write `client_secret_post = \"allowed\"` in its `[[tenants]]`",
            );
        }
        found.push(ClientCredential::Secret(secret.clone(), place));
    } else if client.secret_in.is_some() {
        mistakes.at(
            &client.id.span(),
            "`secret_in` without `secret`",
            "remove it",
        );
    }
    found.extend(client.jwks.clone().map(ClientCredential::Jwks));
    found.extend(
        client
            .tls_certificates
            .clone()
            .map(ClientCredential::Certificates),
    );
    if let Some(subject) = &client.tls_subject {
        match subject.get_ref().parse() {
            Ok(subject) => found.push(ClientCredential::TlsSubject(subject)),
            Err(error) => {
                let error: NotATlsSubject = error;
                mistakes.at(&subject.span(), error.to_string(), "write one name");
                return None;
            }
        }
    }
    if let Some(name) = &client.workload {
        let issuer = trust.issuers.iter().find(|section| {
            section.tenant == *tenant && section.issuer.name.as_str() == name.get_ref()
        });
        match issuer {
            Some(section) => found.push(ClientCredential::Workload(section.issuer.name.clone())),
            None => {
                let names = trust
                    .issuers
                    .iter()
                    .filter(|section| section.tenant == *tenant)
                    .map(|section| section.issuer.name.as_str());
                let help = super::nearest(name.get_ref(), names);
                mistakes.at(
                    &name.span(),
                    format!("no trusted issuer `{}`", name.get_ref()),
                    help,
                );
                return None;
            }
        }
    }
    let more = found.len() > 1;
    let first = found.into_iter().next();
    if more {
        mistakes.at(
            &client.id.span(),
            "a client has one way to authenticate, this one has several",
            "keep one of `jwks`, `tls_subject`, `tls_certificates`, `workload` and `secret`",
        );
        return None;
    }
    Some(first.unwrap_or(ClientCredential::Public))
}

fn check_one(
    client: RawClient,
    tenant: Tenant,
    trust: &Trust<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<ClientSection> {
    let credential = credential(&client, &tenant, trust, mistakes)?;
    if let Some(lifetime) = &client.access_token_lifetime
        && lifetime.get_ref().0.as_secs() > 3_600
    {
        mistakes.at(
            &lifetime.span(),
            "an access token may live one hour at most",
            "use minutes, and refresh tokens for the rest",
        );
    }
    Some(ClientSection {
        tenant,
        grants: grants(&client.grants, mistakes),
        id: client.id.into_inner(),
        name: client.name,
        owner: client.owner,
        credential,
        application: client.application.unwrap_or(Application::Web),
        redirect_uris: client.redirect_uris.into_iter().collect(),
        scopes: client.scopes,
        audiences: client.audiences,
        serves: client.serves,
        actors: client.actors,
        delegation: client.delegation,
        binding: client.binding.unwrap_or(BindingRule::Optional),
        pushed_requests: client
            .pushed_requests
            .unwrap_or(PushedRequestRule::Optional),
        requests: requests::check(client.requests, client.profile),
        consent: client.consent.unwrap_or(ConsentRule::Ask),
        ciba: client.ciba.rules(),
        access_token_lifetime: client.access_token_lifetime.map(Spanned::into_inner),
        refresh_token_lifetime: client.refresh_token_lifetime,
        token_rules: TokenRules {
            access_token_format: client.access_token_format.unwrap_or_default(),
            detail_types: client.authorization_details_types,
            refresh: client.refresh_tokens.unwrap_or_default(),
            sector: client.sector,
            subject_type: client.subject_type.unwrap_or_default(),
        },
        answers: client.answers,
        logout: LogoutRules {
            post_logout_redirect_uris: client.post_logout_redirect_uris,
            backchannel_uri: client.backchannel_logout_uri,
            ..LogoutRules::default()
        },
    })
}

fn grants(written: &[Spanned<String>], mistakes: &mut Mistakes<'_>) -> BTreeSet<GrantType> {
    let mut grants = BTreeSet::new();
    for name in written {
        match grant(name.get_ref()) {
            Some(grant) => {
                grants.insert(grant);
            }
            None => mistakes.at(
                &name.span(),
                format!("no grant `{}`", name.get_ref()),
                "known: authorization_code, ciba, client_credentials, device_code, jwt_bearer, refresh_token, token_exchange",
            ),
        }
    }
    grants
}

/// The grant of this name; configuration and command line may write short forms of the long ones.
#[must_use]
pub fn grant(name: &str) -> Option<GrantType> {
    match name {
        "ciba" => Some(GrantType::Ciba),
        "device_code" => Some(GrantType::DeviceCode),
        "jwt_bearer" => Some(GrantType::JwtBearer),
        "token_exchange" => Some(GrantType::TokenExchange),
        parameter => GrantType::from_parameter(parameter),
    }
}
