//! Issuers that are not ours and whose access tokens a resource takes all the same: a partner's, or that of a product which cannot be moved.
//!
//! Such an issuer has its own name, algorithms, leeway and audience, and what it says is believed as far as its entry goes: whom a token speaks of, for which client
//! it was made, its scopes and times always, under names that nobody of ours has ([`SubjectId::Foreign`], client ids that begin with `@`); roles, attributes and how
//! somebody signed in where the entry says so; grants and sign-ins never, because those are ours. Opaque tokens, sessions and exchanges are for our own tokens alone.
//!
//! Not here: where its keys come from, which is the shell's business, and assertions that are grants ([`crate::trust`]).

use crate::access_token::claims::{self, AccessTokenClaims, Act};
use crate::access_token::{AuthorizationDetails, TokenHash};
use crate::refusal::Reason;
use crate::subject::{Actor, ForeignSubject, SubjectId};
use crate::trust::IssuerName;
use countersign_base::{Audience, Bounded, ClientId, Duration, Issuer, Scope, Scopes, Tenant};
use countersign_crypto::Verified;
use countersign_crypto::jose::{Algorithm, Claims, Header};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// The most that clocks of ours and of another issuer may differ by.
pub const LEEWAY_MAX: Duration = Duration::from_secs(300);
/// What they may differ by where nobody says otherwise.
pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(60);
/// What the ids of other issuers' clients begin with. No client of ours has such an id.
pub const FOREIGN_CLIENT_MARK: char = '@';
/// Characters of an issuer's name.
const NAME_MAX: usize = 32;

/// What an issuer's access tokens look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TokenForm {
    /// `typ` is `at+jwt`, and all claims of RFC 9068 §2.2 are there.
    #[default]
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// `typ` is `JWT`, `at+jwt` or absent; the client may be `azp`, the scopes `scp`, and `jti` may be missing. Nothing but the audience then tells an access token
    /// from an ID token.
    #[serde(rename = "jwt")]
    Jwt,
}

/// What of an issuer's tokens is believed beyond subject, client, scopes and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Believed {
    /// `attrs`, as attributes of the principal.
    Attributes,
    /// `acr`, `amr` and `auth_time`: step-up takes its word for how somebody signed in.
    Authentication,
    /// `roles`, as if the tenant had given them.
    Roles,
}

/// What an entry says of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherIssuerSpec {
    /// What the configuration calls it: up to 32 lower-case letters, digits, `-` and `_`. Its clients' ids begin with it.
    pub name: String,
    /// Its `iss`, compared as an exact string.
    pub iss: String,
    /// Whom its tokens must be for, if not the resource's own audience.
    pub audience: Option<Audience>,
    /// What it may sign with.
    pub algorithms: BTreeSet<Algorithm>,
    /// By how much its clock may differ from ours.
    pub leeway: Duration,
    /// What its tokens look like.
    pub form: TokenForm,
    /// What of them is believed beyond subject, client, scopes and times.
    pub believed: BTreeSet<Believed>,
    /// The scopes that it may give; without a list, all that resources ask for.
    pub scopes: Option<Scopes>,
}

/// What an entry may not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerMistake {
    /// It may sign with nothing.
    #[error("an issuer signs with at least one algorithm")]
    NoAlgorithm,
    /// Its `iss`.
    #[error("an issuer is an https URL without query and fragment, at most 512 bytes")]
    Iss,
    /// Its leeway.
    #[error("clocks may differ by 300 seconds at most")]
    Leeway,
    /// Its name.
    #[error(
        "the name of an issuer is 1 to 32 lower-case letters, digits, `-` or `_`, and not `own`"
    )]
    Name,
}

/// An issuer that is not ours and whose access tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherIssuer {
    spec: OtherIssuerSpec,
    name: IssuerName,
    /// Its `iss` without a slash at the end, by which records and policies know it.
    issuer: Issuer,
}

