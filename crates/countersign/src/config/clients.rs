//! `[[clients]]`: applications that ask for tokens. What stands here can't be changed by script.

use super::Tenants;
use super::ciba::RawCiba;
use super::error::Mistakes;
use super::requests::{self, RawRequests, RequestsSection};
use super::span::{SecretReference, Span};
use countersign_authn::access_token::DetailType;
use countersign_base::{Audience, Bounded, ClientId, Scope, Tenant};
use countersign_oauth::SecurityProfile;
use countersign_oauth::client::{
    AccessTokenFormat, Application, BindingRule, CibaRules, ConsentRule, GrantType,
    PushedRequestRule, RefreshRule, TokenRules,
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
    /// A reference to a secret: the client authenticates with `client_secret_basic`.
    secret: Option<SecretReference>,
    /// A file with the client's public JWK set: it authenticates with `private_key_jwt`.
    jwks: Option<PathBuf>,
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
}

/// How a declared client authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCredential {
    /// With the keys of this JWK set.
    Jwks(PathBuf),
    /// Not at all.
    Public,
    /// With this secret.
    Secret(SecretReference),
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
}

pub(crate) fn check(
    raw: Vec<RawClient>,
    tenants: &Tenants<'_>,
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
        if let Some(section) = check_one(client, tenant, mistakes) {
            clients.push(section);
        }
    }
    clients
}

fn check_one(
    client: RawClient,
    tenant: Tenant,
    mistakes: &mut Mistakes<'_>,
) -> Option<ClientSection> {
    let credential = match (client.secret, client.jwks) {
        (Some(secret), None) => ClientCredential::Secret(secret),
        (None, Some(jwks)) => ClientCredential::Jwks(jwks),
        (None, None) => ClientCredential::Public,
        (Some(_), Some(_)) => {
            mistakes.at(
                &client.id.span(),
                "a client has one way to authenticate, this one two",
                "keep `jwks` and remove `secret`",
            );
            return None;
        }
    };
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
        credential,
        application: client.application.unwrap_or(Application::Web),
        redirect_uris: client.redirect_uris.into_iter().collect(),
        scopes: client.scopes,
        audiences: client.audiences,
        serves: client.serves,
        actors: client.actors,
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
                "known: authorization_code, ciba, client_credentials, device_code, refresh_token, token_exchange",
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
        "token_exchange" => Some(GrantType::TokenExchange),
        parameter => GrantType::from_parameter(parameter),
    }
}
