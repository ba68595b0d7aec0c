//! Client metadata (RFC 7591 §2, OpenID Connect Dynamic Client Registration §2): read strictly, judged against what this server does.
//!
//! Not here: encrypted and signed answers; metadata that ask for them are refused, and what else is unknown is ignored.

use super::members::Members;
use super::refusal::RegistrationRefusal;
use crate::address::WebAddress;
use crate::client::logout::SessionInLogoutToken;
use crate::client::{
    Application, BindingRule, DynamicRegistration, GrantType, LogoutRules, PushedRequestRule,
    SignedRequestRule,
};
use crate::redirect::RedirectUri;
use crate::subject_identifier::{Sector, SubjectType};
use crate::tenant::RegistrationRules;
use countersign_base::{Bounded, Scopes};
use countersign_crypto::jose::{Algorithm, JwkSet, strict_object};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Bytes of client metadata.
pub const METADATA_BYTES_MAX: usize = 32 * 1024;

/// How a client that registers itself wants to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// `private_key_jwt` with these keys, or those at `jwks_uri`.
    Keys(Option<Value>),
    /// `none`.
    Public,
    /// `client_secret_basic`: a secret is made for it.
    Secret,
}

impl AuthenticationMethod {
    /// The name in the registry of RFC 8414.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Keys(_) => "private_key_jwt",
            Self::Public => "none",
            Self::Secret => "client_secret_basic",
        }
    }
}

/// What a client says of itself, each member of its own type.
#[derive(Debug, Clone)]
pub struct ClientMetadata {
    /// `token_endpoint_auth_method` with the keys for it.
    pub authentication: AuthenticationMethod,
    /// `application_type`.
    pub application: Application,
    /// `redirect_uris`.
    pub redirect_uris: BTreeSet<RedirectUri>,
    /// `grant_types`.
    pub grants: BTreeSet<GrantType>,
    /// `client_name`.
    pub name: Option<Bounded<128>>,
    /// `scope`.
    pub scopes: Option<Scopes>,
    /// `dpop_bound_access_tokens`, `tls_client_certificate_bound_access_tokens`.
    pub binding: BindingRule,
    /// `require_pushed_authorization_requests`.
    pub pushed_requests: PushedRequestRule,
    /// `subject_type`.
    pub subject_type: SubjectType,
    /// The host of `sector_identifier_uri`.
    pub sector: Option<Sector>,
    /// `require_signed_request_object`.
    pub signed_requests: SignedRequestRule,
    /// What is only kept.
    pub about: DynamicRegistration,
    /// What it registers about signing out.
    pub logout: LogoutRules,
}

/// What an absent `token_endpoint_auth_method` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodDefault {
    /// `client_secret_basic` (RFC 7591 §2).
    Secret,
    /// `none`: a document cannot hold a secret.
    Public,
}

/// Reads the object that a client sent.
///
/// # Errors
/// When it is none, or is longer than [`METADATA_BYTES_MAX`].
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, RegistrationRefusal> {
    if bytes.len() > METADATA_BYTES_MAX {
        return Err(RegistrationRefusal::Metadata("the body is too long"));
    }
    strict_object(bytes)
        .map_err(|_| RegistrationRefusal::Metadata("the body is not one JSON object"))
}

