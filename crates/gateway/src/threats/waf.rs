//! A web application firewall: the rules of the OWASP Core Rule Set, or others in ModSecurity's language, on the canonical request.
//!
//! Parser, operators, detectors of injections and transformations are those of `zentinel-modsec`. Its evaluation is not used: it forgets what the last
//! link of a chain sets (the Core Rule Set scores there), never fills `TX:0` to `TX:9`, copies all rules for every request, and knows no limit. The
//! evaluation here is [`engine`], as libmodsecurity does it; `cargo xtask test crs` compares the two.
//!
//! Not here: rules about answers, and collections that outlive a request (`IP`, `SESSION`, `GLOBAL`).

mod engine;
mod gaps;
mod load;
mod multipart;
mod operator;
mod paths;
mod rule;
mod state;
mod targets;
mod template;
mod values;
mod written;
mod xml;

use crate::canonical::CanonicalTarget;
use engine::{Ruling, Run};
use http::{HeaderMap, Version};
use rule::{Part, Rule, Ruleset, Select, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a body that rules look at.
pub const BODY_BYTES_MAX: usize = 128 * 1024;
/// Names and values of a query, a body or cookies.
pub const ARGUMENTS_MAX: usize = 255;
/// Time for one request.
pub const TIME_MAX: Duration = Duration::from_millis(250);
/// Rules that a record names.
pub const RULES_NAMED_MAX: usize = 24;
/// Rules that evaluate the score and those that set it up: without them nothing is denied.
const EVALUATION: [RangeInclusive<u32>; 2] = [901_000..=901_999, 949_000..=949_999];

/// What a firewall does about a request that its rules deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuses it. A request that cannot be inspected is refused too.
    Block,
    /// Records it.
    Detect,
}

/// A firewall as configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WafSpec {
    /// Its name, for routes.
    pub name: String,
    /// Files with rules, or directories of them.
    pub rules: Vec<PathBuf>,
    /// What it does.
    pub mode: Mode,
    /// 1 to 4: how much it suspects.
    pub paranoia: u8,
    /// The score from which on a request is denied.
    pub threshold: u32,
    /// What is not looked at on any route.
    pub exclusions: Vec<Exclusion>,
    /// Rules that do not run, with reasons.
    pub left_out: Vec<LeftOut>,
    /// Variables of the `tx` collection that rules do not change, such as `allowed_methods`.
    pub variables: BTreeMap<String, String>,
    /// Its limits.
    pub limits: Limits,
}

/// What a firewall spends on one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// See [`BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
    /// See [`ARGUMENTS_MAX`].
    pub arguments_max: usize,
    /// See [`TIME_MAX`].
    pub time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            arguments_max: ARGUMENTS_MAX,
            time_max: TIME_MAX,
        }
    }
}

/// A rule that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its id.
    pub rule: u32,
    /// Why.
    pub reason: String,
}

/// What some rules do not look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The ids of the rules.
    pub rules: Vec<RangeInclusive<u32>>,
    /// Or their tag.
    pub tag: Option<String>,
    /// `ARGS:note`; without it the rules do not run.
    pub target: Option<String>,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    file: PathBuf,
    line: usize,
    rule: Option<u32>,
    message: String,
}

impl LoadError {
    fn of(file: &Path, line: usize, rule: Option<u32>, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule,
            message,
        }
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Option<u32> {
        self.rule
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.as_os_str().is_empty() {
            f.write_str("the configuration")?;
        } else {
            write!(f, "{}", self.file.display())?;
        }
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(rule) = self.rule {
            write!(f, ": rule {rule}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for LoadError {}

/// What was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were read.
    pub files: usize,
    /// Rules that run, a chain counted once.
    pub run: usize,
    /// Rules about answers, which do not run.
    pub answers: usize,
    /// Rules that are left out.
    pub left_out: Vec<LeftOut>,
}

/// The part of a request that rules see beside its body: the canonical target, never the raw one.
pub struct WafRequest<'a> {
    /// The target.
    pub target: &'a CanonicalTarget,
    /// The version.
    pub version: Version,
    /// The fields, found to be unambiguous.
    pub headers: &'a HeaderMap,
    /// Where it comes from.
    pub remote: IpAddr,
}

/// The body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenBody<'a> {
    /// Another proxy has it.
    Elsewhere,
    /// All of it; empty where there is none.
    Whole(&'a [u8]),
}

/// What rules found. Never what they found it in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The score.
    pub score: u32,
    /// The rules that matched, in their order, [`RULES_NAMED_MAX`] at most.
    pub rules: Vec<u32>,
}

impl Findings {
    fn note(&mut self, rule: u32) {
        if self.rules.len() < RULES_NAMED_MAX && !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }
}

/// A limit that a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Too many arguments.
    Arguments,
    /// Too large a body.
    Body,
    /// Too many steps of one expression.
    Steps,
    /// Too much time.
    Time,
}