impl OtherIssuer {
    /// Judges an entry.
    ///
    /// # Errors
    /// See [`IssuerMistake`].
    pub fn new(spec: OtherIssuerSpec) -> Result<Self, IssuerMistake> {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        let is_name = (1..=NAME_MAX).contains(&spec.name.len()) && spec.name.bytes().all(plain);
        if !is_name || spec.name == "own" {
            return Err(IssuerMistake::Name);
        }
        let name = Bounded::parse(&spec.name).map_err(|_| IssuerMistake::Name)?;
        let bare = spec.iss.strip_suffix('/').unwrap_or(&spec.iss);
        let issuer = bare.parse().map_err(|_| IssuerMistake::Iss)?;
        if spec.algorithms.is_empty() {
            return Err(IssuerMistake::NoAlgorithm);
        }
        if spec.leeway > LEEWAY_MAX {
            return Err(IssuerMistake::Leeway);
        }
        Ok(Self { spec, name, issuer })
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn name(&self) -> &IssuerName {
        &self.name
    }

    /// Its `iss`, character for character.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.spec.iss
    }

    /// Its `iss` without a slash at the end, by which records and policies know it.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What it may sign with.
    #[must_use]
    pub const fn algorithms(&self) -> &BTreeSet<Algorithm> {
        &self.spec.algorithms
    }

    /// By how much its clock may differ from ours.
    #[must_use]
    pub const fn leeway(&self) -> Duration {
        self.spec.leeway
    }

    /// Whom its tokens must be for.
    #[must_use]
    pub fn audience<'a>(&'a self, of_resource: &'a Audience) -> &'a Audience {
        self.spec.audience.as_ref().unwrap_or(of_resource)
    }

    /// Whether a token with this header may be an access token of it.
    pub(super) fn takes_typ(&self, header: &Header) -> bool {
        match self.spec.form {
            TokenForm::AccessToken => header.is_typ("at+jwt"),
            TokenForm::Jwt => {
                header.typ().is_none() || header.is_typ("JWT") || header.is_typ("at+jwt")
            }
        }
    }

    fn believes(&self, what: Believed) -> bool {
        self.spec.believed.contains(&what)
    }

    /// Reads the claims of a token of it whose signature held, as far as it is believed.
    pub(crate) fn read(
        &self,
        claims: &Verified<Claims>,
        token: TokenHash,
    ) -> Result<AccessTokenClaims, Reason> {
        // The key was chosen by this claim before it was verified; now it must say the same.
        if claims::text(claims, "iss")? != Some(self.iss()) {
            return Err(Reason::IssuerUnknown);
        }
        let (auth_time, acr, amr) = if self.believes(Believed::Authentication) {
            (
                claims::time(claims, "auth_time")?,
                claims::acr(claims)?,
                claims::methods(claims)?,
            )
        } else {
            (None, None, BTreeSet::new())
        };
        let scope = self.scope_of(claims)?;
        Ok(AccessTokenClaims {
            iss: self.issuer.clone(),
            sub: self.subject_of(claims)?,
            aud: claims::single_audience(claims.raw().get("aud"))?,
            exp: claims::time(claims, "exp")?.ok_or(Reason::ClaimMissing)?,
            iat: claims::time(claims, "iat")?.ok_or(Reason::ClaimMissing)?,
            nbf: claims::time(claims, "nbf")?,
            jti: self.name_of(claims, token)?,
            client_id: self.client_of(claims)?,
            scope: match &self.spec.scopes {
                Some(may_give) => scope.intersection(may_give),
                None => scope,
            },
            // Grants and sign-ins are ours: what another calls so names none of them.
            grant_id: None,
            sid: None,
            auth_time,
            acr,
            amr,
            roles: if self.believes(Believed::Roles) {
                claims::roles(claims)?
            } else {
                BTreeSet::new()
            },
            attrs: if self.believes(Believed::Attributes) {
                claims::attributes(claims.raw().get("attrs"))?
            } else {
                Default::default()
            },
            act: self.actors_of(claims)?,
            authorization_details: AuthorizationDetails::none(),
            may_act: None,
            cnf: claims::confirmation(claims)?,
        })
    }

