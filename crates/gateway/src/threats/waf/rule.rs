//! Rules as the engine runs them: names are numbers, transformations are shared, chains are lists.

use super::operator::Operator;
use super::template::Template;
use std::collections::BTreeMap;
use std::sync::Arc;
use zentinel_modsec::transformations::Transformation;

/// When a rule runs. Rules about answers (phases 3 and 4) are not run and only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// On the head (phase 1).
    Head,
    /// On head and body (phase 2).
    Body,
    /// At the end (phase 5).
    Log,
}

/// One rule, or one chain of them.
pub(super) struct Rule {
    pub(super) id: u32,
    pub(super) tags: Vec<String>,
    /// All must match, one after the other; there is at least one.
    pub(super) links: Vec<Link>,
    pub(super) consequence: Consequence,
    /// The position in its phase at which to go on after a match.
    pub(super) skip_to: Option<usize>,
    pub(super) notice: Notice,
}

/// What a match means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    Deny,
    Pass,
}

/// Whether a match is worth a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Log,
    NoLog,
}

/// One test with its effects.
pub(super) struct Link {
    /// Empty for `SecAction`, which always matches.
    pub(super) targets: Vec<Target>,
    pub(super) operator: Operator,
    pub(super) expects: Expects,
    pub(super) pipeline: PipelineId,
    pub(super) steps: Steps,
    pub(super) captures: Captures,
    pub(super) effects: Vec<SetVar>,
}

/// Whether the operator must hold or must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expects {
    Match,
    NoMatch,
}

/// Whether the operator sees the transformed value alone or every step to it (`multiMatch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    Each,
    Last,
}

/// Whether groups of a match become `TX:0` to `TX:9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Captures {
    Kept,
    Unused,
}

/// A list of transformations, shared by all rules that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PipelineId(pub(super) usize);

/// What a rule looks at.
pub(super) struct Target {
    pub(super) source: Source,
    pub(super) select: Select,
    pub(super) takes: Takes,
    pub(super) except: Vec<(Source, Select)>,
}

/// The values themselves or how many there are (`&ARGS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Count,
    Values,
}

/// Which members of a collection.
#[derive(Debug, Clone)]
pub(super) enum Select {
    All,
    /// In lower case.
    Key(String),
    Pattern(regex::Regex),
}

impl Select {
    pub(super) fn takes(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Key(wanted) => key.eq_ignore_ascii_case(wanted),
            Self::Pattern(pattern) => pattern.is_match(key),
        }
    }
}

/// Where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Parts of the request.
    Parts(&'static [Part]),
    MatchedVar,
    MatchedVarName,
    MatchedVars,
    MatchedVarsNames,
    Tx,
}

/// A part of the request that has values of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    ArgsCombinedSize,
    ArgsGet,
    ArgsGetNames,
    ArgsPost,
    ArgsPostNames,
    Basename,
    Body,
    BodyError,
    BodyLength,
    BodyProcessor,
    Cookies,
    CookiesNames,
    Filename,
    Files,
    FilesNames,
    Headers,
    HeadersNames,
    Line,
    Method,
    HeadersOfParts,
    Protocol,
    Query,
    RemoteAddr,
    ServerName,
    Uri,
    XmlAttributes,
    XmlElements,
}

impl Part {
    pub(super) const COUNT: usize = Self::XmlElements as usize + 1;
}

/// `setvar`. Collections other than `tx` outlive a request and are not kept.
pub(super) struct SetVar {
    pub(super) key: TxKey,
    pub(super) change: Change,
}

impl SetVar {
    /// Whether it says what was matched.
    pub(super) fn reads_match(&self) -> bool {
        let key = match &self.key {
            TxKey::Known(_) => false,
            TxKey::Made(template) => template.reads_match(),
        };
        key || match &self.change {
            Change::Add(template) | Change::Set(template) | Change::Subtract(template) => {
                template.reads_match()
            }
            Change::Delete => false,
        }
    }
}

/// A name in the `tx` collection.
pub(super) enum TxKey {
    Known(usize),
    Made(Template),
}

/// What becomes of a variable.
pub(super) enum Change {
    Add(Template),
    Delete,
    Set(Template),
    Subtract(Template),
}

/// The numbers of the names in the `tx` collection, all in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<String, usize>);

impl Names {
    pub(super) fn number(&mut self, name: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(name.to_ascii_lowercase()).or_insert(next)
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, number)| (name.as_str(), *number))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Everything that was loaded.
#[derive(Default)]
pub(super) struct Ruleset {
    pub(super) head: Vec<Rule>,
    pub(super) body: Vec<Rule>,
    pub(super) log: Vec<Rule>,
    pub(super) pipelines: Vec<Vec<Arc<dyn Transformation>>>,
    pub(super) names: Names,
    /// Values that `tx` begins with.
    pub(super) initial: Vec<(usize, Arc<str>)>,
}

impl Ruleset {
    pub(super) fn phase(&self, phase: Phase) -> &[Rule] {
        match phase {
            Phase::Head => &self.head,
            Phase::Body => &self.body,
            Phase::Log => &self.log,
        }
    }
}
