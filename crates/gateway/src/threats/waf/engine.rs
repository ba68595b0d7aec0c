//! Runs rules on one request, as libmodsecurity runs them: every value that matches counts, effects of a link happen when it matches, what a chain
//! does happens when all of it did, and groups of a match are there for the rules behind it.

use super::operator::Context;
use super::rule::{
    Captures, Change, Consequence, Expects, Link, Notice, Part, Phase, Rule, Ruleset, Select,
    SetVar, Source, Steps, Takes, Target, TxKey,
};
use super::state::{Matched, State, add, leading_number};
use super::template::Template;
use super::values::{BodyReading, Values, transform};
use super::{Exclusions, Failure, Findings, Limit, Limits, WafRequest};
use std::time::Instant;
use zentinel_modsec::transformations::Transformation;

/// The rule that ModSecurity's recommended configuration refuses unreadable bodies with.
pub(super) const UNREADABLE: u32 = 200_002;
/// Rules between two looks at the clock.
const RULES_PER_LOOK: usize = 8;

/// One request on its way through the rules.
pub(super) struct Run<'a> {
    rules: &'a Ruleset,
    exclusions: &'a Exclusions,
    limits: &'a Limits,
    started: Instant,
    values: Values,
    state: State,
    pub(super) findings: Findings,
}