    fn subject_of(&self, claims: &Claims) -> Result<SubjectId, Reason> {
        let sub = claims::text(claims, "sub")?.ok_or(Reason::ClaimMissing)?;
        // What a header field carries as it is: an upstream must not see another subject, or none, where policy saw this one.
        let carried = sub.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && sub.trim() == sub;
        if sub.is_empty() || !carried {
            return Err(Reason::ClaimBroken);
        }
        Ok(SubjectId::Foreign(Box::new(ForeignSubject {
            issuer: self.issuer.clone(),
            sub: Bounded::parse(sub).map_err(claims::broken)?,
        })))
    }

    /// Its own name for a client, under the issuer's. What a client id of ours may not hold is escaped, so that two of theirs stay two.
    fn client_of(&self, claims: &Claims) -> Result<ClientId, Reason> {
        let written = match (claims::text(claims, "client_id")?, self.spec.form) {
            (Some(client), _) => Some(client),
            (None, TokenForm::Jwt) => claims::text(claims, "azp")?,
            (None, TokenForm::AccessToken) => None,
        };
        let written = written.ok_or(Reason::ClaimMissing)?;
        if written.is_empty() {
            return Err(Reason::ClaimBroken);
        }
        let mut id = format!("{FOREIGN_CLIENT_MARK}{}/", self.spec.name);
        for byte in written.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
                id.push(char::from(byte));
            } else {
                write!(id, "%{byte:02X}").map_err(claims::broken)?;
            }
        }
        id.parse().map_err(claims::broken)
    }

    fn scope_of(&self, claims: &Claims) -> Result<Scopes, Reason> {
        let named = |name| claims::optional(claims, name);
        match (claims.raw().get("scp"), self.spec.form) {
            (Some(Value::Array(_)), TokenForm::Jwt) => {
                let members = claims.strings("scp").map_err(claims::broken)?;
                let scopes = members
                    .unwrap_or_default()
                    .into_iter()
                    .map(str::parse::<Scope>);
                scopes.collect::<Result<_, _>>().map_err(claims::broken)
            }
            (Some(_), TokenForm::Jwt) => Ok(named("scp")?.unwrap_or_default()),
            (None, TokenForm::Jwt) | (_, TokenForm::AccessToken) => {
                Ok(named("scope")?.unwrap_or_default())
            }
        }
    }

    /// Its `jti`, or where such tokens need none, the digest of the token.
    fn name_of(&self, claims: &Claims, token: TokenHash) -> Result<Bounded<256>, Reason> {
        match (claims::text(claims, "jti")?, self.spec.form) {
            (Some(jti), _) => Bounded::parse(jti).map_err(claims::broken),
            (None, TokenForm::Jwt) => Bounded::parse(&token.to_base64url()).map_err(claims::broken),
            (None, TokenForm::AccessToken) => Err(Reason::ClaimMissing),
        }
    }

    /// Who acts in it, under the issuer's name: leaving them out would turn a delegation into the person's own doing.
    fn actors_of(&self, claims: &Claims) -> Result<Act, Reason> {
        let theirs = Act::read(claims.raw().get("act"))?;
        let mut ours = Act::none();
        for actor in theirs.actors().iter().rev() {
            let sub = format!("{FOREIGN_CLIENT_MARK}{}/{}", self.spec.name, actor.sub);
            ours = ours.by(Actor {
                sub: Bounded::parse(&sub).map_err(claims::broken)?,
                iss: actor.iss.clone().or_else(|| Some(self.issuer.clone())),
            })?;
        }
        Ok(ours)
    }
}

/// The issuers that a resource trusts beside our own, and the tenant that their tokens count in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) tenant: Tenant,
    pub(crate) issuers: Vec<Arc<OtherIssuer>>,
}

#[cfg(test)]
mod tests;
