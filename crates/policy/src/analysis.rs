//! What can be said of a set of policies without asking it anything: policies that never match, that another one makes needless or overrules everywhere, and
//! actions that nothing permits.
//!
//! Every finding is true for all requests: a claim "wherever this matches, that matches too" follows from the heads, the schema's types, and conditions that
//! are the same or that bound the same value (`context.level < 2` against `context.level < 3`). It is not complete: conditions that mean the same and are
//! written differently, sets, `like`, hierarchies of entities and two policies that together cover a third are not seen, so silence is no proof. Nothing is
//! said of evaluations that fail: a policy that fails denies, whatever its effect.
//!
//! Not here: what a set decides; tests and recorded decisions show that.

mod formula;

use crate::set::{PolicyError, PolicyId, parsed};
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint, Schema,
    ValidationMode, ValidationWarning, Validator,
};
use formula::{Facts, Formula};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Policies that are compared with one another; the work grows with the square.
const COMPARED_MAX: usize = 2_000;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The policy is never true, for any request.
    NeverMatches(PolicyId),
    /// Wherever the policy is true, another one of the same effect is too: without it the same is decided.
    Shadowed {
        /// The policy.
        policy: PolicyId,
        /// The other one.
        by: PolicyId,
    },
    /// Wherever the `permit` is true, a `forbid` is too: it permits nothing.
    Overruled {
        /// The permit.
        permit: PolicyId,
        /// The forbid.
        by: PolicyId,
    },
    /// A `permit` and a `forbid` are true for the very same requests.
    Contradict {
        /// The permit.
        permit: PolicyId,
        /// The forbid.
        forbid: PolicyId,
    },
    /// No `permit` can be true for the action: it is always denied.
    NothingPermits(String),
}

impl Finding {
    /// The kind of finding, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Contradict { .. } => "contradict",
            Self::NeverMatches(_) => "never_matches",
            Self::NothingPermits(_) => "nothing_permits",
            Self::Overruled { .. } => "overruled",
            Self::Shadowed { .. } => "shadowed",
        }
    }

    /// What it is about, and the policy that it is measured by.
    #[must_use]
    pub fn about(&self) -> (&str, Option<&PolicyId>) {
        match self {
            Self::Contradict { permit, forbid } => (permit.as_str(), Some(forbid)),
            Self::NeverMatches(policy) => (policy.as_str(), None),
            Self::NothingPermits(action) => (action, None),
            Self::Overruled { permit, by } => (permit.as_str(), Some(by)),
            Self::Shadowed { policy, by } => (policy.as_str(), Some(by)),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradict { permit, forbid } => write!(
                f,
                "`{permit}` and `{forbid}` are about the very same requests: the forbid wins"
            ),
            Self::NeverMatches(policy) => write!(f, "`{policy}` is true for no request"),
            Self::NothingPermits(action) => {
                write!(
                    f,
                    "no policy permits the action `{action}`: it is always denied"
                )
            }
            Self::Overruled { permit, by } => write!(
                f,
                "`{permit}` permits nothing: whatever it would permit, `{by}` forbids"
            ),
            Self::Shadowed { policy, by } => write!(
                f,
                "`{policy}` changes nothing: wherever it is true, `{by}` is too"
            ),
        }
    }
}

