//! A set of policies: parsed, strictly validated and indexed once, then only read.

use crate::authzen::Described;
use crate::decide::{DenialReason, Verdict};
use crate::index::{Index, Outcome};
use crate::obligation::{self, Condition, Missing, Obligations};
use crate::query::{Entity, Query, Value};
use crate::schema::Shapes;
use cedar_policy::{Entities, Policy, Request, Schema, ValidationMode, Validator};
use countersign_base::Tenant;
use countersign_crypto::digest::sha256_parts;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

/// Policies in one set.
const POLICIES_MAX: usize = 10_000;
/// Bytes of the schema and all policies.
const SOURCE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The name of a policy: the file it stands in, and its annotation `@id` or its place there (`issue.cedar#registered-client`, `issue.cedar#0`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(Arc<str>);

impl PolicyId {
    pub(crate) fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for PolicyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 over the schema and the policies of a set, by which records name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        countersign_base::hex::write(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a set is not loaded. The texts are for whoever writes policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// An annotation that there is not, or that says what cannot be read: an obligation that nobody would carry out.
    #[error("`{policy}`, `@{annotation}`: {message}")]
    Annotation {
        /// The policy.
        policy: PolicyId,
        /// The annotation.
        annotation: String,
        /// What is wrong with it.
        message: String,
    },
    /// Two policies of one file have the same `@id`.
    #[error("`{0}` stands there twice: give each policy an `@id` of its own")]
    IdRepeated(PolicyId),
    /// A policy does not fit the schema.
    #[error("`{policy}` does not fit the schema: {message}")]
    Invalid {
        /// The policy.
        policy: PolicyId,
        /// What does not fit.
        message: String,
    },
    /// The schema cannot be read.
    #[error("the schema cannot be read: {0}")]
    Schema(String),
    /// A file cannot be read as Cedar.
    #[error("`{file}` line {line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A template; policies stand as they are.
    #[error("`{0}` has a template: write policies without slots")]
    Template(String),
    /// More policies or bytes than are loaded.
    #[error("too many policies")]
    TooMany,
}

/// The texts that a set was loaded from.
struct Source {
    schema: String,
    policies: Vec<(String, String)>,
}

/// Policies and the schema they were checked against.
pub struct PolicySet {
    source: Source,
    shapes: Shapes,
    index: Index,
    digest: Digest,
    ids: BTreeSet<PolicyId>,
}

impl PolicySet {
    /// Loads a set: `schema` in Cedar's schema syntax, `sources` as pairs of a file name and its text. Nothing is loaded unless all of it is
    /// valid in Cedar's strict mode. A set without policies denies everything.
    ///
    /// # Errors
    /// When the schema or a policy cannot be read, or a policy does not fit the schema.
    pub fn load(
        schema: &str,
        sources: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Result<Self, PolicyError> {
        let (cedar_schema, policies) = parsed(schema, sources)?;
        let shapes = Shapes::read(schema, &cedar_schema).map_err(PolicyError::Schema)?;
        let ids = policies.iter().map(named).collect();
        let index = Index::new(policies, &cedar_schema, &shapes)?;
        Ok(Self {
            source: Source {
                schema: schema.to_owned(),
                policies: sources
                    .iter()
                    .map(|(file, text)| (file.as_ref().to_owned(), text.as_ref().to_owned()))
                    .collect(),
            },
            shapes,
            index,
            digest: digest(schema, sources),
            ids,
        })
    }

    /// A set with these policies too, as pairs of a file name and its text.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn with(&self, more: &[(String, String)]) -> Result<Self, PolicyError> {
        let Source { schema, policies } = &self.source;
        Self::load(schema, &[policies, more].concat())
    }

    /// The digest of schema and policies.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Every policy, in the order of the ids.
    pub fn ids(&self) -> impl Iterator<Item = &PolicyId> {
        self.ids.iter()
    }

    /// Whether the schema has an action of this name: for configurations that name actions.
    #[must_use]
    pub fn has_action(&self, action: &str) -> bool {
        self.shapes.has_action(action)
    }

    /// Whether the schema has an entity type of this name.
    #[must_use]
    pub fn has_entity_type(&self, kind: &str) -> bool {
        self.shapes.type_name(kind).is_some()
    }

    /// The schema's spelling of an entity type that somebody writes so: itself, or `sales_order` for `SalesOrder`.
    #[must_use]
    pub fn kind(&self, written: &str) -> Option<&str> {
        self.shapes.kind(written)
    }

    /// An entity as somebody describes it, in a tenant: attributes that the schema declares, in their types; `roles` and `groups` as memberships and other
    /// properties as tags, where the type has them. Everything else is left out.
    ///
    /// # Errors
    /// When there is no such type or a value has another type; in words without any of the values.
    pub fn describe(&self, described: &Described, tenant: &Tenant) -> Result<Entity, String> {
        let kind = self.shapes.kind(&described.kind);
        let kind = kind.ok_or("unknown entity type")?;
        self.shapes.describe(kind, described, tenant)
    }

    /// The context of a question: what the action declares, of `own` if it is there, else of what somebody gives.
    ///
    /// # Errors
    /// When a value has another type; in words without any of the values.
    pub fn context(
        &self,
        action: &str,
        given: &Map<String, Json>,
        own: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>, String> {
        self.shapes.context(action, given, own)
    }

    /// The actions that apply to a principal and a resource of these types, in the order of their names.
    #[must_use]
    pub fn actions_between(&self, principal: &str, resource: &str) -> Vec<String> {
        self.shapes.actions_between(principal, resource)
    }

    /// A question as the engine takes it.
    pub(crate) fn built(&self, query: &Query) -> Result<(Request, Entities), String> {
        self.shapes.check(query)?;
        self.index.build(query, &self.shapes)
    }

    pub(crate) fn evaluate(&self, query: &Query) -> Verdict {
        self.evaluate_by(query, Index::ask)
    }

    /// As [`PolicySet::evaluate`], with every policy tried: what the index is held against.
    #[cfg(test)]
    pub(crate) fn evaluate_naively(&self, query: &Query) -> Verdict {
        self.evaluate_by(query, Index::ask_all)
    }

    /// How many answers about `action` are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self, action: &str) -> usize {
        self.index.remembered(action)
    }

    fn evaluate_by(&self, query: &Query, ask: Ask) -> Verdict {
        let denied = |policies, reason| Verdict {
            policies,
            outcome: Err(reason),
        };
        if !self.shapes.has_action(&query.action) {
            return denied(Vec::new(), DenialReason::ActionUnknown);
        }
        // Also of a question that was answered before: what does not fit may stand where no policy reads.
        let outcome = match self
            .shapes
            .check(query)
            .and_then(|()| ask(&self.index, query, &self.shapes))
        {
            Ok(outcome) => outcome,
            Err(fault) => return denied(Vec::new(), DenialReason::QueryInvalid(fault)),
        };
        let Outcome {
            permits,
            forbids,
            failed,
            obligations,
            lifting: _,
        } = &*outcome;
        if !failed.is_empty() {
            denied(failed.clone(), DenialReason::PolicyFailed)
        } else if !forbids.is_empty() {
            let reason = match self.would_lift(&outcome, query, ask) {
                None => DenialReason::Forbidden,
                Some(condition) => asked_for(condition, query),
            };
            denied(forbids.clone(), reason)
        } else if permits.is_empty() {
            denied(Vec::new(), DenialReason::NothingPermits)
        } else {
            let outcome = match obligations {
                None => Ok(None),
                Some(obligations) => {
                    due(query, obligations).map(|()| Some(Arc::clone(obligations)))
                }
            };
            Verdict {
                policies: permits.clone(),
                outcome,
            }
        }
    }

    /// What a caller has to come back with, so that a question which is forbidden now would be permitted: policies say what lifts them, and are asked whether it does.
    fn would_lift(&self, forbidden: &Outcome, query: &Query, ask: Ask) -> Option<Condition> {
        let context = &self.shapes.actions.get(&query.action)?.context;
        let can_do = |condition: &Condition| can_sign_in(query) || condition.sign_in.is_none();
        let mut condition = forbidden.lifting.filter(can_do)?;
        for _ in 0..LIFTS_MAX {
            let supposed = condition.supposed(query, context);
            self.shapes.check(&supposed).ok()?;
            let outcome = ask(&self.index, &supposed, &self.shapes).ok()?;
            if !outcome.failed.is_empty() {
                return None;
            }
            if outcome.forbids.is_empty() {
                if outcome.permits.is_empty() {
                    return None;
                }
                let Some(obligations) = &outcome.obligations else {
                    return Some(condition);
                };
                let all = condition.and(obligations.condition());
                let supposed = all.supposed(query, context);
                let is_due = due(&supposed, obligations).is_ok();
                return Some(all).filter(|all| is_due && can_do(all));
            }
            let more = condition.and(outcome.lifting?);
            if more == condition || !can_do(&more) {
                return None;
            }
            condition = more;
        }
        None
    }
}

/// How an index is asked.
type Ask = fn(&Index, &Query, &Shapes) -> Result<Arc<Outcome>, String>;

/// How often what lifts one forbid may meet another one.
const LIFTS_MAX: usize = 4;

/// Whether somebody could come back after another sign-in. A client of its own accord never signs in.
fn can_sign_in(query: &Query) -> bool {
    query.principal.id().kind() != "Client"
}

/// Whether the question brings what the permits ask for.
fn due(query: &Query, obligations: &Obligations) -> Result<(), DenialReason> {
    if let Some(purposes) = obligations.purposes() {
        if purposes.is_empty() {
            return Err(DenialReason::ObligationsContradict);
        }
        if !obligation::has_purpose(purposes, query) {
            return Err(DenialReason::PurposeRequired);
        }
    }
    let condition = obligations.condition();
    if condition.is_met(query) {
        return Ok(());
    }
    Err(match asked_for(condition, query) {
        DenialReason::StepUpRequired(_) if !can_sign_in(query) => DenialReason::NothingPermits,
        asked => asked,
    })
}

/// What a caller is asked for who does not meet a condition.
fn asked_for(condition: Condition, query: &Query) -> DenialReason {
    match condition.missing(query) {
        Missing::SignIn(demand) => DenialReason::StepUpRequired(demand),
        Missing::Work(bits) => DenialReason::ProofOfWorkRequired(bits),
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({} policies, {})", self.ids.len(), self.digest)
    }
}

fn digest(schema: &str, sources: &[(impl AsRef<str>, impl AsRef<str>)]) -> Digest {
    let mut ordered: Vec<(&str, &str)> = sources
        .iter()
        .map(|(file, text)| (file.as_ref(), text.as_ref()))
        .collect();
    ordered.sort_unstable();
    let texts: Vec<&str> = std::iter::once(schema)
        .chain(ordered.into_iter().flat_map(|(file, text)| [file, text]))
        .collect();
    let lengths: Vec<[u8; 8]> = texts
        .iter()
        .map(|text| (text.len() as u64).to_be_bytes())
        .collect();
    let parts: Vec<&[u8]> = lengths
        .iter()
        .zip(&texts)
        .flat_map(|(length, text)| [length.as_slice(), text.as_bytes()])
        .collect();
    Digest(sha256_parts(&parts))
}

/// The schema and the policies of a set that fit it.
pub(crate) fn parsed(
    schema: &str,
    sources: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Result<(Schema, Vec<Policy>), PolicyError> {
    let bytes = sources.iter().fold(schema.len(), |sum, (_, text)| {
        sum.saturating_add(text.as_ref().len())
    });
    if bytes > SOURCE_BYTES_MAX {
        return Err(PolicyError::TooMany);
    }
    let (schema, _) = Schema::from_cedarschema_str(schema)
        .map_err(|error| PolicyError::Schema(error.to_string()))?;
    let mut policies = Vec::new();
    for (file, text) in sources {
        policies.extend(parse(file.as_ref(), text.as_ref())?);
    }
    if policies.len() > POLICIES_MAX {
        return Err(PolicyError::TooMany);
    }
    distinct(&policies)?;
    validate(&policies, &schema)?;
    Ok((schema, policies))
}

/// The policies of one file, renamed.
fn parse(file: &str, text: &str) -> Result<Vec<Policy>, PolicyError> {
    let set = cedar_policy::PolicySet::from_str(text)
        .map_err(|errors| syntax_error(file, text, &errors))?;
    if set.num_of_templates() > 0 {
        return Err(PolicyError::Template(file.to_owned()));
    }
    let mut policies: Vec<(usize, Policy)> = set
        .policies()
        .map(|policy| (place(policy), policy.clone()))
        .collect();
    policies.sort_by_key(|(place, _)| *place);
    let named = policies.into_iter().map(|(place, policy)| {
        let name = policy
            .annotation("id")
            .map_or_else(|| place.to_string(), str::to_owned);
        policy.new_id(cedar_policy::PolicyId::new(format!("{file}#{name}")))
    });
    Ok(named.collect())
}

/// Cedar numbers the policies of a text: `policy0`, `policy1`.
fn place(policy: &Policy) -> usize {
    let id: &str = policy.id().as_ref();
    id.strip_prefix("policy")
        .and_then(|number| number.parse().ok())
        .unwrap_or(usize::MAX)
}

fn syntax_error(file: &str, text: &str, errors: &cedar_policy::ParseErrors) -> PolicyError {
    use miette::Diagnostic as _;
    let offset = errors
        .labels()
        .and_then(|mut labels| labels.next())
        .map_or(0, |label| label.offset());
    let line = text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1;
    PolicyError::Syntax {
        file: file.to_owned(),
        line,
        message: errors.to_string(),
    }
}

fn named(policy: &Policy) -> PolicyId {
    PolicyId::new(AsRef::<str>::as_ref(policy.id()))
}

fn distinct(policies: &[Policy]) -> Result<(), PolicyError> {
    let mut ids = BTreeSet::new();
    for policy in policies {
        if !ids.insert(policy.id()) {
            return Err(PolicyError::IdRepeated(named(policy)));
        }
    }
    Ok(())
}

fn validate(policies: &[Policy], schema: &Schema) -> Result<(), PolicyError> {
    let set = cedar_policy::PolicySet::from_policies(policies.iter().cloned())
        .map_err(|error| PolicyError::Schema(error.to_string()))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    match result.validation_errors().next() {
        None => Ok(()),
        Some(error) => {
            let id: &str = error.policy_id().as_ref();
            Err(PolicyError::Invalid {
                policy: PolicyId::new(id),
                message: error.to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests;
