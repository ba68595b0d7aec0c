//! Client authentication at the endpoints of the authorization server (RFC 6749 §2.3).
//!
//! One file a method, one line in [`METHODS`]. [`demand`] finds the one method that a request uses; two are an error (R29). The shell loads
//! the client's registration; [`prove`] judges. A client that is unknown, disabled, or registered for another method is told the same as one
//! with a wrong secret.
//!
//! Not here: which grants, scopes and audiences the client has.

mod client_secret_basic;
mod none;
mod private_key_jwt;
mod reason;
mod signed_request;

pub use client_secret_basic::secret_tag;
pub use private_key_jwt::ASSERTION_ALGORITHMS;
pub use reason::{ClientReason, ClientRefusal};
pub use signed_request::{RequestSigner, SignedRequestFlaw, signed_request};

use crate::credential::Authorization;
use crate::{Form, Unspent};
use countersign_base::{ClientId, Conditional, Issuer, Secret, Tenant, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::jose::{JwkSet, Jws};
use countersign_crypto::mac::{MacKey, Tag};
use http::HeaderMap;

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
    /// `private_key_jwt`: the client's public keys.
    Keys(JwkSet),
    /// `none`: a public client.
    Public,
    /// `client_secret_basic`: the tag of its secret, made by [`secret_tag`].
    Secret(Tag),
}

/// Whether a client may authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientState {
    /// It may not, whatever it shows.
    Disabled,
    /// It may.
    Enabled,
}

/// Whom a client has to address, and the key of the tags of secrets.
#[derive(Debug, Clone, Copy)]
pub struct ClientRules<'a> {
    /// The issuer that the request went to: the one audience of an assertion.
    pub audience: &'a Issuer,
    /// The key of [`secret_tag`].
    pub secrets: &'a MacKey,
}

/// How a client was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthenticatedBy {
    /// By a secret in the header `Authorization`.
    ClientSecretBasic,
    /// By the operator's configuration: the gateway of this process acts as the client that a route names. No request can be this.
    Configured,
    /// Not at all: it is public, and its name is all it has.
    None,
    /// By a signed assertion.
    PrivateKeyJwt,
}

impl AuthenticatedBy {
    /// The name in the registry of RFC 8414.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::Configured => "configured",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
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
            | AuthenticatedBy::Configured
            | AuthenticatedBy::PrivateKeyJwt => true,
            AuthenticatedBy::None => false,
        }
    }
}

/// What a method found in a request.
enum Credential {
    Assertion(Box<Unverified<Jws>>),
    Public,
    Secret(Secret<String>),
}

type Read =
    fn(&Authorization<'_>, &Form) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal>;

/// Every method: what reads it out of a request. A method that is not here does not exist.
const METHODS: [(AuthenticatedBy, Read); 3] = [
    (
        AuthenticatedBy::ClientSecretBasic,
        client_secret_basic::read,
    ),
    (AuthenticatedBy::PrivateKeyJwt, private_key_jwt::read),
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

    /// The method that the request uses.
    #[must_use]
    pub const fn method(&self) -> AuthenticatedBy {
        self.method
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
pub fn demand(headers: &HeaderMap, form: &Form) -> Result<ClientDemand, ClientRefusal> {
    let authorization = Authorization::read(headers);
    let in_header = !matches!(authorization, Authorization::Absent);
    // A secret in the body (`client_secret_post`) is no method here; beside another one it is a second mechanism all the same.
    let secret_in_form = form.contains("client_secret");
    let assertion_in_form =
        form.contains("client_assertion") || form.contains("client_assertion_type");
    if usize::from(in_header) + usize::from(secret_in_form) + usize::from(assertion_in_form) > 1 {
        return Err(ClientRefusal::new(
            ClientReason::SeveralMethods,
            &authorization,
        ));
    }
    if secret_in_form {
        return Err(ClientRefusal::new(
            ClientReason::MethodUnknown,
            &authorization,
        ));
    }
    for (method, read) in METHODS {
        if let Conditional::Present((id, credential)) = read(&authorization, form)? {
            if form
                .get("client_id")
                .is_some_and(|named| named != id.as_str())
            {
                return Err(ClientRefusal::new(
                    ClientReason::ClientIdMismatch,
                    &authorization,
                ));
            }
            return Ok(ClientDemand {
                id,
                method,
                credential,
            });
        }
    }
    Err(ClientRefusal::new(
        ClientReason::NoCredential,
        &authorization,
    ))
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
    let entries = match credential {
        Credential::Assertion(assertion) => {
            private_key_jwt::check(*assertion, &id, registration, rules, now)
        }
        Credential::Public => none::check(registration),
        Credential::Secret(secret) => client_secret_basic::check(&secret, &id, registration, rules),
    };
    let entries = entries.map_err(refuse)?;
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

/// See [`crate::danger::configured_client`].
pub(crate) const fn configured(tenant: Tenant, id: ClientId) -> Unspent<AuthenticatedClient> {
    let method = AuthenticatedBy::Configured;
    Unspent::new(AuthenticatedClient { id, tenant, method }, Vec::new())
}

#[cfg(test)]
mod tests;
