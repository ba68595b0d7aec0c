//! Rule files to rules. What cannot be run as its author meant it is an error with its file and line, unless it is on the list of rules that are left
//! out, with a reason.
//!
//! Directives and actions that are not named here are refused before the parser of `zentinel-modsec` sees them: it takes `exec`, `proxy`, `append`
//! and unknown directives without a word. No rule can run a program, write a file, fetch an address, switch the engine off or let a request past
//! the rules behind it.

use super::gaps;
use super::operator::Operator;
use super::paths::{NormalizePath, NormalizePathWin};
use super::rule::{
    Captures, Change, Consequence, Expects, Link, Notice, Phase, PipelineId, Rule, Ruleset, SetVar,
    Steps, TxKey,
};
use super::targets;
use super::template::Template;
use super::written::{
    DIRECTIVES, DIRECTIVES_IGNORED, Written, check_actions, directives, files, read, split_actions,
};
use super::{LeftOut, LoadError, Report, WafSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zentinel_modsec::parser::{
    Action, DataAction, Directive, DisruptiveAction, FlowAction, LoggingAction, MetadataAction,
    OperatorSpec, Parser, SetVarSpec, SetVarValue, VariableSpec,
};
use zentinel_modsec::transformations::{Transformation, create_transformation};

/// Rules of one set.
const RULES_MAX: usize = 20_000;
/// Loads what `spec` names.
///
/// # Errors
/// Everything that cannot be used, in the order of the files.
pub(super) fn load(spec: &WafSpec) -> Result<(Ruleset, Report), Vec<LoadError>> {
    let mut loader = Loader::new(spec);
    let files = match files(&spec.rules) {
        Ok(files) => files,
        Err(error) => return Err(vec![error]),
    };
    loader.report.files = files.len();
    loader.dirs = files
        .iter()
        .filter_map(|file| file.parent())
        .map(Path::to_owned)
        .collect();
    for file in &files {
        loader.file(file);
    }
    loader.finish()
}

/// A rule whose chain has more links to come.
enum Chain {
    Closed,
    Open {
        rule: Box<Rule>,
        phase: Phase,
        skip: Option<String>,
    },
    /// Its head is not run, so its links are not.
    Skipped,
}

struct Loader<'a> {
    spec: &'a WafSpec,
    dirs: BTreeSet<PathBuf>,
    rules: Ruleset,
    parser: Parser,
    pipelines: BTreeMap<Vec<String>, PipelineId>,
    ids: BTreeSet<u32>,
    markers: BTreeMap<String, [usize; 3]>,
    skips: Vec<(Phase, usize, String, LoadError)>,
    chain: Chain,
    left_out: BTreeMap<u32, String>,
    /// Names in `tx` that configuration sets and rules do not.
    fixed: BTreeSet<String>,
    report: Report,
    errors: Vec<LoadError>,
}

impl<'a> Loader<'a> {
    fn new(spec: &'a WafSpec) -> Self {
        let mut rules = Ruleset::default();
        let mut fixed = BTreeSet::new();
        let level = spec.paranoia.to_string();
        let mut initial: Vec<(&str, &str)> = vec![("crs_setup_version", "330")];
        let threshold = spec.threshold.to_string();
        for name in [
            "paranoia_level",
            "blocking_paranoia_level",
            "executing_paranoia_level",
            "detection_paranoia_level",
        ] {
            initial.push((name, &level));
            fixed.insert(name.to_owned());
        }
        initial.push(("inbound_anomaly_score_threshold", &threshold));
        fixed.insert("inbound_anomaly_score_threshold".to_owned());
        for (name, value) in &spec.variables {
            initial.push((name, value));
            fixed.insert(name.to_ascii_lowercase());
        }
        rules.initial = initial
            .into_iter()
            .map(|(name, value)| (rules.names.number(name), Arc::from(value)))
            .collect();
        rules.pipelines.push(Vec::new());
        Self {
            spec,
            dirs: BTreeSet::new(),
            rules,
            parser: Parser::new(),
            pipelines: BTreeMap::from([(Vec::new(), PipelineId(0))]),
            ids: BTreeSet::new(),
            markers: BTreeMap::new(),
            skips: Vec::new(),
            chain: Chain::Closed,
            left_out: BTreeMap::new(),
            fixed,
            report: Report::default(),
            errors: Vec::new(),
        }
    }