impl ClientMetadata {
    /// Reads the members of `object`. `algorithm` is what this server signs ID tokens with.
    ///
    /// # Errors
    /// The first member that is refused.
    pub fn read(
        object: &Map<String, Value>,
        rules: &RegistrationRules,
        default: MethodDefault,
        algorithm: Algorithm,
    ) -> Result<Self, RegistrationRefusal> {
        let members = Members(object);
        let application = application(&members)?;
        let grants = grants(&members)?;
        response_types(&members, &grants)?;
        served(&members, algorithm)?;
        let about = about(&members, rules)?;
        let redirect_uris = members.redirect_uris("redirect_uris", application, rules)?;
        let code = grants.contains(&GrantType::AuthorizationCode);
        if code && redirect_uris.is_empty() {
            return Err(crate::client::RegistrationError::NoRedirectUri.into());
        }
        let pushed = members.flag("require_pushed_authorization_requests")?;
        let sector = sector(about.sector_identifier_uri.as_ref())?;
        Ok(Self {
            authentication: authentication(&members, about.jwks_uri.as_ref(), default)?,
            application,
            grants,
            name: members.bounded("client_name")?,
            scopes: scopes(&members)?,
            binding: binding(&members)?,
            signed_requests: if members.flag("require_signed_request_object")? == Some(true) {
                SignedRequestRule::Required
            } else {
                SignedRequestRule::Optional
            },
            pushed_requests: if pushed == Some(true) {
                PushedRequestRule::Required
            } else {
                PushedRequestRule::Optional
            },
            logout: logout(&members, application, rules)?,
            subject_type: subject_type(&members, &redirect_uris, sector.as_ref())?,
            sector,
            redirect_uris,
            about,
        })
    }
}

fn application(members: &Members<'_>) -> Result<Application, RegistrationRefusal> {
    match members.text("application_type")? {
        None | Some("web") => Ok(Application::Web),
        Some("native") => Ok(Application::Native),
        Some(_) => Err(RegistrationRefusal::Metadata("application_type")),
    }
}

fn grants(members: &Members<'_>) -> Result<BTreeSet<GrantType>, RegistrationRefusal> {
    let Some(names) = members.texts("grant_types")? else {
        return Ok(BTreeSet::from([GrantType::AuthorizationCode]));
    };
    let grant = |name: &str| {
        GrantType::from_parameter(name).ok_or(RegistrationRefusal::Metadata("grant_types"))
    };
    names.into_iter().map(grant).collect()
}

/// RFC 7591 §2.1: `code` goes with `authorization_code`, and nothing else is served.
fn response_types(
    members: &Members<'_>,
    grants: &BTreeSet<GrantType>,
) -> Result<(), RegistrationRefusal> {
    let code = grants.contains(&GrantType::AuthorizationCode);
    match (members.texts("response_types")?.as_deref(), code) {
        (None, _) | (Some(["code"]), true) | (Some([]), false) => Ok(()),
        (Some(_), _) => Err(RegistrationRefusal::Metadata("response_types")),
    }
}

/// Members that name something this server does in one way.
fn served(members: &Members<'_>, algorithm: Algorithm) -> Result<(), RegistrationRefusal> {
    let one = |name: &'static str, only: &str| match members.text(name)? {
        Some(asked) if asked != only => Err(RegistrationRefusal::Metadata(name)),
        Some(_) | None => Ok(()),
    };
    one("id_token_signed_response_alg", algorithm.name())?;
    // An ID token or an answer that would have to be encrypted or signed is not promised.
    for name in [
        "id_token_encrypted_response_alg",
        "userinfo_encrypted_response_alg",
        "authorization_encrypted_response_alg",
        "userinfo_signed_response_alg",
    ] {
        if members.raw(name).is_some() {
            return Err(RegistrationRefusal::Metadata(name));
        }
    }
    Ok(())
}

/// OpenID Connect Core §8.1: a sector is the host of the document that lists the redirect URIs, or the one host of them all. A loopback address is no such host:
/// programs of any maker answer there, and would share their subjects.
fn subject_type(
    members: &Members<'_>,
    redirect_uris: &BTreeSet<RedirectUri>,
    sector: Option<&Sector>,
) -> Result<SubjectType, RegistrationRefusal> {
    match members.text("subject_type")? {
        None | Some("public") => Ok(SubjectType::Public),
        Some("pairwise") => {
            let web = |uri: &RedirectUri| uri.as_str().starts_with("https://");
            if sector.is_some() || redirect_uris.iter().all(web) {
                Ok(SubjectType::Pairwise)
            } else {
                Err(RegistrationRefusal::Metadata("sector_identifier_uri"))
            }
        }
        Some(_) => Err(RegistrationRefusal::Metadata("subject_type")),
    }
}

fn sector(address: Option<&WebAddress>) -> Result<Option<Sector>, RegistrationRefusal> {
    let refused = |_| RegistrationRefusal::Metadata("sector_identifier_uri");
    address
        .map(|address| address.host().parse().map_err(refused))
        .transpose()
}

