//! `policy test`: asks the cases, says which do not hold, which policies no case was decided by, and which clauses were never true or never false.

use super::super::{Ended, Output, print_line};
use super::cases::{Case, CaseFile, Outcome};
use super::texts;
use crate::cli::PolicyTest;
use crate::config::error::ConfigError;
use crate::run::PolicyTexts;
use countersign_policy::clauses::{Clause, Clauses};
use countersign_policy::{PolicyError, PolicyId, PolicySet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One case, asked.
struct Asked {
    file: PathBuf,
    name: String,
    expected: &'static str,
    outcome: Result<Outcome, String>,
}

impl Asked {
    fn holds(&self) -> bool {
        self.outcome.as_ref().is_ok_and(Outcome::holds)
    }
}

pub(super) fn test(args: &PolicyTest, output: Output) -> Ended {
    let texts = match texts(args.config.as_deref()) {
        Ok(texts) => texts,
        Err(ended) => return ended,
    };
    let policies = match texts.load() {
        Ok(policies) => policies,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::Usage;
        }
    };
    let mut asked = Vec::new();
    for file in &args.files {
        match read(file) {
            Ok(cases) => asked.extend(
                cases
                    .cases
                    .iter()
                    .map(|case| ask(file, &cases, case, &policies)),
            ),
            Err(error) => {
                eprintln!("error: {error}");
                return Ended::Usage;
            }
        }
    }
    let covered = match Coverage::of(&asked, &policies, &texts) {
        Ok(covered) => covered,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::Usage;
        }
    };
    match output {
        Output::Json => print_line(to_json(&asked, &covered)),
        Output::Text => text(&asked, &covered),
    }
    let is_below = |least: Option<u8>, percent| least.filter(|least| percent < usize::from(*least));
    let policies_below = is_below(args.cover, covered.percent());
    if let Some(least) = policies_below {
        eprintln!(
            "error: the cases are decided by {} % of the policies, not by {least} %",
            covered.percent(),
        );
    }
    let clauses_below = is_below(args.cover_clauses, covered.clauses.percent());
    if let Some(least) = clauses_below {
        eprintln!(
            "error: the cases show {} % of what clauses can be, not {least} %",
            covered.clauses.percent(),
        );
    }
    let too_few = policies_below.or(clauses_below).is_some();
    if too_few || asked.is_empty() || !asked.iter().all(Asked::holds) {
        Ended::Failed
    } else {
        Ended::Done
    }
}

fn read(file: &Path) -> Result<CaseFile, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::in_file(file, format!("cannot be read: {}", error.kind())))?;
    toml::from_str(&text).map_err(|error| ConfigError::from_toml(file, &text, &error))
}

fn ask(file: &Path, cases: &CaseFile, case: &Case, policies: &PolicySet) -> Asked {
    Asked {
        file: file.to_owned(),
        name: case.name.clone(),
        expected: case.expect.as_str(),
        outcome: cases.ask(case, policies),
    }
}

/// Which policies decided a case. One that fails decides, too, but shows nothing of what it means. The built-in ones are not counted beside those of a
/// configuration: their tests are ours.
struct Coverage {
    covered: BTreeSet<PolicyId>,
    uncovered: BTreeSet<PolicyId>,
    clauses: ClausesSeen,
}

/// The clauses of the counted policies. Each can be true and false, which makes two things to be seen.
struct ClausesSeen(Vec<Clause>);

impl ClausesSeen {
    fn seen(&self) -> usize {
        let seen = |clause: &Clause| usize::from(clause.seen_true) + usize::from(clause.seen_false);
        self.0.iter().map(seen).sum()
    }

    /// Rounded down: 100 is all of them.
    fn percent(&self) -> usize {
        let all = self.0.len() * 2;
        (self.seen() * 100).checked_div(all).unwrap_or(100)
    }

    /// What no case showed, a line each.
    fn unseen(&self) -> Vec<String> {
        let lines = self.0.iter().flat_map(|clause| {
            let values = [("true", clause.seen_true), ("false", clause.seen_false)];
            let unseen = values.into_iter().filter(|(_, seen)| !seen);
            unseen.map(move |(value, _)| {
                let (policy, text) = (&clause.policy, &clause.text);
                format!(
                    "{policy}, clause {} is never {value}: {text}",
                    clause.number
                )
            })
        });
        lines.collect()
    }

