//! `policy analyse`

use super::super::{Ended, Output, print_line};
use super::texts;
use countersign_policy::analysis::{self, Finding};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn analyse(dir: Option<&Path>, output: Output) -> Ended {
    let texts = match texts(dir) {
        Ok(texts) => texts,
        Err(ended) => return ended,
    };
    let findings = match analysis::analyse(&texts.schema, &texts.sources) {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::Usage;
        }
    };
    match output {
        Output::Json => {
            let listed: Vec<Value> = findings.iter().map(to_json).collect();
            print_line(json!({ "findings": listed, "mistakes": mistakes(&findings) }));
        }
        Output::Text => text(&findings),
    }
    if mistakes(&findings) == 0 {
        Ended::Done
    } else {
        Ended::Failed
    }
}

/// Whether somebody has to change something. An action that nothing permits may be meant so.
const fn is_mistake(finding: &Finding) -> bool {
    match finding {
        Finding::Contradict { .. }
        | Finding::NeverMatches(_)
        | Finding::Overruled { .. }
        | Finding::Shadowed { .. } => true,
        Finding::NothingPermits(_) => false,
    }
}

fn mistakes(findings: &[Finding]) -> usize {
    findings
        .iter()
        .filter(|finding| is_mistake(finding))
        .count()
}

fn text(findings: &[Finding]) {
    for finding in findings {
        let kind = if is_mistake(finding) {
            "mistake"
        } else {
            "note"
        };
        print_line(format_args!("{kind:<8} {finding}"));
    }
    let count = mistakes(findings);
    let notes = findings.len() - count;
    print_line(format_args!(
        "{count} mistakes, {notes} notes; what is not found may still be there"
    ));
}

fn to_json(finding: &Finding) -> Value {
    let (about, by) = finding.about();
    let about_member = match finding {
        Finding::NothingPermits(_) => "action",
        Finding::Contradict { .. }
        | Finding::NeverMatches(_)
        | Finding::Overruled { .. }
        | Finding::Shadowed { .. } => "policy",
    };
    let mut json = Map::from_iter([
        ("kind".to_owned(), finding.code().into()),
        ("mistake".to_owned(), is_mistake(finding).into()),
        ("message".to_owned(), finding.to_string().into()),
        (about_member.to_owned(), about.into()),
    ]);
    if let Some(by) = by {
        json.insert("by".to_owned(), by.as_str().into());
    }
    json.into()
}