/// Looks at a set: `schema` and `sources` as [`crate::PolicySet::load`] takes them.
///
/// # Errors
/// When the set would not be loaded, or holds more policies than are compared.
pub fn analyse(
    schema: &str,
    sources: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Result<Vec<Finding>, PolicyError> {
    let (schema, policies) = parsed(schema, sources)?;
    if policies.len() > COMPARED_MAX {
        return Err(PolicyError::TooMany);
    }
    let impossible = impossible(&policies, &schema)?;
    let actions = actions(&schema)?;
    let mut shown: Vec<Shown> = policies
        .iter()
        .map(|policy| Shown::of(policy, &actions))
        .collect::<Result<_, _>>()?;
    shown.sort_by(|one, other| one.id.cmp(&other.id));
    let (never, live): (Vec<Shown>, Vec<Shown>) = shown
        .into_iter()
        .partition(|policy| impossible.contains(&policy.id) || policy.is_never());
    let mut findings: Vec<Finding> = never
        .into_iter()
        .map(|policy| Finding::NeverMatches(policy.id))
        .collect();
    compare(&live, &mut findings);
    let permitted: BTreeSet<&String> = live
        .iter()
        .filter(|policy| policy.effect == Effect::Permit)
        .flat_map(|policy| policy.types.keys())
        .collect();
    findings.extend(
        actions
            .iter()
            .filter(|(name, applies)| applies.is_asked() && !permitted.contains(name))
            .map(|(name, _)| Finding::NothingPermits(name.clone())),
    );
    findings.sort();
    Ok(findings)
}

fn compare(live: &[Shown], findings: &mut Vec<Finding>) {
    for policy in live {
        let others = || live.iter().filter(|other| other.id != policy.id);
        let mut same_effect = others().filter(|other| other.effect == policy.effect);
        // Of two that are the same, the one whose name comes first stays.
        let shadow = same_effect
            .find(|other| policy.within(other) && (other.id < policy.id || !other.within(policy)));
        if let Some(by) = shadow {
            findings.push(Finding::Shadowed {
                policy: policy.id.clone(),
                by: by.id.clone(),
            });
        }
        if policy.effect == Effect::Forbid {
            continue;
        }
        let mut forbids = others().filter(|other| other.effect == Effect::Forbid);
        if let Some(forbid) = forbids.find(|forbid| policy.within(forbid)) {
            findings.push(if forbid.within(policy) {
                Finding::Contradict {
                    permit: policy.id.clone(),
                    forbid: forbid.id.clone(),
                }
            } else {
                Finding::Overruled {
                    permit: policy.id.clone(),
                    by: forbid.id.clone(),
                }
            });
        }
    }
}

/// The policies that Cedar's own validator finds impossible, by the types of the schema.
fn impossible(policies: &[Policy], schema: &Schema) -> Result<BTreeSet<PolicyId>, PolicyError> {
    let set = cedar_policy::PolicySet::from_policies(policies.iter().cloned())
        .map_err(|error| PolicyError::Schema(error.to_string()))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let impossible = result
        .validation_warnings()
        .filter(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_)))
        .map(|warning| PolicyId::new(AsRef::<str>::as_ref(warning.policy_id())));
    Ok(impossible.collect())
}

/// What an action applies to.
struct Applies {
    uid: EntityUid,
    principals: BTreeSet<String>,
    resources: BTreeSet<String>,
    /// The groups of actions that it is in.
    groups: Vec<EntityUid>,
}

impl Applies {
    /// A group of actions applies to nothing itself.
    fn is_asked(&self) -> bool {
        !self.principals.is_empty() && !self.resources.is_empty()
    }
}

fn actions(schema: &Schema) -> Result<BTreeMap<String, Applies>, PolicyError> {
    let entities = schema
        .action_entities()
        .map_err(|error| PolicyError::Schema(error.to_string()))?;
    let of = |uid: &EntityUid| {
        let principals = schema.principals_for_action(uid).into_iter().flatten();
        let resources = schema.resources_for_action(uid).into_iter().flatten();
        let groups = schema
            .actions()
            .filter(|group| entities.is_ancestor_of(group, uid));
        Applies {
            uid: uid.clone(),
            principals: principals.map(ToString::to_string).collect(),
            resources: resources.map(ToString::to_string).collect(),
            groups: groups.cloned().collect(),
        }
    };
    let named = schema
        .actions()
        .map(|uid| (uid.id().unescaped().to_owned(), of(uid)));
    Ok(named.collect())
}

/// The types of principals and resources.
type Types = (BTreeSet<String>, BTreeSet<String>);

/// A policy as this module looks at it.
struct Shown {
    id: PolicyId,
    effect: Effect,
    /// For each action that it may be true for, the types that it may be true for.
    types: BTreeMap<String, Types>,
    /// What its head says of single entities, and its conditions: all of it holds where the policy is true.
    facts: Facts,
    /// Of those, what has to follow for this policy to be true.
    needs: Vec<Formula>,
}