/// Why a request could not be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Its body has a content coding, behind which nothing can be seen.
    Encoded,
    /// The engine erred.
    Engine,
    /// Its body is not here.
    Unseen,
    /// The request met a limit.
    Limit(Limit),
}

/// How an inspection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Rules deny the request.
    Denied,
    /// It could not be inspected.
    Failed(Failure),
    /// Nothing speaks against it.
    Passed,
}

impl Outcome {
    /// As records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Denied => "waf_blocked",
            Self::Failed(Failure::Encoded) => "waf_encoded",
            Self::Failed(Failure::Engine) => "waf_failed",
            Self::Failed(Failure::Unseen) => "waf_unseen",
            Self::Failed(Failure::Limit(Limit::Arguments)) => "waf_limit_arguments",
            Self::Failed(Failure::Limit(Limit::Body)) => "waf_limit_body",
            Self::Failed(Failure::Limit(Limit::Steps)) => "waf_limit_steps",
            Self::Failed(Failure::Limit(Limit::Time)) => "waf_limit_time",
            Self::Passed => "waf_passed",
        }
    }
}

/// A request that was inspected and may go on: nothing was found, or the firewall only records. Made by [`Screen::inspect`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Screened {
    findings: Findings,
    outcome: Outcome,
}

impl Screened {
    /// What was found.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// How the inspection ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A request that may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WafRefusal {
    /// What was found.
    pub findings: Findings,
    /// Why: never [`Outcome::Passed`].
    pub outcome: Outcome,
}

/// What a route does not have inspected, beside what its firewall leaves out.
#[derive(Default)]
struct Exclusions {
    removed: BTreeSet<u32>,
    targets: BTreeMap<u32, Vec<(Source, Select)>>,
}

impl Exclusions {
    fn removes(&self, rule: &Rule) -> bool {
        !self.removed.is_empty() && self.removed.contains(&rule.id)
    }

    fn excludes(&self, rule: &Rule, part: Part, key: &str) -> bool {
        let names = |(source, select): &(Source, Select)| {
            matches!(source, Source::Parts(parts) if parts.contains(&part)) && select.takes(key)
        };
        !self.targets.is_empty()
            && self
                .targets
                .get(&rule.id)
                .is_some_and(|targets| targets.iter().any(names))
    }
}

/// A firewall with its rules compiled. Cores and routes share it.
pub struct Waf {
    name: String,
    mode: Mode,
    paranoia: u8,
    limits: Limits,
    exclusions: Vec<Exclusion>,
    rules: Ruleset,
    report: Report,
}

