//! Who calls: the holder of a vault token, a subject of our own tokens, or nobody.

use crate::VaultError;
use crate::acl;
use crate::body::Body;
use crate::call::{Asked, Call, Cx, Guarded, Operation};
use crate::engine;
use crate::mounts::Mounts;
use crate::path::RequestPath;
use crate::token::{self, Held};
use crate::work::{Stop, Work};
use countersign_authn::Subject;
use countersign_base::{Duration, RequestId, Secret, Tenant};
use countersign_crypto::x509::PeerCertificate;
use countersign_policy::{Entity, EntityId, vocabulary};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Who calls. A credential that does not hold is none of these: it is refused.
#[derive(Clone)]
pub enum Caller {
    /// Nobody: no credential was shown.
    Anonymous,
    /// Somebody with one of our own access tokens.
    Subject(Arc<Subject>),
    /// The holder of a vault token.
    Token(Box<Held>),
}

impl Caller {
    /// The principal of the question.
    #[must_use]
    pub fn entity(&self, tenant: &Tenant) -> Entity {
        match self {
            Self::Anonymous => vocabulary::anonymous(tenant),
            Self::Subject(subject) => vocabulary::principal(subject),
            Self::Token(held) => {
                let entity = Entity::new(EntityId::new("VaultToken", held.accessor.as_str()))
                    .attribute("tenant", vocabulary::tenant_id(tenant))
                    .attribute("display_name", held.display_name.as_str())
                    .attribute("root", held.is_root());
                held.policies.iter().fold(entity, |entity, policy| {
                    entity.parent(acl::policy_entity(tenant, policy))
                })
            }
        }
    }

    /// The subject, if one of our own access tokens was shown.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Anonymous | Self::Token(_) => None,
        }
    }

    /// The accessor of the vault token, if one was shown.
    #[must_use]
    pub fn accessor(&self) -> Option<&str> {
        match self {
            Self::Token(held) => Some(&held.accessor),
            Self::Anonymous | Self::Subject(_) => None,
        }
    }

    /// The vault token, if it is one.
    ///
    /// # Errors
    /// [`VaultError::Denied`] when the caller has none.
    pub fn token(&self) -> Result<&Held, VaultError> {
        match self {
            Self::Token(held) => Ok(held),
            Self::Anonymous | Self::Subject(_) => Err(VaultError::Denied),
        }
    }
}

/// What a caller shows.
pub enum Presented {
    /// Nothing.
    Nothing,
    /// One of our own access tokens, proven.
    Subject(Arc<Subject>),
    /// A vault token, as it was sent.
    Token(Arc<Secret<String>>),
}

/// A request as it arrived.
pub struct Request {
    /// `POST` and `PUT` are [`Operation::Update`]; what they create is found out.
    pub operation: Operation,
    /// The path.
    pub path: RequestPath,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
    /// The body.
    pub body: Body,
    /// The certificate whose key the caller holds.
    pub peer: Option<PeerCertificate>,
    /// Where it comes from.
    pub from: Option<IpAddr>,
    /// Its name.
    pub request: RequestId,
    /// `X-Vault-Wrap-TTL`.
    pub wrap_ttl: Option<Duration>,
}

/// Finds out who calls what: the token's entry is read and one of its uses taken, the mount is found, and the rules of the caller's policies that fit the path
/// best are looked up.
///
/// # Errors
/// [`VaultError::Denied`] when the token does not hold; [`VaultError::NotFound`] when nothing is mounted there, but only to somebody who is known.
pub fn identify(
    request: &Request,
    presented: &Presented,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Asked, Stop> {
    refuse_folder(request)?;
    let mounts = Mounts::read(work)?;
    let route = mounts.route(&request.path);
    let mounted = route.as_ref().ok();
    let mounted = mounted.map(|(_, mount, rest)| (mount.engine, *rest));
    let guarded = engine::guarded(&request.path, request.operation, mounted);
    let caller = match presented {
        // On a public path a credential says nothing, also a broken one; signing in again has to be possible.
        _ if guarded == Guarded::Public => Caller::Anonymous,
        Presented::Nothing => return Err(VaultError::Denied.into()),
        Presented::Subject(subject) => Caller::Subject(Arc::clone(subject)),
        Presented::Token(shown) => {
            let held = token::take_use(shown, work, cx)?.ok_or(VaultError::Denied)?;
            if !held.admits(request.from) {
                return Err(VaultError::Denied.into());
            }
            Caller::Token(Box::new(held))
        }
    };
    let (at, mount, rest) = route?;
    let rules = match &caller {
        Caller::Token(held) => {
            acl::fitting(&held.policies, &request.path, request.operation, work)?
        }
        Caller::Anonymous | Caller::Subject(_) => Default::default(),
    };
    let mut call = Call {
        operation: request.operation,
        at: at.to_owned(),
        mount: mount.clone(),
        rest: rest.to_owned(),
        path: request.path.clone(),
        query: request.query.clone(),
        body: request.body.clone(),
        caller,
        shown: match presented {
            Presented::Token(shown) => Some(Arc::clone(shown)),
            Presented::Nothing | Presented::Subject(_) => None,
        },
        peer: request.peer.clone(),
        from: request.from,
        request: request.request,
        wrap_ttl: request.wrap_ttl,
    };
    if call.operation == Operation::Update && !engine::exists(&call, work)? {
        call.operation = Operation::Create;
    }
    Ok(Asked {
        call,
        guarded,
        rules,
        tenant: cx.tenant.clone(),
        now: cx.now,
    })
}

/// A path with a slash at its end names a folder, which is listed and nothing else. Engines look at segments, rules and guards at the whole path: what is denied as
/// `database/creds/admin` must not be had as `database/creds/admin/`.
fn refuse_folder(request: &Request) -> Result<(), VaultError> {
    if request.operation == Operation::List || !request.path.as_str().ends_with('/') {
        return Ok(());
    }
    if request.operation.writes() {
        return Err(VaultError::invalid("cannot write to a path ending in '/'"));
    }
    Err(VaultError::NotFound)
}
