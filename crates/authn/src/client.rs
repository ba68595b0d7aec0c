//! Client authentication at the endpoints of the authorization server (RFC 6749 §2.3).
//!
//! One file a method, one line in [`METHODS`]. [`demand`] finds the one method that a request uses; two are an error (R29). The shell loads
//! the client's registration, and for a workload the key of its issuer; [`prove`] judges. A client that is unknown, disabled, or registered for
//! another method is told the same as one with a wrong secret.
//!
//! A certificate is a method only for a client that is registered for one; for every other it binds the tokens (RFC 8705 §3) and nothing more.
//!
//! Not here: which grants, scopes and audiences the client has. `client_secret_jwt` does not exist: it needs the secret itself in the store.

mod client_secret_basic;
mod client_secret_post;
mod none;
mod private_key_jwt;
mod reason;
mod secret;
mod self_signed_tls_client_auth;
mod signed_request;
mod tls_client_auth;
mod workload;

pub use private_key_jwt::ASSERTION_ALGORITHMS;
pub use reason::{ClientReason, ClientRefusal};
pub use secret::secret_tag;
pub use self_signed_tls_client_auth::{CertificateRegistrationError, RegisteredCertificates};
pub use signed_request::{RequestSigner, SignedRequestFlaw, signed_request};
pub use tls_client_auth::{NotATlsSubject, TlsSubject};

use crate::credential::Authorization;
use crate::resource::KeyAnswer;
use crate::trust::{ClientTrust, ForeignKeyNeeded, IssuerName};
use crate::{Form, Unspent};
use countersign_base::{ClientId, Conditional, Issuer, NoTls, Secret, Tenant, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::jose::{JwkSet, Jws};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_crypto::x509::PeerCertificate;
use http::HeaderMap;

/// The parts of a request that say which client sent it.
#[derive(Debug, Clone)]
pub struct ClientRequest<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its form.
    pub form: &'a Form,
    /// The certificate whose key the connection's peer holds.
    pub peer: Conditional<&'a PeerCertificate, NoTls>,
}

impl<'a> ClientRequest<'a> {
    /// A request over a connection without a certificate.
    #[must_use]
    pub const fn without_certificate(headers: &'a HeaderMap, form: &'a Form) -> Self {
        Self {
            headers,
            form,
            peer: Conditional::Absent(NoTls::NoCertificate),
        }
    }
}

/// What a client is registered with.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The client.
    pub id: ClientId,
    /// Its tenant.
    pub tenant: Tenant,
    /// How it authenticates: exactly one method.
    pub method: Method,
    /// Whether it may.
    pub state: ClientState,
}

/// How a client authenticates, with what that is checked against.
#[derive(Debug, Clone)]
pub enum Method {
    /// `self_signed_tls_client_auth`: the certificates and keys that it registered.
    Certificates(RegisteredCertificates),
    /// `private_key_jwt`: the client's public keys.
    Keys(JwkSet),
    /// `client_secret_post`: the tag of its secret, made by [`secret_tag`].
    PostedSecret(Tag),
    /// `none`: a public client.
    Public,
    /// `client_secret_basic`: the tag of its secret, made by [`secret_tag`].
    Secret(Tag),
    /// `tls_client_auth`: the one name that its certificate must have.
    TlsSubject(TlsSubject),
    /// A token that this issuer gives to workloads.
    Workload(IssuerName),
}

/// Whether a client may authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientState {
    /// It may not, whatever it shows.
    Disabled,
    /// It may.
    Enabled,
}

/// Whom a client has to address, the key of the tags of secrets, and whom its tenant believes.
#[derive(Debug, Clone, Copy)]
pub struct ClientRules<'a> {
    /// The issuer that the request went to: the one audience of an assertion.
    pub audience: &'a Issuer,
    /// The key of [`secret_tag`].
    pub secrets: &'a MacKey,
    /// Authorities of certificates and issuers of workload identities.
    pub trust: &'a ClientTrust,
}

/// How a client was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthenticatedBy {
    /// By a secret in the header `Authorization`.
    ClientSecretBasic,
    /// By a secret in the body.
    ClientSecretPost,
    /// By the operator's configuration: the gateway of this process acts as the client that a route names. No request can be this.
    Configured,
    /// By the token of a cluster or another issuer of workload identities.
    FederatedJwt,
    /// Not at all: it is public, and its name is all it has.
    None,
    /// By a signed assertion.
    PrivateKeyJwt,
    /// By a certificate that it registered.
    SelfSignedTlsClientAuth,
    /// By a JWT-SVID.
    SpiffeJwt,
    /// By a certificate of an authority that its tenant trusts.
    TlsClientAuth,
}