    fn to_json(&self) -> Value {
        let clauses = self.0.iter().map(|clause| {
            json!({
                "policy": clause.policy,
                "number": clause.number,
                "kind": clause.kind.as_str(),
                "text": clause.text,
                "true": clause.seen_true,
                "false": clause.seen_false,
            })
        });
        clauses.collect()
    }
}

impl Coverage {
    fn of(asked: &[Asked], policies: &PolicySet, texts: &PolicyTexts) -> Result<Self, PolicyError> {
        let built_in = PolicyTexts::built_in();
        let own: BTreeSet<&str> = texts
            .sources
            .iter()
            .filter(|source| !built_in.sources.contains(source))
            .map(|(file, _)| file.as_str())
            .collect();
        let is_counted = |id: &&PolicyId| {
            let file = id.as_str().split('#').next();
            own.is_empty() || file.is_some_and(|file| own.contains(file))
        };
        let mut clauses = Clauses::of(&texts.schema, &texts.sources)?;
        let outcomes = || asked.iter().filter_map(|asked| asked.outcome.as_ref().ok());
        outcomes().for_each(|outcome| clauses.see(policies, &outcome.query));
        let clauses = clauses.iter().filter(|clause| is_counted(&&clause.policy));
        let decided: BTreeSet<&PolicyId> = outcomes()
            .filter(|outcome| outcome.reason != "policy_failed")
            .flat_map(|outcome| &outcome.policies)
            .collect();
        let (covered, uncovered) = policies
            .ids()
            .filter(is_counted)
            .cloned()
            .partition(|id| decided.contains(id));
        Ok(Self {
            covered,
            uncovered,
            clauses: ClausesSeen(clauses.cloned().collect()),
        })
    }

    /// Rounded down: 100 is all of them.
    fn percent(&self) -> usize {
        let all = self.covered.len() + self.uncovered.len();
        (self.covered.len() * 100).checked_div(all).unwrap_or(100)
    }
}

fn text(asked: &[Asked], covered: &Coverage) {
    for one in asked {
        let verdict = if one.holds() { "ok" } else { "FAILED" };
        print_line(format_args!(
            "{verdict:<8} {}: {}",
            one.file.display(),
            one.name
        ));
        let differs = match &one.outcome {
            Ok(outcome) => outcome.differs.as_slice(),
            Err(error) => std::slice::from_ref(error),
        };
        for line in differs {
            print_line(format_args!("           {line}"));
        }
    }
    let failed = asked.iter().filter(|one| !one.holds()).count();
    print_line(format_args!(
        "{} cases, {failed} failed; decided by {} of {} policies ({} %)",
        asked.len(),
        covered.covered.len(),
        covered.covered.len() + covered.uncovered.len(),
        covered.percent(),
    ));
    for policy in &covered.uncovered {
        print_line(format_args!("never    {policy}"));
    }
    let clauses = &covered.clauses;
    if !clauses.0.is_empty() {
        print_line(format_args!(
            "{} of the {} values of {} clauses seen ({} %)",
            clauses.seen(),
            clauses.0.len() * 2,
            clauses.0.len(),
            clauses.percent(),
        ));
    }
    for line in clauses.unseen() {
        print_line(format_args!("unseen   {line}"));
    }
}

fn to_json(asked: &[Asked], covered: &Coverage) -> Value {
    let cases: Vec<Value> = asked.iter().map(case_json).collect();
    json!({
        "cases": cases,
        "failed": asked.iter().filter(|one| !one.holds()).count(),
        "coverage": {
            "covered": covered.covered,
            "uncovered": covered.uncovered,
            "percent": covered.percent(),
            "clauses": covered.clauses.to_json(),
            "clauses_percent": covered.clauses.percent(),
        },
    })
}

fn case_json(asked: &Asked) -> Value {
    let (file, name) = (asked.file.display().to_string(), &asked.name);
    let (holds, expected) = (asked.holds(), asked.expected);
    match &asked.outcome {
        Ok(outcome) => json!({
            "file": file,
            "name": name,
            "holds": holds,
            "expected": expected,
            "decision": outcome.decision.as_str(),
            "reason": outcome.reason,
            "policies": outcome.policies,
            "differs": outcome.differs,
        }),
        Err(error) => json!({
            "file": file,
            "name": name,
            "holds": holds,
            "expected": expected,
            "error": error,
        }),
    }
}
