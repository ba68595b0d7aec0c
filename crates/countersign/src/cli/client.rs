//! `client add`: every way to authenticate, and every switch that a registration has.

use super::Target;
use clap::Args;
use countersign_authn::access_token::DetailType;
use countersign_authn::client::TlsSubject;
use countersign_authn::trust::IssuerName;
use countersign_base::{Audience, Bounded, ClientId, Scope};
use countersign_crypto::jose::{ContentEncryption, KeyManagement};
use countersign_oauth::client::{
    AccessTokenFormat, Application, BindingRule, ConsentRule, GrantType, PushedRequestRule,
    RefreshRule, ResponseEncryption, SignedRequestRule, UserInfoFormat,
};
use countersign_oauth::redirect::RedirectUri;
use countersign_oauth::subject_identifier::{Sector, SubjectType};
use countersign_oauth::{ResponseMode, SecurityProfile};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// What `client add --help` shows below the flags.
pub(super) const EXAMPLES: &str = "Examples:
  countersign client add reports --secret --grant client_credentials --scope reports.read --audience https://reports.example.com
  countersign client add billing --tls-subject uri:spiffe://example.org/billing --grant client_credentials --audience https://orders.example.com
  countersign client add printer --tls-certificates printer.pem --grant client_credentials --audience https://spool.example.com
  countersign client add nightly --workload cluster --grant client_credentials --audience https://orders.example.com
  countersign client add bank --jwks bank.json --profile fapi2 --grant authorization_code --redirect-uri https://bank.example.com/cb
  countersign client add shop --secret --subject-type pairwise --grant authorization_code --redirect-uri https://shop.example.com/cb --scope openid
  countersign client add clinic --jwks clinic.json --encrypt-id-tokens ECDH-ES+A256KW --grant authorization_code --redirect-uri https://clinic.example.com/cb --scope openid";

/// `client add`
#[derive(Debug, Args)]
pub struct ClientAdd {
    /// The client's identifier.
    pub id: ClientId,
    /// How the client authenticates.
    #[command(flatten)]
    pub method: ClientMethod,
    /// What people read on the consent page.
    #[arg(long, value_parser = bounded::<128>)]
    pub name: Option<Bounded<128>>,
    /// A grant it may use; repeat for more.
    #[arg(long = "grant", required = true, value_parser = parse_grant)]
    pub grants: Vec<GrantType>,
    /// Where answers may be sent; repeat for more.
    #[arg(long = "redirect-uri")]
    pub redirect_uris: Vec<RedirectUri>,
    /// A scope it may ask for; repeat for more.
    #[arg(long = "scope")]
    pub scopes: Vec<Scope>,
    /// An audience it may ask tokens for; repeat for more.
    #[arg(long = "audience")]
    pub audiences: Vec<Audience>,
    /// An audience that it is itself, as a resource server; repeat for more.
    #[arg(long = "serves")]
    pub serves: Vec<Audience>,
    /// Hold it to a profile: fapi2 or fapi2-message-signing.
    #[arg(long, value_parser = parse_profile)]
    pub profile: Option<SecurityProfile>,
    /// How its requests come and what it gets.
    #[command(flatten)]
    pub switches: ClientSwitches,
    /// How answers to it are encrypted.
    #[command(flatten)]
    pub encryption: ClientEncryption,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// How a client authenticates: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ClientMethod {
    /// With a secret in the header (client_secret_basic), which is printed once.
    #[arg(long)]
    pub secret: bool,
    /// With a secret in the body (client_secret_post), which is printed once; the tenant has to allow it.
    #[arg(long)]
    pub secret_post: bool,
    /// With the keys of this JWK set (private_key_jwt).
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// With a certificate of a trusted authority that has this name (tls_client_auth): dn:, dns:, uri:, ip: or email: and the name.
    #[arg(long, value_name = "KIND:NAME")]
    pub tls_subject: Option<TlsSubjectText>,
    /// With one of these certificates (self_signed_tls_client_auth): PEM, or a JWK set.
    #[arg(long, value_name = "FILE")]
    pub tls_certificates: Option<PathBuf>,
    /// With what this trusted issuer gives to workloads: a JWT-SVID, or a Kubernetes service-account token.
    #[arg(long, value_name = "ISSUER", value_parser = bounded::<64>)]
    pub workload: Option<IssuerName>,
    /// Not at all: a public client.
    #[arg(long)]
    pub public: bool,
}