impl AuthenticatedBy {
    /// The name in the registry of RFC 8414; `spiffe_jwt` is draft-ietf-oauth-spiffe-client-auth's, and `federated_jwt` is registered nowhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::Configured => "configured",
            Self::FederatedJwt => "federated_jwt",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::SpiffeJwt => "spiffe_jwt",
            Self::TlsClientAuth => "tls_client_auth",
        }
    }

    /// Whether the FAPI 2.0 Security Profile accepts it (§5.3.2.1, item 6; R31): a key that the client itself proved for this server or this connection.
    #[must_use]
    pub const fn is_of_fapi(self) -> bool {
        match self {
            Self::PrivateKeyJwt | Self::SelfSignedTlsClientAuth | Self::TlsClientAuth => true,
            Self::ClientSecretBasic
            | Self::ClientSecretPost
            | Self::Configured
            | Self::FederatedJwt
            | Self::None
            | Self::SpiffeJwt => false,
        }
    }
}

/// Evidence of who the client is. A public one has only said its name, and says so here.
#[derive(Debug, Clone)]
#[must_use]
pub struct AuthenticatedClient {
    id: ClientId,
    tenant: Tenant,
    method: AuthenticatedBy,
}

impl AuthenticatedClient {
    /// The client.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// Its tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// How it was authenticated.
    #[must_use]
    pub const fn method(&self) -> AuthenticatedBy {
        self.method
    }

    /// Whether it has shown a secret or a key.
    #[must_use]
    pub const fn is_confidential(&self) -> bool {
        match self.method {
            AuthenticatedBy::ClientSecretBasic
            | AuthenticatedBy::ClientSecretPost
            | AuthenticatedBy::Configured
            | AuthenticatedBy::FederatedJwt
            | AuthenticatedBy::PrivateKeyJwt
            | AuthenticatedBy::SelfSignedTlsClientAuth
            | AuthenticatedBy::SpiffeJwt
            | AuthenticatedBy::TlsClientAuth => true,
            AuthenticatedBy::None => false,
        }
    }
}

impl Unspent<AuthenticatedClient> {
    /// How the client was authenticated; nothing may be done for it before its one-time values are spent.
    #[must_use]
    pub const fn method(&self) -> AuthenticatedBy {
        self.value.method
    }
}

/// What a method found in a request.
enum Credential {
    Assertion(Box<Unverified<Jws>>),
    Certificate(PeerCertificate),
    Public,
    Secret(Secret<String>),
    Workload(Box<workload::WorkloadToken>),
}

/// What a method reads.
struct Shown<'a> {
    authorization: Authorization<'a>,
    form: &'a Form,
    peer: Conditional<&'a PeerCertificate, NoTls>,
    trust: &'a ClientTrust,
}

impl Shown<'_> {
    fn refuse(&self, reason: ClientReason) -> ClientRefusal {
        ClientRefusal::new(reason, &self.authorization)
    }

    /// The parameter `client_id`.
    fn named(&self) -> Result<Conditional<ClientId, ()>, ClientRefusal> {
        match self.form.get("client_id") {
            None => Ok(Conditional::Absent(())),
            Some(id) => id
                .parse()
                .map(Conditional::Present)
                .map_err(|_| self.refuse(ClientReason::ClientIdMalformed)),
        }
    }
}

type Read = fn(&Shown<'_>) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal>;

/// Every method: what reads it out of a request. A method that is not here does not exist.
const METHODS: [(AuthenticatedBy, Read); 8] = [
    (
        AuthenticatedBy::ClientSecretBasic,
        client_secret_basic::read,
    ),
    (AuthenticatedBy::ClientSecretPost, client_secret_post::read),
    (AuthenticatedBy::SpiffeJwt, workload::read_svid),
    (AuthenticatedBy::FederatedJwt, workload::read_token),
    (AuthenticatedBy::PrivateKeyJwt, private_key_jwt::read),
    (AuthenticatedBy::TlsClientAuth, tls_client_auth::read),
    (
        AuthenticatedBy::SelfSignedTlsClientAuth,
        self_signed_tls_client_auth::read,
    ),
    (AuthenticatedBy::None, none::read),
];

/// The methods by name, for metadata (RFC 8414 §2).
pub fn method_names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(method, _)| method.name())
}

/// A request's client authentication, found and not yet judged.
pub struct ClientDemand {
    id: ClientId,
    method: AuthenticatedBy,
    credential: Credential,
}

impl ClientDemand {
    /// The client whose registration is to be loaded. Nobody has checked yet that it is the client.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.id
    }

    /// The method that the request uses. A request with a certificate and nothing else may turn out to be another one's, by the registration.
    #[must_use]
    pub const fn method(&self) -> AuthenticatedBy {
        self.method
    }

    /// The key of a foreign issuer that the credential demands, if it does.
    #[must_use]
    pub fn key(&self) -> Option<ForeignKeyNeeded> {
        match &self.credential {
            Credential::Workload(token) => Some(token.key()),
            Credential::Assertion(_)
            | Credential::Certificate(_)
            | Credential::Public
            | Credential::Secret(_) => None,
        }
    }

    /// Whether an assertion is signed with a key that `keys` does not hold: of another name, or for another algorithm. Only who fetched the keys of the client can
    /// do something about it.
    #[must_use]
    pub fn misses_key_in(&self, keys: &JwkSet) -> bool {
        match &self.credential {
            Credential::Assertion(assertion) => {
                let header = assertion.header();
                let mut candidates = keys.candidates(header.kid(), header.algorithm());
                candidates.next().is_none()
            }
            Credential::Certificate(_)
            | Credential::Public
            | Credential::Secret(_)
            | Credential::Workload(_) => false,
        }
    }

    /// The same with what the shell found for [`ClientDemand::key`]. Without an answer there is no such key.
    #[must_use]
    pub fn answered(mut self, answer: KeyAnswer) -> Self {
        if let Credential::Workload(token) = &mut self.credential {
            token.answer = answer;
        }
        self
    }
}