impl fmt::Debug for Waf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waf")
            .field("name", &self.name)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Waf {
    /// Reads and compiles the rules.
    ///
    /// # Errors
    /// Everything that cannot be used.
    pub fn load(spec: &WafSpec) -> Result<Arc<Self>, Vec<LoadError>> {
        let (rules, report) = load::load(spec)?;
        let waf = Arc::new(Self {
            name: spec.name.clone(),
            mode: spec.mode,
            paranoia: spec.paranoia,
            limits: spec.limits.clone(),
            exclusions: spec.exclusions.clone(),
            rules,
            report,
        });
        // Whether the exclusions name something is known only with the rules.
        waf.screen(&[]).map_err(|message| {
            let dir = spec.rules.first().cloned().unwrap_or_default();
            vec![LoadError::of(&dir, 0, None, message)]
        })?;
        Ok(waf)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was loaded.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The firewall for a route that leaves out this as well.
    ///
    /// # Errors
    /// What an exclusion names that is not there, as a sentence.
    pub fn screen(self: &Arc<Self>, also: &[Exclusion]) -> Result<Screen, String> {
        let mut exclusions = Exclusions::default();
        for exclusion in self.exclusions.iter().chain(also) {
            self.exclude(exclusion, &mut exclusions)?;
        }
        Ok(Screen {
            waf: Arc::clone(self),
            exclusions,
        })
    }

    fn exclude(&self, exclusion: &Exclusion, into: &mut Exclusions) -> Result<(), String> {
        let target = exclusion
            .target
            .as_deref()
            .map(targets::excepted)
            .transpose()?;
        let lists = [&self.rules.head, &self.rules.body, &self.rules.log];
        let named = |rule: &&Rule| {
            let tagged = |tag: &String| rule.tags.iter().any(|has| has == tag);
            exclusion.rules.iter().any(|range| range.contains(&rule.id))
                || exclusion.tag.as_ref().is_some_and(tagged)
        };
        let mut found = lists.into_iter().flatten().filter(named).peekable();
        if found.peek().is_none() {
            return Err("an exclusion names no rule that runs".to_owned());
        }
        for rule in found {
            if EVALUATION.iter().any(|range| range.contains(&rule.id)) {
                return Err(format!(
                    "rule {} evaluates the score and cannot be excluded: `mode = \"detect\"` lets everything pass",
                    rule.id
                ));
            }
            match &target {
                Some(target) => into
                    .targets
                    .entry(rule.id)
                    .or_default()
                    .push(target.clone()),
                None => _ = into.removed.insert(rule.id),
            }
        }
        Ok(())
    }
}

/// A firewall as one route has it.
pub struct Screen {
    waf: Arc<Waf>,
    exclusions: Exclusions,
}

impl Screen {
    /// Its firewall.
    #[must_use]
    pub const fn waf(&self) -> &Arc<Waf> {
        &self.waf
    }

    /// Runs the rules on a request. What the engine cannot do counts as denied where requests are blocked.
    ///
    /// # Errors
    /// When the request may not go on.
    pub fn inspect(
        &self,
        request: &WafRequest<'_>,
        body: SeenBody<'_>,
    ) -> Result<Screened, WafRefusal> {
        let run = || self.run(request, body);
        let (findings, outcome) = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            tracing::error!(waf = self.waf.name, "the engine of a firewall broke off");
            (Findings::default(), Outcome::Failed(Failure::Engine))
        });
        match (self.waf.mode, outcome) {
            (Mode::Block, Outcome::Denied | Outcome::Failed(_)) => {
                Err(WafRefusal { findings, outcome })
            }
            (Mode::Block, Outcome::Passed) | (Mode::Detect, _) => {
                Ok(Screened { findings, outcome })
            }
        }
    }

    fn run(&self, request: &WafRequest<'_>, body: SeenBody<'_>) -> (Findings, Outcome) {
        let waf = &self.waf;
        let mut run = match Run::new(&waf.rules, &self.exclusions, &waf.limits, request) {
            Ok(run) => run,
            Err(failure) => return (Findings::default(), Outcome::Failed(failure)),
        };
        let (bytes, seen) = match body {
            SeenBody::Elsewhere => (&[][..], Err(Failure::Unseen)),
            SeenBody::Whole(bytes) => (bytes, Ok(())),
        };
        let outcome = match run.run(bytes) {
            Ok(Ruling::Denied(_)) => Outcome::Denied,
            Ok(Ruling::Passed) => seen.map_or_else(Outcome::Failed, |()| Outcome::Passed),
            Err(failure) => Outcome::Failed(failure),
        };
        let mut findings = std::mem::take(&mut run.findings);
        findings.score = run.score(waf.paranoia);
        (findings, outcome)
    }
}

#[cfg(test)]
mod tests;