fn authentication(
    members: &Members<'_>,
    jwks_uri: Option<&WebAddress>,
    default: MethodDefault,
) -> Result<AuthenticationMethod, RegistrationRefusal> {
    let jwks = members.raw("jwks");
    if jwks.is_some() && jwks_uri.is_some() {
        return Err(RegistrationRefusal::Metadata("jwks and jwks_uri"));
    }
    let jwks = jwks.map(keys).transpose()?;
    let method = members.text("token_endpoint_auth_method")?;
    match (method, default) {
        (Some("none"), _) | (None, MethodDefault::Public) => Ok(AuthenticationMethod::Public),
        (Some("client_secret_basic"), MethodDefault::Secret) | (None, MethodDefault::Secret) => {
            Ok(AuthenticationMethod::Secret)
        }
        (Some("private_key_jwt"), _) if jwks.is_some() || jwks_uri.is_some() => {
            Ok(AuthenticationMethod::Keys(jwks))
        }
        (Some("private_key_jwt"), _) => Err(RegistrationRefusal::Metadata("jwks")),
        (Some(_), _) => Err(RegistrationRefusal::Metadata("token_endpoint_auth_method")),
    }
}

/// Public keys of which every one can be used, under distinct names.
fn keys(value: &Value) -> Result<Value, RegistrationRefusal> {
    match JwkSet::parse(value.to_string().as_bytes()) {
        Ok((set, skipped)) if !set.is_empty() && skipped.is_empty() => Ok(set.to_json()),
        Ok(_) | Err(_) => Err(RegistrationRefusal::Metadata("jwks")),
    }
}

fn scopes(members: &Members<'_>) -> Result<Option<Scopes>, RegistrationRefusal> {
    let text = members.text("scope")?;
    text.map(|text| {
        text.parse()
            .map_err(|_| RegistrationRefusal::Metadata("scope"))
    })
    .transpose()
}

fn binding(members: &Members<'_>) -> Result<BindingRule, RegistrationRefusal> {
    let dpop = members.flag("dpop_bound_access_tokens")?;
    let tls = members.flag("tls_client_certificate_bound_access_tokens")?;
    Ok(if dpop == Some(true) || tls == Some(true) {
        BindingRule::Required
    } else {
        BindingRule::Optional
    })
}

fn about(
    members: &Members<'_>,
    rules: &RegistrationRules,
) -> Result<DynamicRegistration, RegistrationRefusal> {
    let contact =
        |text: &str| Bounded::parse(text).map_err(|_| RegistrationRefusal::Metadata("contacts"));
    let contacts = members.texts("contacts")?.unwrap_or_default();
    Ok(DynamicRegistration {
        jwks_uri: members.address("jwks_uri", rules)?,
        client_uri: members.address("client_uri", rules)?,
        logo_uri: members.address("logo_uri", rules)?,
        policy_uri: members.address("policy_uri", rules)?,
        tos_uri: members.address("tos_uri", rules)?,
        contacts: contacts
            .into_iter()
            .map(contact)
            .collect::<Result<_, _>>()?,
        sector_identifier_uri: members.address("sector_identifier_uri", rules)?,
        initiate_login_uri: members.address("initiate_login_uri", rules)?,
        software_id: members.bounded("software_id")?,
        software_version: members.bounded("software_version")?,
        ..DynamicRegistration::default()
    })
}

fn logout(
    members: &Members<'_>,
    application: Application,
    rules: &RegistrationRules,
) -> Result<LogoutRules, RegistrationRefusal> {
    let required = members.flag("backchannel_logout_session_required")?;
    Ok(LogoutRules {
        post_logout_redirect_uris: members.redirect_uris(
            "post_logout_redirect_uris",
            application,
            rules,
        )?,
        backchannel_uri: members.address("backchannel_logout_uri", rules)?,
        session: if required == Some(true) {
            SessionInLogoutToken::Required
        } else {
            SessionInLogoutToken::Optional
        },
    })
}
