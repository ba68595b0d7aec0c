//! `policy test`: asks the cases, says which do not hold, and which policies no case was decided by.

use super::super::{Ended, Output, print_line};
use super::cases::{Case, CaseFile, Outcome};
use super::texts;
use crate::cli::PolicyTest;
use crate::config::error::ConfigError;
use crate::run::PolicyTexts;
use countersign_policy::{PolicyId, PolicySet};
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
    let covered = Coverage::of(&asked, &policies, &texts);
    match output {
        Output::Json => print_line(to_json(&asked, &covered)),
        Output::Text => text(&asked, &covered),
    }
    let too_few = args
        .cover
        .is_some_and(|least| covered.percent() < usize::from(least));
    if too_few {
        eprintln!(
            "error: the cases are decided by {} % of the policies, not by {} %",
            covered.percent(),
            args.cover.unwrap_or_default()
        );
    }
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
}

impl Coverage {
    fn of(asked: &[Asked], policies: &PolicySet, texts: &PolicyTexts) -> Self {
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
        let decided: BTreeSet<&PolicyId> = asked
            .iter()
            .filter_map(|asked| asked.outcome.as_ref().ok())
            .filter(|outcome| outcome.reason != "policy_failed")
            .flat_map(|outcome| &outcome.policies)
            .collect();
        let (covered, uncovered) = policies
            .ids()
            .filter(is_counted)
            .cloned()
            .partition(|id| decided.contains(id));
        Self { covered, uncovered }
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
