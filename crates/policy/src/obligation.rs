//! Obligations: what a policy asks of whoever acts on its permit, and which sign-in or purpose would lift its forbid.
//!
//! They stand as annotations on a policy, each at most once:
//!
//! | annotation | on | says |
//! |---|---|---|
//! | `@mask("/customer/iban /items/*/price")` | `permit` | the answer's values at these paths are replaced |
//! | `@drop("/**/internal")` | `permit` | they are removed |
//! | `@limit_rows("/items 100")` | `permit` | an array holds at most so many elements; without a path, the answer itself |
//! | `@purpose("billing support")` | `permit` | the request names one of these purposes |
//! | `@step_up("acr=phr max_age=300")` | `permit`, `forbid` | the sign-in is at least so strong and so fresh: a condition of the permit, and what lifts the forbid |
//! | `@challenge("proof-of-work")` | `permit`, `forbid` | the caller's program has done some work, `bits=18` unless the policy says otherwise: in the same manner |
//! | `@challenge("passkey")` | `permit`, `forbid` | the person signed in with a passkey: `@step_up("acr=phr")` |
//!
//! Besides these there are `@id`, `@description` and whatever begins with `x_`; any other annotation is refused when the set is loaded, because a typing mistake in
//! one of them would be an obligation that nobody carries out. Of several policies that permit together, each one's obligations hold; the strictest wins.
//!
//! Step-up, challenge and purpose are checked by the decision itself ([`crate::decide`]). What is left for the enforcer is here as a value; an enforcer that cannot carry
//! it out is denied. Not here: HTTP, and where purposes come from.

mod condition;
mod path;
mod redact;

pub use condition::WorkBits;
pub(crate) use condition::{Condition, Missing};
pub use path::FieldPath;
pub use redact::NotCarriedOut;

use crate::query::{Query, Value};
use crate::schema::Members;
use crate::set::{PolicyError, PolicyId};
use cedar_policy::{Effect, Policy};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Paths in one annotation.
const PATHS_MAX: usize = 64;
/// Purposes in one annotation.
const PURPOSES_MAX: usize = 32;
/// Bytes of the name of a purpose.
const PURPOSE_BYTES_MAX: usize = 64;
/// Rows that a limit may let through.
const ROWS_MAX: u32 = 1_000_000;

/// Something that an enforcer does with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Remove fields.
    Drop,
    /// Cut arrays.
    LimitRows,
    /// Replace values.
    Mask,
}

impl Duty {
    /// Every duty there is.
    pub const ALL: [Self; 3] = [Self::Drop, Self::LimitRows, Self::Mask];

    /// The annotation that asks for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::LimitRows => "limit_rows",
            Self::Mask => "mask",
        }
    }

    /// The duty of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|duty| duty.as_str() == name)
    }
}

/// What the policies that permit ask for, all of them together.
#[derive(Clone, PartialEq, Eq)]
pub struct Obligations {
    drop: BTreeSet<FieldPath>,
    mask: BTreeSet<FieldPath>,
    rows: BTreeMap<FieldPath, u32>,
    purposes: Option<BTreeSet<String>>,
    condition: Condition,
}

impl Obligations {
    const NONE: Self = Self {
        drop: BTreeSet::new(),
        mask: BTreeSet::new(),
        rows: BTreeMap::new(),
        purposes: None,
        condition: Condition::NONE,
    };

    /// The paths whose values are removed.
    pub fn dropped(&self) -> impl Iterator<Item = &FieldPath> {
        self.drop.iter()
    }

    /// The paths whose values are replaced.
    pub fn masked(&self) -> impl Iterator<Item = &FieldPath> {
        self.mask.iter()
    }

    /// The arrays that are cut, and to how many elements.
    pub fn limited(&self) -> impl Iterator<Item = (&FieldPath, u32)> {
        self.rows.iter().map(|(path, most)| (path, *most))
    }

    /// What an enforcer has to be able to do.
    pub fn duties(&self) -> impl Iterator<Item = Duty> {
        let asked = [
            (!self.drop.is_empty(), Duty::Drop),
            (!self.rows.is_empty(), Duty::LimitRows),
            (!self.mask.is_empty(), Duty::Mask),
        ];
        asked
            .into_iter()
            .filter_map(|(is_asked, duty)| is_asked.then_some(duty))
    }

