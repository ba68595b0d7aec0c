//! A file of cases: questions to policies with the answers that are expected.
//!
//! An entity is a table with `type`, `id` and, if it is not of the default tenant, `tenant`; whatever else stands there is read by the schema, as a caller of
//! the decision point would say it. Here people and clients are what the file says, because there is no directory.

use countersign_base::Tenant;
use countersign_policy::authzen::Described;
use countersign_policy::obligation::Duty;
use countersign_policy::{Denied, Entity, Permitted, PolicyId, PolicySet, Query, Target, decide};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// A file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    #[serde(default)]
    context: Map<String, Json>,
    #[serde(default)]
    entities: BTreeMap<String, Map<String, Json>>,
    #[serde(default)]
    pub(super) cases: Vec<Case>,
}

/// One case as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    principal: Written,
    action: String,
    resource: Written,
    #[serde(default)]
    context: Map<String, Json>,
    pub(super) expect: Expect,
    /// The policies that decide, all of them.
    policies: Option<BTreeSet<String>>,
    /// Why it is denied.
    reason: Option<String>,
    /// What the permit asks for, all of it, each as `mask /path`.
    obligations: Option<BTreeSet<String>>,
}

/// What a case expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    Allow,
    Deny,
}

impl Expect {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// An entity of `[entities]` by its name, or one that stands there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Named(String),
    Whole(Map<String, Json>),
}

/// What became of a case.
pub(super) struct Outcome {
    pub(super) decision: Expect,
    pub(super) reason: String,
    pub(super) policies: Vec<PolicyId>,
    /// What was asked.
    pub(super) query: Query,
    /// What differs from what is expected; empty if nothing does.
    pub(super) differs: Vec<String>,
}

impl Outcome {
    pub(super) fn holds(&self) -> bool {
        self.differs.is_empty()
    }
}

struct Asked(Query);

impl Target for Asked {
    fn query(&self) -> Query {
        self.0.clone()
    }

    /// Nobody acts on it.
    fn carries_out(&self) -> &[Duty] {
        &Duty::ALL
    }
}

impl CaseFile {
    /// Asks one of its cases.
    ///
    /// # Errors
    /// When the case cannot be asked as it is written.
    pub(super) fn ask(&self, case: &Case, policies: &PolicySet) -> Result<Outcome, String> {
        for expected in case.policies.iter().flatten() {
            if !policies.ids().any(|id| id.as_str() == expected) {
                return Err(format!("there is no policy `{expected}`"));
            }
        }
        let mut given = self.context.clone();
        given.extend(case.context.clone());
        let query = Query {
            principal: self.entity(&case.principal, policies)?,
            action: case.action.clone(),
            resource: self.entity(&case.resource, policies)?,
            context: policies.context(&case.action, &given, &BTreeMap::new())?,
            others: Vec::new(),
        };
        // A member that no policy could read is a mistake in the case, not in the policies.
        let unknown = case
            .context
            .keys()
            .find(|name| policies.has_action(&case.action) && !query.context.contains_key(*name));
        if let Some(unknown) = unknown {
            return Err(format!(
                "the context of `{}` has no `{unknown}`",
                case.action
            ));
        }
        Ok(case.compare(decide(policies, Asked(query))))
    }

    fn entity(&self, written: &Written, policies: &PolicySet) -> Result<Entity, String> {
        let table = match written {
            Written::Named(name) => self
                .entities
                .get(name)
                .ok_or_else(|| format!("there is no `[entities.{name}]`"))?,
            Written::Whole(table) => table,
        };
        let text = |name: &str| match table.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("`{name}` of an entity is a text")),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| format!("an entity has no `{name}`"));
        let tenant = match text("tenant")? {
            None => Tenant::default_tenant(),
            Some(name) => name
                .parse()
                .map_err(|_| format!("`{name}` is no name of a tenant"))?,
        };
        let mut properties = table.clone();
        for name in ["type", "id", "tenant"] {
            properties.remove(name);
        }
        let described = Described {
            kind: needed("type")?,
            id: needed("id")?,
            properties,
        };
        policies
            .describe(&described, &tenant)
            .map_err(|error| format!("`{}`: {error}", described.kind))
    }
}

impl Case {
    fn compare(&self, decided: Result<Permitted<Asked>, Denied<Asked>>) -> Outcome {
        let query = match &decided {
            Ok(permitted) => permitted.query().clone(),
            Err(denied) => denied.query().clone(),
        };
        let (decision, reason, detail, policies) = match &decided {
            Ok(permitted) => (
                Expect::Allow,
                "permitted",
                String::new(),
                permitted.decision().policies().to_vec(),
            ),
            Err(denied) => (
                Expect::Deny,
                denied.reason().as_str(),
                denied.reason().to_string(),
                denied.decision().policies().to_vec(),
            ),
        };
        let by = listed(policies.iter().map(PolicyId::as_str));
        let mut differs = Vec::new();
        if decision != self.expect {
            let why = match decision {
                Expect::Allow => by.clone(),
                Expect::Deny => format!("{detail}; {by}"),
            };
            differs.push(format!(
                "expected {}, got {}: {why}",
                self.expect.as_str(),
                decision.as_str()
            ));
        }
        if let Some(expected) = &self.reason
            && expected != reason
        {
            differs.push(format!(
                "expected the reason {expected}, got {reason}: {detail}"
            ));
        }
        let obliged: BTreeSet<String> = match &decided {
            Ok(permitted) => permitted
                .obligations()
                .iter()
                .flat_map(|all| all.lines())
                .collect(),
            Err(_) => BTreeSet::new(),
        };
        if let Some(expected) = &self.obligations
            && *expected != obliged
        {
            let told =
                |lines: &BTreeSet<String>| lines.iter().cloned().collect::<Vec<_>>().join(", ");
            differs.push(format!(
                "expected the obligations [{}], got [{}]",
                told(expected),
                told(&obliged)
            ));
        }
        if let Some(expected) = &self.policies
            && !expected.iter().eq(policies.iter().map(PolicyId::as_str))
        {
            let expected = listed(expected.iter().map(String::as_str));
            differs.push(format!("expected {expected}, got {by}"));
        }
        Outcome {
            decision,
            reason: reason.to_owned(),
            policies,
            query,
            differs,
        }
    }
}

fn listed<'a>(policies: impl Iterator<Item = &'a str>) -> String {
    let policies: Vec<&str> = policies.collect();
    if policies.is_empty() {
        "by no policy".to_owned()
    } else {
        format!("by {}", policies.join(", "))
    }
}

#[cfg(test)]
mod tests;