/// How its requests come and what it gets.
#[derive(Debug, Args)]
pub struct ClientSwitches {
    /// What kind of program it is: web or native.
    #[arg(long, value_parser = one_of::<Application>("web or native"))]
    pub application: Option<Application>,
    /// Whether people are asked: ask or implied.
    #[arg(long, value_parser = one_of::<ConsentRule>("ask or implied"))]
    pub consent: Option<ConsentRule>,
    /// What its access tokens look like: jwt or opaque.
    #[arg(long, value_parser = one_of::<AccessTokenFormat>("jwt or opaque"))]
    pub access_token_format: Option<AccessTokenFormat>,
    /// Seconds that its access tokens live, an hour at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub access_token_seconds: Option<u32>,
    /// When it gets a refresh token: always or offline_access.
    #[arg(long, value_parser = one_of::<RefreshRule>("always or offline_access"))]
    pub refresh_tokens: Option<RefreshRule>,
    /// What it learns as `sub`: public or pairwise.
    #[arg(long, value_parser = one_of::<SubjectType>("public or pairwise"))]
    pub subject_type: Option<SubjectType>,
    /// The host that clients with the same pairwise subjects share.
    #[arg(long)]
    pub sector: Option<Sector>,
    /// Whether its tokens must be bound to a key: optional or required.
    #[arg(long, value_parser = one_of::<BindingRule>("optional or required"))]
    pub binding: Option<BindingRule>,
    /// Whether its authorization requests must be pushed: optional or required.
    #[arg(long, value_parser = one_of::<PushedRequestRule>("optional or required"))]
    pub pushed_requests: Option<PushedRequestRule>,
    /// Whether its authorization requests must be signed: optional or required.
    #[arg(long, value_parser = one_of::<SignedRequestRule>("optional or required"))]
    pub signed_requests: Option<SignedRequestRule>,
    /// A response mode it may ask for (query, form_post, jwt, form_post.jwt); repeat for more.
    #[arg(long = "response-mode", value_parser = parse_response_mode)]
    pub response_modes: Vec<ResponseMode>,
    /// A type of authorization details it may ask for; repeat for more.
    #[arg(long = "authorization-details-type")]
    pub detail_types: Vec<DetailType>,
}

/// How answers to it are encrypted. `ALG` stands for `ALG/A256GCM`.
#[derive(Debug, Args)]
pub struct ClientEncryption {
    /// Its JWK set for request objects and encrypted answers, if it is not the one that it authenticates with.
    #[arg(long, value_name = "FILE")]
    pub request_jwks: Option<PathBuf>,
    /// Encrypt signed authorization responses, such as ECDH-ES+A256KW or RSA-OAEP-256/A128GCM.
    #[arg(long, value_name = "ALG[/ENC]", value_parser = parse_encryption)]
    pub encrypt_responses: Option<ResponseEncryption>,
    /// Encrypt ID tokens.
    #[arg(long, value_name = "ALG[/ENC]", value_parser = parse_encryption)]
    pub encrypt_id_tokens: Option<ResponseEncryption>,
    /// Encrypt signed answers to introspection.
    #[arg(long, value_name = "ALG[/ENC]", value_parser = parse_encryption)]
    pub encrypt_introspection: Option<ResponseEncryption>,
    /// Encrypt userinfo, which is signed then.
    #[arg(long, value_name = "ALG[/ENC]", value_parser = parse_encryption)]
    pub encrypt_userinfo: Option<ResponseEncryption>,
    /// What userinfo looks like: json or signed.
    #[arg(long, value_parser = one_of::<UserInfoFormat>("json or signed"))]
    pub userinfo: Option<UserInfoFormat>,
}

/// A subject that was read and is sent as it was written.
#[derive(Debug, Clone)]
pub struct TlsSubjectText(pub String);

impl std::str::FromStr for TlsSubjectText {
    type Err = countersign_authn::client::NotATlsSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<TlsSubject>().map(|_| Self(text.to_owned()))
    }
}

/// Reads a word of a closed list as configurations write it.
fn one_of<T: DeserializeOwned>(
    expected: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| serde_json::from_value(text.into()).map_err(|_| format!("expected {expected}"))
}

fn bounded<const N: usize>(text: &str) -> Result<Bounded<N>, String> {
    Bounded::parse(text).map_err(|error| error.to_string())
}

fn parse_encryption(text: &str) -> Result<ResponseEncryption, String> {
    let (alg, enc) = match text.split_once('/') {
        Some((alg, enc)) => (alg, ContentEncryption::from_name(enc)),
        None => (text, Some(ContentEncryption::A256Gcm)),
    };
    match (KeyManagement::from_name(alg), enc) {
        (Some(alg), Some(enc)) => Ok(ResponseEncryption { alg, enc }),
        (None, _) | (_, None) => {
            let algs = KeyManagement::ALL.map(|alg| alg.name()).join(", ");
            let encs = ContentEncryption::ALL.map(|enc| enc.name()).join(", ");
            Err(format!(
                "expected ALG or ALG/ENC, ALG of {algs}; ENC of {encs}"
            ))
        }
    }
}

fn parse_grant(text: &str) -> Result<GrantType, String> {
    crate::config::clients::grant(text).ok_or_else(|| {
        "expected authorization_code, ciba, client_credentials, device_code, jwt_bearer, refresh_token or token_exchange"
            .to_owned()
    })
}

fn parse_response_mode(text: &str) -> Result<ResponseMode, String> {
    ResponseMode::from_parameter(text)
        .ok_or_else(|| "expected query, form_post, jwt or form_post.jwt".to_owned())
}

fn parse_profile(text: &str) -> Result<SecurityProfile, String> {
    SecurityProfile::from_name(text)
        .ok_or_else(|| "expected fapi2 or fapi2-message-signing".to_owned())
}