    /// Each of them in one line, as it stands in policies: `mask /customer/iban`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let dropped = self.drop.iter().map(|path| format!("drop {path}"));
        let rows = self.rows.iter();
        let rows = rows.map(|(path, most)| format!("limit_rows {path} {most}").replace("  ", " "));
        let masked = self.mask.iter().map(|path| format!("mask {path}"));
        dropped.chain(rows).chain(masked).collect()
    }

    /// The same for enforcers that are not ours: one object for each duty, as the AuthZEN profile for obligations has them.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let paths = |paths: &BTreeSet<FieldPath>| {
            paths
                .iter()
                .map(|path| path.as_str().into())
                .collect::<Vec<Json>>()
        };
        let each = self.duties().zip(1_usize..).map(|(duty, number)| {
            let mut properties = json!({ "vendor": "countersign", "action": duty.as_str() });
            let (name, value) = match duty {
                Duty::Drop => ("paths", paths(&self.drop).into()),
                Duty::LimitRows => {
                    let rows = self.rows.iter();
                    let rows = rows.map(|(path, most)| (path.as_str().to_owned(), (*most).into()));
                    ("rows", Json::Object(rows.collect()))
                }
                Duty::Mask => ("paths", paths(&self.mask).into()),
            };
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(name.to_owned(), value);
            }
            json!({ "type": "custom", "id": number.to_string(), "properties": properties })
        });
        each.collect()
    }

    /// The same for an answer that is no success, which holds no rows.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        Self {
            rows: BTreeMap::new(),
            ..self.clone()
        }
    }

    pub(crate) const fn condition(&self) -> Condition {
        self.condition
    }

    pub(crate) const fn purposes(&self) -> Option<&BTreeSet<String>> {
        self.purposes.as_ref()
    }

    fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Both, the stricter of each. Purposes that exclude each other leave none.
    fn and(&mut self, other: &Self) {
        self.drop.extend(other.drop.iter().cloned());
        self.mask.extend(other.mask.iter().cloned());
        for (path, most) in &other.rows {
            let known = self.rows.entry(path.clone()).or_insert(*most);
            *known = (*known).min(*most);
        }
        self.purposes = match (self.purposes.take(), &other.purposes) {
            (Some(mine), Some(others)) => Some(mine.intersection(others).cloned().collect()),
            (Some(purposes), None) => Some(purposes),
            (None, others) => others.clone(),
        };
        self.condition = self.condition.and(other.condition);
    }
}

impl fmt::Debug for Obligations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines()).finish()
    }
}

/// What the policies of a set ask for beside their effect.
#[derive(Default)]
pub(crate) struct Asked {
    permits: HashMap<PolicyId, Obligations>,
    forbids: HashMap<PolicyId, Condition>,
}

impl Asked {
    /// Adds what one more policy asks for.
    pub(crate) fn add(&mut self, policy: &Policy) -> Result<(), PolicyError> {
        let id = PolicyId::new(AsRef::<str>::as_ref(policy.id()));
        let obligations = read(&id, policy)?;
        if obligations.is_none() {
            return Ok(());
        }
        match policy.effect() {
            Effect::Permit => _ = self.permits.insert(id, obligations),
            Effect::Forbid => _ = self.forbids.insert(id, obligations.condition),
        }
        Ok(())
    }

    /// What these permits ask for together; nothing if they ask for nothing.
    pub(crate) fn of_permits(&self, permits: &[PolicyId]) -> Option<Arc<Obligations>> {
        if self.permits.is_empty() {
            return None;
        }
        let mut all = Obligations::NONE;
        for obligations in permits.iter().filter_map(|id| self.permits.get(id)) {
            all.and(obligations);
        }
        (!all.is_none()).then(|| Arc::new(all))
    }

    /// What would lift all of these forbids; nothing if one of them stays whatever the caller does.
    pub(crate) fn lifting(&self, forbids: &[PolicyId]) -> Option<Condition> {
        if self.forbids.is_empty() || forbids.is_empty() {
            return None;
        }
        forbids
            .iter()
            .map(|id| self.forbids.get(id).copied())
            .try_fold(Condition::NONE, |all, one| Some(all.and(one?)))
    }

    /// What a policy needs to find in the context of an action that it is about; in words, if the schema does not declare it.
    pub(crate) fn unfit(&self, policy: &PolicyId, context: &Members) -> Option<&'static str> {
        let permit = self.permits.get(policy);
        let condition = permit
            .map(|obligations| obligations.condition)
            .or_else(|| self.forbids.get(policy).copied())?;
        if let Some(unfit) = condition.unfit(context) {
            return Some(unfit);
        }
        let purposes = permit.and_then(|obligations| obligations.purposes.as_ref());
        if purposes.is_some() && !context.has("purpose") {
            return Some("`@purpose` needs `purpose` in the context");
        }
        None
    }
}

