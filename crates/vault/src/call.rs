//! One call of the API, from what was asked to what an engine is handed.

use crate::body::Body;
use crate::caller::Caller;
use crate::entry::EntryName;
use crate::mounts::Mount;
use crate::path::RequestPath;
use countersign_base::{Duration, RequestId, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_crypto::x509::PeerCertificate;
use countersign_policy::{Entity, EntityId, Query, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What is done, as policies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `POST` or `PUT` where nothing stands yet.
    Create,
    /// `DELETE`.
    Delete,
    /// `LIST`, or `GET` with `list=true`.
    List,
    /// `PATCH`.
    Patch,
    /// `GET` or `HEAD`.
    Read,
    /// `POST` or `PUT`.
    Update,
}

impl Operation {
    /// The capability of an ACL policy that it needs.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Update => "update",
        }
    }

    /// The action of a Cedar policy.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Create => "vault_create",
            Self::Delete => "vault_delete",
            Self::List => "vault_list",
            Self::Patch => "vault_patch",
            Self::Read => "vault_read",
            Self::Update => "vault_update",
        }
    }

    /// Whether it is a `POST` or `PUT`.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update)
    }
}

/// What surrounds a step: whose vault it is, its keys, randomness and the time.
pub struct Cx<'a> {
    /// The tenant; what the API calls a namespace.
    pub tenant: &'a Tenant,
    /// The key of the keyed hashes under which tokens, secret ids and accessors are kept.
    pub mac: &'a MacKey,
    /// Randomness.
    pub random: &'a Random,
    /// The time.
    pub now: UnixTime,
}

/// A call as an engine sees it.
#[derive(Clone)]
pub struct Call {
    /// What is done.
    pub operation: Operation,
    /// The whole path.
    pub path: RequestPath,
    /// The path of the mount, with its slash: `secret/`.
    pub at: String,
    /// The mount.
    pub mount: Mount,
    /// What follows the mount's path, without a leading slash: `data/app`.
    pub rest: String,
    /// The query's parameters (`version=2`).
    pub query: BTreeMap<String, String>,
    /// The body.
    pub body: Body,
    /// Who asks.
    pub caller: Caller,
    /// The credential as it was shown: for answers that repeat it, and for what a wrapping token opens.
    pub shown: Option<Arc<Secret<String>>>,
    /// The certificate whose key the caller holds.
    pub peer: Option<PeerCertificate>,
    /// Where the call comes from.
    pub from: Option<IpAddr>,
    /// Its name.
    pub request: RequestId,
    /// For how long the answer is to be put away, if it is ([`crate::wrapping`]).
    pub wrap_ttl: Option<Duration>,
}

impl Call {
    /// The name of an entry of the mount.
    #[must_use]
    pub fn entry(&self, parts: &[&str]) -> EntryName {
        self.mount.entry(parts)
    }

    /// What follows the mount's path, in segments; a slash at the end makes no further one.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.rest
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// A parameter of the query, or else of the body, as a text.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query
            .get(name)
            .cloned()
            .or_else(|| self.body.text(name).ok().flatten())
    }
}

/// Whether anybody may ask for a path, or it takes more than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// Asked for without a token: sign-in, health.
    Public,
    /// The usual.
    Token,
    /// Only with the capability `sudo` beside the operation's own.
    Sudo,
}

/// A call about which it is decided. Policies name it by path; the pattern of the caller's own rules that fits best is its parent.
pub struct Asked {
    pub(crate) call: Call,
    pub(crate) guarded: Guarded,
    /// Patterns of ACL rules that decide for this path: those that fit best, of all policies of the caller.
    pub(crate) rules: BTreeSet<String>,
    pub(crate) tenant: Tenant,
    pub(crate) now: UnixTime,
}

impl Asked {
    /// The call.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whether anybody may ask it.
    #[must_use]
    pub const fn guarded(&self) -> Guarded {
        self.guarded
    }

    /// The same question about another operation: `encrypt` with a key that is not there asks to create it, and else to use it.
    #[must_use]
    pub fn again_as(&self, operation: Operation) -> Self {
        let call = Call {
            operation,
            ..self.call.clone()
        };
        Self {
            call,
            guarded: self.guarded,
            rules: self.rules.clone(),
            tenant: self.tenant.clone(),
            now: self.now,
        }
    }
}

impl Target for Asked {
    fn query(&self) -> Query {
        let call = &self.call;
        let resource = Entity::new(EntityId::new("VaultPath", call.path.as_str()))
            .attribute(
                "tenant",
                countersign_policy::vocabulary::tenant_id(&self.tenant),
            )
            .attribute("path", call.path.as_str())
            .attribute("mount", call.at.as_str())
            .attribute("engine", call.mount.engine.name())
            .attribute("public", self.guarded == Guarded::Public);
        let resource = self.rules.iter().fold(resource, |resource, pattern| {
            resource.parent(EntityId::new("VaultRule", pattern.as_str()))
        });
        let mut context = BTreeMap::from([
            ("sudo".to_owned(), (self.guarded == Guarded::Sudo).into()),
            ("wrapped".to_owned(), call.wrap_ttl.is_some().into()),
            ("time".to_owned(), self.now.0.into()),
        ]);
        if let Some(from) = call.from {
            context.insert("source".to_owned(), from.into());
        }
        context.extend(countersign_policy::vocabulary::calendar(self.now));
        Query {
            principal: call.caller.entity(&self.tenant),
            action: call.operation.action().to_owned(),
            resource,
            context,
            others: Vec::new(),
        }
    }
}