/// Whether rules deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    Denied(u32),
    Passed,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        rules: &'a Ruleset,
        exclusions: &'a Exclusions,
        limits: &'a Limits,
        request: &WafRequest<'_>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            rules,
            exclusions,
            limits,
            started: Instant::now(),
            values: Values::of_head(request, limits)?,
            state: State::new(rules),
            findings: Findings::default(),
        })
    }

    /// Head, body and end, in this order. The first denial is the one that is told; rules of the same phase behind it do not run.
    pub(super) fn run(&mut self, body: &[u8]) -> Result<Ruling, Failure> {
        let mut ruling = self.phase(Phase::Head)?;
        if ruling == Ruling::Passed {
            let reading = self.values.add_body(body, self.limits)?;
            ruling = self.phase(Phase::Body)?;
            if reading == BodyReading::Broken && ruling == Ruling::Passed {
                self.findings.note(UNREADABLE);
                ruling = Ruling::Denied(UNREADABLE);
            }
        }
        self.phase(Phase::Log)?;
        Ok(ruling)
    }

    /// The score as the Core Rule Set counts it.
    pub(super) fn score(&self, paranoia: u8) -> u32 {
        let tx = |name: &str| {
            let number = self.rules.names.find(name);
            number.map_or(0, |number| self.state.tx_number(number))
        };
        let levels = |prefix: &str| -> i64 {
            (1..=paranoia)
                .map(|level| tx(&format!("{prefix}{level}")))
                .sum()
        };
        let score = tx("anomaly_score")
            .max(tx("inbound_anomaly_score"))
            .max(tx("blocking_inbound_anomaly_score"))
            .max(levels("anomaly_score_pl"))
            .max(levels("inbound_anomaly_score_pl"));
        u32::try_from(score.max(0)).unwrap_or(u32::MAX)
    }

    fn phase(&mut self, phase: Phase) -> Result<Ruling, Failure> {
        let rules = self.rules.phase(phase);
        let mut next = 0;
        let mut seen: usize = 0;
        while let Some(rule) = rules.get(next) {
            next += 1;
            seen += 1;
            if seen.is_multiple_of(RULES_PER_LOOK) && self.started.elapsed() > self.limits.time_max
            {
                return Err(Failure::Limit(Limit::Time));
            }
            if self.exclusions.removes(rule) || !self.matches(rule)? {
                continue;
            }
            if rule.notice == Notice::Log {
                self.findings.note(rule.id);
            }
            if rule.consequence == Consequence::Deny {
                return Ok(Ruling::Denied(rule.id));
            }
            if let Some(position) = rule.skip_to {
                next = next.max(position);
            }
        }
        Ok(Ruling::Passed)
    }

    fn matches(&mut self, rule: &Rule) -> Result<bool, Failure> {
        self.state.forget_matched();
        for link in &rule.links {
            if !self.link(rule, link)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn link(&mut self, rule: &Rule, link: &Link) -> Result<bool, Failure> {
        if link.targets.is_empty() {
            self.apply(rule, link);
            return Ok(true);
        }
        let mut any = false;
        let mut fresh = Vec::new();
        for target in &link.targets {
            match (target.source, target.takes) {
                (_, Takes::Count) => {
                    let count = self.count(rule, target).to_string();
                    any |= self.made_value(rule, link, String::new(), &count, &mut fresh)?;
                }
                (Source::Parts(parts), Takes::Values) => {
                    for part in parts {
                        any |= self.part(rule, link, target, *part, &mut fresh)?;
                    }
                }
                (
                    Source::MatchedVar
                    | Source::MatchedVarName
                    | Source::MatchedVars
                    | Source::MatchedVarsNames
                    | Source::Tx,
                    Takes::Values,
                ) => {
                    for (name, value) in self.remembered(target) {
                        any |= self.made_value(rule, link, name, &value, &mut fresh)?;
                    }
                }
            }
        }
        if any {
            self.state.forget_matched();
            for matched in fresh {
                self.state.note_matched(matched);
            }
        }
        Ok(any)
    }

    /// The items of one part, with their transformed forms kept for the next rule.
    fn part(
        &mut self,
        rule: &Rule,
        link: &Link,
        target: &Target,
        part: Part,
        fresh: &mut Vec<Matched>,
    ) -> Result<bool, Failure> {
        let mut any = false;
        for number in self.values.range(part) {
            let Some(item) = self.values.item(number) else {
                continue;
            };
            if !self.taken(rule, target, part, &item.key) {
                continue;
            }
            if link.steps == Steps::Each {
                let (name, text) = (item.name(), item.text.clone());
                any |= self.made_value(rule, link, name, &text, fresh)?;
                continue;
            }
            self.values.transform(self.rules, link.pipeline, number);
            let value = self.values.transformed(link.pipeline, number);
            let context = Context {
                state: &self.state,
                values: &self.values,
                rule: rule.id,
            };
            let found = link.operator.test(value, link.captures, context)?;
            let captures = match (found, link.expects) {
                (Some(captures), Expects::Match) => captures,
                (None, Expects::NoMatch) => Vec::new(),
                (None, Expects::Match) | (Some(_), Expects::NoMatch) => continue,
            };
            let matched = Matched {
                name: self
                    .values
                    .item(number)
                    .map_or_else(String::new, super::values::Item::name),
                value: value.to_owned(),
            };
            self.hit(rule, link, captures, matched, fresh);
            any = true;
        }
        Ok(any)
    }

    /// A value that is no part of the request, or one of which every step counts.
    fn made_value(
        &mut self,
        rule: &Rule,
        link: &Link,
        name: String,
        text: &str,
        fresh: &mut Vec<Matched>,
    ) -> Result<bool, Failure> {
        let rules = self.rules;
        let steps = rules
            .pipelines
            .get(link.pipeline.0)
            .map_or(&[][..], Vec::as_slice);
        for value in forms(steps, text, link.steps) {
            let context = Context {
                state: &self.state,
                values: &self.values,
                rule: rule.id,
            };
            let found = link.operator.test(&value, link.captures, context)?;
            let captures = match (found, link.expects) {
                (Some(captures), Expects::Match) => captures,
                (None, Expects::NoMatch) => Vec::new(),
                (None, Expects::Match) | (Some(_), Expects::NoMatch) => continue,
            };
            self.hit(rule, link, captures, Matched { name, value }, fresh);
            return Ok(true);
        }
        Ok(false)
    }

    fn hit(
        &mut self,
        rule: &Rule,
        link: &Link,
        captures: Vec<String>,
        matched: Matched,
        fresh: &mut Vec<Matched>,
    ) {
        if link.captures == Captures::Kept && link.expects == Expects::Match {
            self.state.set_captures(captures);
        }
        if link.effects.iter().any(SetVar::reads_match) {
            // Effects read what this link matched, while its other values still read what the link before it did.
            let before = self.state.forget_matched();
            self.state.note_matched(matched.clone());
            self.apply(rule, link);
            self.state.forget_matched();
            for earlier in before {
                self.state.note_matched(earlier);
            }
        } else {
            self.apply(rule, link);
        }
        fresh.push(matched);
    }

    fn taken(&self, rule: &Rule, target: &Target, part: Part, key: &str) -> bool {
        let names = |(source, select): &(Source, Select)| {
            matches!(source, Source::Parts(parts) if parts.contains(&part)) && select.takes(key)
        };
        target.select.takes(key)
            && !target.except.iter().any(names)
            && !self.exclusions.excludes(rule, part, key)
    }

    fn count(&self, rule: &Rule, target: &Target) -> usize {
        match target.source {
            Source::Parts(parts) => parts
                .iter()
                .map(|part| {
                    let items = self.values.part(*part);
                    items
                        .filter(|item| self.taken(rule, target, *part, &item.key))
                        .count()
                })
                .sum(),
            Source::Tx => self
                .state
                .select_tx(&self.rules.names, &target.select)
                .len(),
            Source::MatchedVar | Source::MatchedVarName => {
                usize::from(self.state.matched_var().is_some())
            }
            Source::MatchedVars | Source::MatchedVarsNames => self.state.matched().len(),
        }
    }

    /// Values that earlier rules left.
    fn remembered(&self, target: &Target) -> Vec<(String, String)> {
        let named = |matched: &Matched| (matched.name.clone(), matched.value.clone());
        let names = |matched: &Matched| (matched.name.clone(), matched.name.clone());
        let last = self.state.matched_var().into_iter();
        match target.source {
            Source::MatchedVar => last.map(named).collect(),
            Source::MatchedVarName => last.map(names).collect(),
            Source::MatchedVars => self.state.matched().iter().map(named).collect(),
            Source::MatchedVarsNames => self.state.matched().iter().map(names).collect(),
            Source::Parts(_) => Vec::new(),
            Source::Tx => {
                let except = |key: &str| {
                    let names = |(source, select): &(Source, Select)| {
                        *source == Source::Tx && select.takes(key)
                    };
                    target.except.iter().any(names)
                };
                let mut found = self.state.select_tx(&self.rules.names, &target.select);
                found.retain(|(key, _)| !except(key));
                for (key, _) in &mut found {
                    key.insert_str(0, "TX:");
                }
                found
            }
        }
    }

    fn apply(&mut self, rule: &Rule, link: &Link) {
        for effect in &link.effects {
            let text = |template: &Template| template.text(&self.state, &self.values, rule.id);
            let name = match &effect.key {
                TxKey::Known(_) => None,
                TxKey::Made(template) => Some(text(template)),
            };
            let change: TxChange = match &effect.change {
                Change::Add(by) => {
                    let by = leading_number(&text(by));
                    Box::new(move |slot| add(slot, by))
                }
                Change::Subtract(by) => {
                    let by = leading_number(&text(by));
                    Box::new(move |slot| add(slot, by.saturating_neg()))
                }
                Change::Delete => Box::new(|slot| *slot = None),
                Change::Set(value) => {
                    let value = text(value);
                    Box::new(move |slot| *slot = Some(super::state::Tx::Text(value)))
                }
            };
            match (&effect.key, name) {
                (TxKey::Known(number), _) => self.state.change_known(*number, change),
                (TxKey::Made(_), Some(name)) => self.state.change_made(&name, change),
                (TxKey::Made(_), None) => {}
            }
        }
    }
}

/// What becomes of a variable.
type TxChange = Box<dyn FnOnce(&mut Option<super::state::Tx>)>;

/// The value after all steps, or after each that changed it.
fn forms(steps: &[std::sync::Arc<dyn Transformation>], text: &str, which: Steps) -> Vec<String> {
    match which {
        Steps::Last => vec![transform(steps, text).unwrap_or_else(|| text.to_owned())],
        Steps::Each => {
            let mut forms = vec![text.to_owned()];
            for step in steps {
                let last = forms.last().map_or(text, String::as_str);
                if let Some(next) = transform(std::slice::from_ref(step), last) {
                    forms.push(next);
                }
            }
            forms
        }
    }
}
