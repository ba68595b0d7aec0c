//! `role/:name`: which tokens sign in, as whom, and what they get.

use super::judge::{Admitted, Demand, Leeway};
use super::{PerClaim, claim, done, texts};
use crate::answer::{Answer, Outcome};
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::sign_in::{self, TokenRules};
use crate::work::{Stop, Work};
use crate::{VaultError, glob, named};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// How `bound_claims` are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Comparison {
    /// `*` stands for anything.
    Glob,
    /// As they stand.
    #[default]
    String,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    user_claim: String,
    bound_audiences: Vec<String>,
    bound_subject: Option<String>,
    bound_claims: PerClaim,
    comparison: Comparison,
    claim_mappings: BTreeMap<String, String>,
    /// Seconds as they were set: 0 is the default, -1 none.
    clock_skew_leeway: i64,
    expiration_leeway: i64,
    not_before_leeway: i64,
    pub(super) tokens: TokenRules,
}

/// What a leeway of 0 stands for.
const SKEW_DEFAULT: u64 = 60;
const LEEWAY_DEFAULT: u64 = 150;
/// The longest leeway.
const LEEWAY_MAX: i64 = 86_400;

fn leeway(set: i64, default: u64) -> Duration {
    Duration::from_secs(match set {
        0 => default,
        set => u64::try_from(set).unwrap_or(0),
    })
}

impl Role {
    /// Whether a token may sign in with this role.
    ///
    /// # Errors
    /// When something that the role binds does not fit.
    pub(super) fn admit<'c>(
        &self,
        signed: &'c Verified<Claims>,
        issuer: Option<&str>,
        now: UnixTime,
    ) -> Result<Admitted<'c>, VaultError> {
        let demand = Demand {
            issuer,
            audiences: &self.bound_audiences,
            leeway: Leeway {
                skew: leeway(self.clock_skew_leeway, SKEW_DEFAULT),
                expiration: leeway(self.expiration_leeway, LEEWAY_DEFAULT),
                not_before: leeway(self.not_before_leeway, LEEWAY_DEFAULT),
            },
        };
        let admitted = demand.admit(signed, now)?;
        let subject = admitted.claims().text("sub").ok().flatten();
        if self
            .bound_subject
            .as_deref()
            .is_some_and(|bound| subject != Some(bound))
        {
            return Err(VaultError::invalid(
                "sub claim does not match bound subject",
            ));
        }
        let fits = |pattern: &String, value: &String| match self.comparison {
            Comparison::Glob => glob::fits(pattern, value),
            Comparison::String => pattern == value,
        };
        for (name, bound) in &self.bound_claims {
            let values = claim(&admitted, name).and_then(texts).unwrap_or_default();
            let any = |pattern: &String| values.iter().any(|value| fits(pattern, value));
            if !bound.iter().any(any) {
                return Err(VaultError::invalid(
                    "a claim does not match any associated bound claim values",
                ));
            }
        }
        Ok(admitted)
    }

    /// Who it is.
    ///
    /// # Errors
    /// When the token does not say.
    pub(super) fn user(&self, claims: Admitted<'_>) -> Result<String, VaultError> {
        let value = claim(&claims, &self.user_claim).and_then(Json::as_str);
        sign_in::alias(
            value.ok_or_else(|| VaultError::invalid("the user claim is not in the token"))?,
        )
    }

    /// Claims that become metadata. One that is missing is left out.
    ///
    /// # Errors
    /// When one is not a text.
    pub(super) fn mapped(
        &self,
        claims: Admitted<'_>,
    ) -> Result<BTreeMap<String, String>, VaultError> {
        let mut metadata = BTreeMap::new();
        for (name, key) in &self.claim_mappings {
            match claim(&claims, name) {
                None => {}
                Some(Json::String(text)) => drop(metadata.insert(key.clone(), text.clone())),
                Some(_) => {
                    return Err(VaultError::invalid(
                        "a claim that becomes metadata is no text",
                    ));
                }
            }
        }
        Ok(metadata)
    }

    fn shown(&self) -> Json {
        let mut members = Map::from_iter([
            ("bound_audiences".to_owned(), json!(self.bound_audiences)),
            ("bound_claims".to_owned(), json!(self.bound_claims)),
            ("bound_claims_type".to_owned(), json!(self.comparison)),
            (
                "bound_subject".to_owned(),
                json!(self.bound_subject.as_deref().unwrap_or_default()),
            ),
            ("claim_mappings".to_owned(), json!(self.claim_mappings)),
            (
                "clock_skew_leeway".to_owned(),
                json!(self.clock_skew_leeway),
            ),
            (
                "expiration_leeway".to_owned(),
                json!(self.expiration_leeway),
            ),
            (
                "not_before_leeway".to_owned(),
                json!(self.not_before_leeway),
            ),
            ("role_type".to_owned(), json!("jwt")),
            ("user_claim".to_owned(), json!(self.user_claim)),
        ]);
        self.tokens.show(&mut members);
        Json::Object(members)
    }
}