    fn file(&mut self, file: &Path) {
        let text = match read(file) {
            Ok(text) => text,
            Err(message) => return self.errors.push(LoadError::of(file, 0, None, message)),
        };
        for written in directives(file, &text) {
            match written {
                Ok(written) => self.directive(&written),
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn directive(&mut self, written: &Written<'_>) {
        if DIRECTIVES_IGNORED.contains(&written.name.as_str()) {
            return;
        }
        if !DIRECTIVES.contains(&written.name.as_str()) {
            let message = format!("`{}` is not taken from rule files", written.name);
            return self.errors.push(written.error(None, message));
        }
        if written.name == "secmarker" {
            return self.marker(written);
        }
        let actions = split_actions(written.actions());
        let id = actions.iter().find_map(|(name, value)| {
            (name == "id").then(|| value.trim_matches('\'').parse().ok())?
        });
        let more = actions.iter().any(|(name, _)| name == "chain");
        if matches!(self.chain, Chain::Skipped) {
            if !more {
                self.chain = Chain::Closed;
            }
            return;
        }
        let head = match &self.chain {
            Chain::Open { rule, .. } => Some(rule.id),
            Chain::Closed | Chain::Skipped => id,
        };
        let left_out = head.and_then(|id| self.reason_to_leave_out(id));
        let taken = match left_out {
            Some(reason) => {
                self.leave_out(head.unwrap_or_default(), reason);
                Ok(Kept::No)
            }
            None => check_actions(&actions).and_then(|()| self.take(written)),
        };
        match taken {
            Ok(Kept::Yes) => {}
            Ok(Kept::No) => self.chain = if more { Chain::Skipped } else { Chain::Closed },
            Err(message) => {
                self.errors.push(written.error(head, message));
                self.chain = if more { Chain::Skipped } else { Chain::Closed };
            }
        }
    }

    fn reason_to_leave_out(&self, id: u32) -> Option<String> {
        let named = self.spec.left_out.iter().find(|left| left.rule == id);
        let named = named.map(|left| left.reason.clone());
        named.or_else(|| gaps::reason(id).map(str::to_owned))
    }

    fn leave_out(&mut self, id: u32, reason: String) {
        self.left_out.insert(id, reason);
    }

    fn take(&mut self, written: &Written<'_>) -> Result<Kept, String> {
        let before = self.parser.directives().len();
        self.parser
            .parse_with_location(written.text, Some(written.file))
            .map_err(|error| error.to_string())?;
        let parsed: Vec<Directive> = self
            .parser
            .directives()
            .get(before..)
            .unwrap_or_default()
            .to_vec();
        let [parsed] = parsed.as_slice() else {
            return Err("more than one directive, or none".to_owned());
        };
        match parsed {
            Directive::SecDefaultAction(_) => Ok(Kept::Yes),
            Directive::SecAction(action) => self.rule(written, &[], None, &action.actions),
            Directive::SecRule(rule) => self.rule(
                written,
                &rule.variables,
                Some(&rule.operator),
                &rule.actions,
            ),
            _ => Err("the parser takes this for something else".to_owned()),
        }
    }

    fn rule(
        &mut self,
        written: &Written<'_>,
        variables: &[VariableSpec],
        operator: Option<&OperatorSpec>,
        actions: &[Action],
    ) -> Result<Kept, String> {
        if matches!(self.chain, Chain::Closed) && phase(actions).is_none() {
            self.report.answers += 1;
            return Ok(Kept::No);
        }
        let link = self.link(variables, operator, actions)?;
        let skip = skip_after(actions);
        let more = actions
            .iter()
            .any(|action| matches!(action, Action::Flow(FlowAction::Chain)));
        let (mut rule, phase, skip) = match std::mem::replace(&mut self.chain, Chain::Closed) {
            Chain::Open {
                mut rule,
                phase,
                skip: earlier,
            } => {
                rule.links.push(link);
                (rule, phase, skip.or(earlier))
            }
            Chain::Closed | Chain::Skipped => {
                let phase = phase(actions).unwrap_or(Phase::Body);
                let rule = head(actions, link)?;
                if !self.ids.insert(rule.id) {
                    return Err(format!("the rule {} stands here twice", rule.id));
                }
                (Box::new(rule), phase, skip)
            }
        };
        if more {
            self.chain = Chain::Open { rule, phase, skip };
            return Ok(Kept::Yes);
        }
        let list = match phase {
            Phase::Head => &mut self.rules.head,
            Phase::Body => &mut self.rules.body,
            Phase::Log => &mut self.rules.log,
        };
        if list.len() >= RULES_MAX {
            return Err(format!("more than {RULES_MAX} rules"));
        }
        if let Some(marker) = skip {
            let unknown = written.error(Some(rule.id), format!("no marker `{marker}`"));
            self.skips.push((phase, list.len(), marker, unknown));
        }
        rule.skip_to = None;
        list.push(*rule);
        self.report.run += 1;
        Ok(Kept::Yes)
    }

    fn link(
        &mut self,
        variables: &[VariableSpec],
        operator: Option<&OperatorSpec>,
        actions: &[Action],
    ) -> Result<Link, String> {
        let dirs = self.dirs.clone();
        let inside = move |file: &Path| {
            let beside = file.parent().is_some_and(|parent| dirs.contains(parent));
            if beside && file.is_file() {
                Ok(())
            } else {
                Err(format!(
                    "`{}` does not stand beside the rules",
                    file.display()
                ))
            }
        };
        let (operator, negated) = match operator {
            Some(spec) => {
                let operator = Operator::compile(spec, &mut self.rules.names, &inside)?;
                (operator, spec.negated)
            }
            None => (Operator::Always, false),
        };
        let has = |wanted: fn(&Action) -> bool| actions.iter().any(wanted);
        let effects = actions.iter().filter_map(|action| match action {
            Action::Data(DataAction::SetVar(spec)) => self.effect(spec).transpose(),
            _ => None,
        });
        let effects = effects.collect::<Result<Vec<_>, _>>()?;
        Ok(Link {
            targets: variables
                .iter()
                .map(targets::of)
                .collect::<Result<_, _>>()?,
            operator,
            expects: if negated {
                Expects::NoMatch
            } else {
                Expects::Match
            },
            pipeline: self.pipeline(actions)?,
            steps: if has(|action| matches!(action, Action::Flow(FlowAction::MultiMatch))) {
                Steps::Each
            } else {
                Steps::Last
            },
            captures: if has(|action| matches!(action, Action::Data(DataAction::Capture))) {
                Captures::Kept
            } else {
                Captures::Unused
            },
            effects,
        })
    }

    fn effect(&mut self, spec: &SetVarSpec) -> Result<Option<SetVar>, String> {
        // Collections that outlive a request are not kept; a rule that reads one is on the list of gaps.
        if spec.collection != "tx" || self.fixed.contains(&spec.key.to_ascii_lowercase()) {
            return Ok(None);
        }
        let names = &mut self.rules.names;
        let mut template = |text: &str| {
            Template::parse(text, names).map_err(|name| format!("`{name}` is not known here"))
        };
        let change = match &spec.value {
            SetVarValue::String(text) => Change::Set(template(text)?),
            SetVarValue::Int(number) => Change::Set(template(&number.to_string())?),
            SetVarValue::Increment(by) => Change::Add(template(&by.to_string())?),
            SetVarValue::Decrement(by) => Change::Subtract(template(&by.to_string())?),
            SetVarValue::Delete => Change::Delete,
            SetVarValue::Macro(text) => match (text.strip_prefix('+'), text.strip_prefix('-')) {
                (Some(by), _) => Change::Add(template(by)?),
                (None, Some(by)) => Change::Subtract(template(by)?),
                (None, None) => Change::Set(template(text)?),
            },
        };
        let key = template(&spec.key)?;
        let key = match key.fixed() {
            Some(name) => TxKey::Known(self.rules.names.number(name)),
            None => TxKey::Made(key),
        };
        Ok(Some(SetVar { key, change }))
    }

    fn pipeline(&mut self, actions: &[Action]) -> Result<PipelineId, String> {
        let mut names: Vec<String> = Vec::new();
        for action in actions {
            if let Action::Transformation(name) = action {
                let name = name.trim().to_ascii_lowercase();
                if name == "none" {
                    names.clear();
                } else {
                    names.push(name);
                }
            }
        }
        if let Some(known) = self.pipelines.get(&names) {
            return Ok(*known);
        }
        if let Some(missing) = names.iter().find(|name| name.starts_with("parity")) {
            return Err(format!("the engine does not have `t:{missing}`"));
        }
        let steps = names
            .iter()
            .map(|name| transformation(name))
            .collect::<Result<Vec<_>, _>>()?;
        let id = PipelineId(self.rules.pipelines.len());
        self.rules.pipelines.push(steps);
        self.pipelines.insert(names, id);
        Ok(id)
    }

    fn marker(&mut self, written: &Written<'_>) {
        let Some(name) = written.arguments.first() else {
            return self
                .errors
                .push(written.error(None, "a marker without a name".to_owned()));
        };
        let at = [
            self.rules.head.len(),
            self.rules.body.len(),
            self.rules.log.len(),
        ];
        self.markers.insert(name.clone(), at);
    }

    fn finish(mut self) -> Result<(Ruleset, Report), Vec<LoadError>> {
        for (phase, rule, marker, unknown) in self.skips {
            let (list, column) = match phase {
                Phase::Head => (&mut self.rules.head, 0),
                Phase::Body => (&mut self.rules.body, 1),
                Phase::Log => (&mut self.rules.log, 2),
            };
            let position = self.markers.get(&marker).and_then(|at| at.get(column));
            match (position, list.get_mut(rule)) {
                (Some(position), Some(rule)) => rule.skip_to = Some(*position),
                (None, _) | (_, None) => self.errors.push(unknown),
            }
        }
        for left in &self.spec.left_out {
            if !self.left_out.contains_key(&left.rule) {
                let message = "a rule to be left out that is not there".to_owned();
                self.errors
                    .push(LoadError::of(Path::new(""), 0, Some(left.rule), message));
            }
        }
        self.report.left_out = self
            .left_out
            .into_iter()
            .map(|(rule, reason)| LeftOut { rule, reason })
            .collect();
        if self.errors.is_empty() {
            Ok((self.rules, self.report))
        } else {
            Err(self.errors)
        }
    }
}

/// Whether a directive became part of what is run.
enum Kept {
    No,
    Yes,
}

fn transformation(name: &str) -> Result<Arc<dyn Transformation>, String> {
    Ok(match name {
        "normalizepath" | "normalisepath" => Arc::new(NormalizePath),
        "normalizepathwin" | "normalisepathwin" => Arc::new(NormalizePathWin),
        _ => create_transformation(name).map_err(|error| error.to_string())?,
    })
}

/// The phase of a rule; nothing for those about answers.
fn phase(actions: &[Action]) -> Option<Phase> {
    let number = actions.iter().find_map(|action| match action {
        Action::Metadata(MetadataAction::Phase(number)) => Some(*number),
        _ => None,
    });
    match number.unwrap_or(2) {
        1 => Some(Phase::Head),
        2 => Some(Phase::Body),
        5 => Some(Phase::Log),
        _ => None,
    }
}

fn head(actions: &[Action], link: Link) -> Result<Rule, String> {
    let id = actions.iter().find_map(|action| match action {
        Action::Metadata(MetadataAction::Id(id)) => u32::try_from(*id).ok(),
        _ => None,
    });
    let tags = actions.iter().filter_map(|action| match action {
        Action::Metadata(MetadataAction::Tag(tag)) => Some(tag.clone()),
        _ => None,
    });
    let disruptive = actions.iter().rev().find_map(|action| match action {
        Action::Disruptive(disruptive) => Some(disruptive),
        _ => None,
    });
    let consequence = match disruptive {
        Some(DisruptiveAction::Deny | DisruptiveAction::Drop) => Consequence::Deny,
        // Without another default `block` scores and lets the evaluation at the end decide.
        Some(DisruptiveAction::Block | DisruptiveAction::Pass) | None => Consequence::Pass,
        Some(
            DisruptiveAction::Allow
            | DisruptiveAction::AllowPhase
            | DisruptiveAction::AllowRequest
            | DisruptiveAction::Redirect(_),
        ) => return Err("a rule denies or lets the others decide".to_owned()),
    };
    let quiet = |action: &Action| matches!(action, Action::Logging(LoggingAction::NoLog));
    Ok(Rule {
        id: id.ok_or("a rule needs an `id`")?,
        tags: tags.collect(),
        links: vec![link],
        consequence,
        skip_to: None,
        notice: if actions.iter().any(quiet) {
            Notice::NoLog
        } else {
            Notice::Log
        },
    })
}

fn skip_after(actions: &[Action]) -> Option<String> {
    actions.iter().find_map(|action| match action {
        Action::Flow(FlowAction::SkipAfter(marker)) => Some(marker.trim_matches('\'').to_owned()),
        _ => None,
    })
}