fn read(id: &PolicyId, policy: &Policy) -> Result<Obligations, PolicyError> {
    let mut obligations = Obligations::NONE;
    for (name, text) in policy.annotations() {
        let fault = |message: String| PolicyError::Annotation {
            policy: id.clone(),
            annotation: name.to_owned(),
            message,
        };
        let permits = policy.effect() == Effect::Permit;
        match name {
            "id" | "description" => {}
            "challenge" => {
                let challenge = condition::challenge(text).map_err(fault)?;
                obligations.condition = obligations.condition.and(challenge);
            }
            "step_up" => {
                let sign_in = condition::step_up(text).map_err(fault)?;
                let step_up = Condition {
                    sign_in,
                    work: None,
                };
                obligations.condition = obligations.condition.and(step_up);
            }
            "drop" | "limit_rows" | "mask" | "purpose" if !permits => {
                return Err(fault("it stands on a `permit` alone".to_owned()));
            }
            "drop" => obligations.drop = paths(text).map_err(fault)?,
            "limit_rows" => obligations.rows = rows(text).map_err(fault)?,
            "mask" => obligations.mask = paths(text).map_err(fault)?,
            "purpose" => obligations.purposes = Some(purposes(text).map_err(fault)?),
            free if free.starts_with("x_") => {}
            _ => {
                let known = "`@id`, `@description`, `@mask`, `@drop`, `@limit_rows`, `@purpose`, `@step_up`, `@challenge`, and your own as `@x_NAME`";
                return Err(fault(format!(
                    "there is no such annotation: there are {known}"
                )));
            }
        }
    }
    Ok(obligations)
}

fn paths(text: &str) -> Result<BTreeSet<FieldPath>, String> {
    let mut paths = BTreeSet::new();
    for word in text.split_whitespace() {
        let path: FieldPath = word.parse()?;
        if path.is_root() {
            return Err("the whole answer cannot be masked or dropped: forbid it".to_owned());
        }
        paths.insert(path);
    }
    match paths.len() {
        0 => Err("it names no path".to_owned()),
        1..=PATHS_MAX => Ok(paths),
        _ => Err(format!("it names more than {PATHS_MAX} paths")),
    }
}

fn rows(text: &str) -> Result<BTreeMap<FieldPath, u32>, String> {
    let expected = || format!("expected `PATH NUMBER`, or a number from 1 to {ROWS_MAX} alone");
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| {
        let number = word.parse::<u32>().ok();
        number
            .filter(|number| (1..=ROWS_MAX).contains(number))
            .ok_or_else(expected)
    };
    if let [most] = words.as_slice() {
        return Ok(BTreeMap::from([(FieldPath::root(), number(most)?)]));
    }
    let mut rows = BTreeMap::new();
    for pair in words.chunks(2) {
        let [path, most] = pair else {
            return Err(expected());
        };
        if rows.insert(path.parse()?, number(most)?).is_some() {
            return Err(format!("`{path}` stands there twice"));
        }
    }
    match rows.len() {
        0 => Err(expected()),
        1..=PATHS_MAX => Ok(rows),
        _ => Err(format!("it names more than {PATHS_MAX} paths")),
    }
}

/// Whether a text can name a purpose: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.` and `:`.
#[must_use]
pub fn is_purpose(text: &str) -> bool {
    let usual = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'-' | b'_' | b'.' | b':')
    };
    (1..=PURPOSE_BYTES_MAX).contains(&text.len()) && text.bytes().all(usual)
}

fn purposes(text: &str) -> Result<BTreeSet<String>, String> {
    let names: BTreeSet<String> = text.split_whitespace().map(str::to_owned).collect();
    if let Some(name) = names.iter().find(|name| !is_purpose(name)) {
        return Err(format!(
            "`{name}` is no purpose: write up to 64 of `a-z0-9-_.:`"
        ));
    }
    match names.len() {
        0 => Err("it names no purpose".to_owned()),
        1..=PURPOSES_MAX => Ok(names),
        _ => Err(format!("it names more than {PURPOSES_MAX} purposes")),
    }
}

/// Whether a question names one of these purposes.
pub(crate) fn has_purpose(purposes: &BTreeSet<String>, query: &Query) -> bool {
    match query.context.get("purpose") {
        Some(Value::String(purpose)) => purposes.contains(purpose),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests;