impl Shown {
    fn of(policy: &Policy, actions: &BTreeMap<String, Applies>) -> Result<Self, PolicyError> {
        let json = policy
            .to_json()
            .map_err(|error| PolicyError::Schema(error.to_string()))?;
        let (principal_type, principal) = principal_head(policy);
        let (resource_type, resource) = resource_head(policy);
        let heads = principal.into_iter().chain(resource);
        let mut needs: Vec<Formula> = heads.map(|json| Formula::read(&json, true)).collect();
        for condition in json
            .get("conditions")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            let holds = condition.get("kind").and_then(Json::as_str) != Some("unless");
            let body = condition.get("body").unwrap_or(&Json::Null);
            needs.extend(Formula::read(body, holds).conjuncts());
        }
        // `entity == E` says `entity in E`, too.
        let facts = Facts::of(needs.iter().cloned().chain(memberships(policy)).collect());
        let said = (facts.type_of("principal"), facts.type_of("resource"));
        let narrow = |kinds: &BTreeSet<String>, head: &Option<String>, said: &Option<String>| {
            let keep = |kind: &&String| {
                head.as_ref().is_none_or(|head| head == *kind)
                    && said.as_ref().is_none_or(|said| said == *kind)
            };
            kinds.iter().filter(keep).cloned().collect::<BTreeSet<_>>()
        };
        let types = actions
            .iter()
            .filter(|(_, applies)| matches(policy, applies))
            .map(|(name, applies)| {
                let types = (
                    narrow(&applies.principals, &principal_type, &said.0),
                    narrow(&applies.resources, &resource_type, &said.1),
                );
                (name.clone(), types)
            })
            .filter(|(_, (principals, resources))| !principals.is_empty() && !resources.is_empty());
        Ok(Self {
            id: PolicyId::new(AsRef::<str>::as_ref(policy.id())),
            effect: policy.effect(),
            types: types.collect(),
            facts,
            needs,
        })
    }

    fn is_never(&self) -> bool {
        self.types.is_empty() || self.facts.contradict()
    }

    /// Whether this is true only where `other` is.
    fn within(&self, other: &Self) -> bool {
        let heads = self.types.iter().all(|(action, (principals, resources))| {
            other.types.get(action).is_some_and(|wider| {
                principals.is_subset(&wider.0) && resources.is_subset(&wider.1)
            })
        });
        heads
            && other
                .needs
                .iter()
                .all(|need| self.types_say(need) || self.facts.imply(need))
    }

    /// Whether a need is a type that the heads and the schema leave no choice about.
    fn types_say(&self, need: &Formula) -> bool {
        let Some((variable, kind)) = need.type_test() else {
            return false;
        };
        self.types.values().all(|(principals, resources)| {
            let kinds = match variable {
                "principal" => principals,
                "resource" => resources,
                _ => return false,
            };
            kinds.iter().all(|one| one == kind)
        })
    }
}

fn matches(policy: &Policy, applies: &Applies) -> bool {
    let names = |uid: &EntityUid| *uid == applies.uid || applies.groups.contains(uid);
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == applies.uid,
        ActionConstraint::In(uids) => uids.iter().any(names),
    }
}

fn uid_json(uid: &EntityUid) -> Json {
    json!({ "Value": { "__entity": { "type": uid.type_name().to_string(), "id": uid.id().unescaped() } } })
}

fn test(variable: &str, operator: &str, uid: &EntityUid) -> Json {
    json!({ operator: { "left": { "Var": variable }, "right": uid_json(uid) } })
}

/// The type that a head names, and what it says of one entity.
fn principal_head(policy: &Policy) -> (Option<String>, Option<Json>) {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => (None, None),
        PrincipalConstraint::Eq(uid) => (
            Some(uid.type_name().to_string()),
            Some(test("principal", "==", &uid)),
        ),
        PrincipalConstraint::In(uid) => (None, Some(test("principal", "in", &uid))),
        PrincipalConstraint::Is(kind) => (Some(kind.to_string()), None),
        PrincipalConstraint::IsIn(kind, uid) => {
            (Some(kind.to_string()), Some(test("principal", "in", &uid)))
        }
    }
}

fn resource_head(policy: &Policy) -> (Option<String>, Option<Json>) {
    match policy.resource_constraint() {
        ResourceConstraint::Any => (None, None),
        ResourceConstraint::Eq(uid) => (
            Some(uid.type_name().to_string()),
            Some(test("resource", "==", &uid)),
        ),
        ResourceConstraint::In(uid) => (None, Some(test("resource", "in", &uid))),
        ResourceConstraint::Is(kind) => (Some(kind.to_string()), None),
        ResourceConstraint::IsIn(kind, uid) => {
            (Some(kind.to_string()), Some(test("resource", "in", &uid)))
        }
    }
}

/// That an entity is in itself.
fn memberships(policy: &Policy) -> Vec<Formula> {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid) => Some(test("principal", "in", &uid)),
        PrincipalConstraint::Any
        | PrincipalConstraint::In(_)
        | PrincipalConstraint::Is(_)
        | PrincipalConstraint::IsIn(..) => None,
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) => Some(test("resource", "in", &uid)),
        ResourceConstraint::Any
        | ResourceConstraint::In(_)
        | ResourceConstraint::Is(_)
        | ResourceConstraint::IsIn(..) => None,
    };
    let said = principal.into_iter().chain(resource);
    said.map(|json| Formula::read(&json, true)).collect()
}

#[cfg(test)]
mod tests;