impl std::fmt::Debug for ClientDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientDemand({}, {})", self.id, self.method.name())
    }
}

/// Finds out how a client authenticates.
///
/// # Errors
/// When it does not, does so in two ways at once, or in a way that is broken or unknown here.
pub fn demand(
    request: &ClientRequest<'_>,
    trust: &ClientTrust,
) -> Result<ClientDemand, ClientRefusal> {
    let shown = Shown {
        authorization: Authorization::read(request.headers),
        form: request.form,
        peer: request.peer.clone(),
        trust,
    };
    let in_header = !matches!(shown.authorization, Authorization::Absent);
    let secret_in_form = request.form.contains("client_secret");
    let assertion_in_form =
        request.form.contains("client_assertion") || request.form.contains("client_assertion_type");
    if usize::from(in_header) + usize::from(secret_in_form) + usize::from(assertion_in_form) > 1 {
        return Err(shown.refuse(ClientReason::SeveralMethods));
    }
    for (method, read) in METHODS {
        if let Conditional::Present((id, credential)) = read(&shown)? {
            if request
                .form
                .get("client_id")
                .is_some_and(|named| named != id.as_str())
            {
                return Err(shown.refuse(ClientReason::ClientIdMismatch));
            }
            return Ok(ClientDemand {
                id,
                method,
                credential,
            });
        }
    }
    Err(shown.refuse(ClientReason::NoCredential))
}

/// Judges a client's authentication against its registration in the tenant whose issuer was addressed.
///
/// # Errors
/// When the client is unknown, disabled, registered for another method, or its credential does not hold.
pub fn prove(
    demand: ClientDemand,
    registration: Option<&Registration>,
    rules: &ClientRules<'_>,
    now: UnixTime,
) -> Result<Unspent<AuthenticatedClient>, ClientRefusal> {
    let ClientDemand {
        id,
        method,
        credential,
    } = demand;
    let refuse = |reason| ClientRefusal::of(reason, method);
    let none = |method| (method, Vec::new());
    let judged = match credential {
        Credential::Assertion(assertion) => {
            private_key_jwt::check(*assertion, &id, registration, rules, now)
                .map(|entries| (method, entries))
        }
        Credential::Certificate(certificate) => {
            by_certificate(&certificate, registration, rules, now).map(none)
        }
        Credential::Public => none::check(registration).map(|()| none(method)),
        Credential::Secret(secret) => {
            secret::check(&secret, method, &id, registration, rules).map(|()| none(method))
        }
        Credential::Workload(token) => {
            workload::check(*token, &id, registration, rules, now).map(|()| none(method))
        }
    };
    let (method, entries) = judged.map_err(refuse)?;
    let registration = registration.ok_or_else(|| refuse(ClientReason::ClientUnknown))?;
    if registration.id != id {
        return Err(refuse(ClientReason::ClientIdMismatch));
    }
    match registration.state {
        ClientState::Disabled => Err(refuse(ClientReason::ClientDisabled)),
        ClientState::Enabled => Ok(Unspent::new(
            AuthenticatedClient {
                id,
                tenant: registration.tenant.clone(),
                method,
            },
            entries,
        )),
    }
}

/// A name beside a certificate: which of the three methods without any other credential it is, only the registration says.
fn by_certificate(
    certificate: &PeerCertificate,
    registration: Option<&Registration>,
    rules: &ClientRules<'_>,
    now: UnixTime,
) -> Result<AuthenticatedBy, ClientReason> {
    match registration.map(|registration| &registration.method) {
        Some(Method::TlsSubject(subject)) => {
            tls_client_auth::check(certificate, subject, rules, now)
                .map(|()| AuthenticatedBy::TlsClientAuth)
        }
        Some(Method::Certificates(registered)) => {
            self_signed_tls_client_auth::check(certificate, registered, now)
                .map(|()| AuthenticatedBy::SelfSignedTlsClientAuth)
        }
        Some(
            Method::Keys(_)
            | Method::PostedSecret(_)
            | Method::Public
            | Method::Secret(_)
            | Method::Workload(_),
        )
        | None => none::check(registration).map(|()| AuthenticatedBy::None),
    }
}

/// See [`crate::danger::configured_client`].
pub(crate) const fn configured(tenant: Tenant, id: ClientId) -> Unspent<AuthenticatedClient> {
    let method = AuthenticatedBy::Configured;
    Unspent::new(AuthenticatedClient { id, tenant, method }, Vec::new())
}

#[cfg(test)]
mod tests;