/// What `role/:name` does.
pub(super) fn run(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = call.entry(&["role", named::checked(name)?]);
    let found: Option<Role> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => {
            let role = of_body(&call.body, found.unwrap_or_default())?;
            work.put(&entry, &role)?;
            Ok(done())
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(done())
        }
        Operation::Read => Ok(Answer::data(found.ok_or(VaultError::NotFound)?.shown()).into()),
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn of_body(body: &Body, mut role: Role) -> Result<Role, VaultError> {
    match body.text("role_type")?.as_deref() {
        None | Some("" | "jwt") => {}
        Some(_) => return Err(VaultError::invalid("`role_type` must be `jwt`")),
    }
    if body
        .text("groups_claim")?
        .is_some_and(|claim| !claim.is_empty())
    {
        return Err(VaultError::invalid("`groups_claim` is not supported"));
    }
    if let Some(claim) = body.text("user_claim")? {
        role.user_claim = claim;
    }
    if let Some(audiences) = body.texts("bound_audiences")? {
        role.bound_audiences = audiences;
    }
    if let Some(subject) = body.text("bound_subject")? {
        role.bound_subject = Some(subject).filter(|subject| !subject.is_empty());
    }
    if let Some(claims) = body.object("bound_claims")? {
        let bound = claims
            .iter()
            .map(|(name, value)| Some((name.clone(), texts(value)?)));
        role.bound_claims = bound
            .collect::<Option<_>>()
            .ok_or_else(|| VaultError::invalid("`bound_claims` must be texts or lists of texts"))?;
    }
    match body.text("bound_claims_type")?.as_deref() {
        None => {}
        Some("" | "string") => role.comparison = Comparison::String,
        Some("glob") => role.comparison = Comparison::Glob,
        Some(_) => {
            return Err(VaultError::invalid(
                "`bound_claims_type` must be `string` or `glob`",
            ));
        }
    }
    if let Some(mappings) = body.text_map("claim_mappings")? {
        role.claim_mappings = mappings;
    }
    leeways(body, &mut role)?;
    role.tokens = role.tokens.changed(body)?;
    if role.user_claim.is_empty() {
        return Err(VaultError::invalid(
            "a user claim must be defined on the role",
        ));
    }
    if role.bound_audiences.is_empty()
        && role.bound_subject.is_none()
        && role.bound_claims.is_empty()
    {
        return Err(VaultError::invalid(
            "must have at least one bound constraint when creating/updating a role",
        ));
    }
    Ok(role)
}

/// Leeways are durations, or -1.
fn leeways(body: &Body, role: &mut Role) -> Result<(), VaultError> {
    for (name, kept) in [
        ("clock_skew_leeway", &mut role.clock_skew_leeway),
        ("expiration_leeway", &mut role.expiration_leeway),
        ("not_before_leeway", &mut role.not_before_leeway),
    ] {
        let given = match body.duration(name) {
            Ok(given) => given.map(|span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX)),
            Err(_) => body.integer(name)?,
        };
        if let Some(seconds) = given {
            if !(-1..=LEEWAY_MAX).contains(&seconds) {
                return Err(VaultError::invalid(format!(
                    "`{name}` must be -1 to {LEEWAY_MAX} seconds"
                )));
            }
            *kept = seconds;
        }
    }
    Ok(())
}
