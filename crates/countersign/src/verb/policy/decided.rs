//! `policy explain` and `policy replay`: decisions that were recorded, looked at again.
//!
//! What was decided stands in the log's files; what was asked is sealed in the store and opened by the running process, which alone holds the keys. So the
//! questions of `replay` stay where they are: the other policies travel to them, and only the answers come back.

use super::super::control::{post, show};
use super::super::{Ended, Output, print_line};
use super::texts;
use crate::cli::{PolicyReplay, Target};
use countersign_base::EventId;
use countersign_store::audit::{find_logs, prove, tail};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Decisions that are asked again in one request.
const AT_ONCE: usize = 200;

pub(super) fn explain(event: EventId, target: &Target, output: Output) -> Ended {
    let record = match recorded(&target.data, event) {
        Ok(record) => record,
        Err(ended) => return ended,
    };
    let answer = match show(target, &format!("decisions/{event}")) {
        Ok(answer) => answer,
        Err(error) => return error.say(),
    };
    let detail = record.get("detail").unwrap_or(&Value::Null);
    let matches = match (detail.get("commitment"), answer.get("commitment")) {
        (Some(recorded), Some(opened)) => recorded == opened,
        (None, _) | (_, None) => false,
    };
    if !matches {
        eprintln!("error: the question that is kept is not the one that the record commits to");
        return Ended::Failed;
    }
    match output {
        Output::Json => print_line(json!({
            "event": event,
            "recorded": detail,
            "question": answer.get("question"),
            "now": answer.get("now"),
        })),
        Output::Text => explained(event, detail, &answer)
            .iter()
            .for_each(print_line),
    }
    Ended::Done
}

/// The record of a decision, from the log's files.
fn recorded(data: &Path, event: EventId) -> Result<Value, Ended> {
    for log in logs(data)? {
        match prove(&log, event) {
            Ok(Some(proven)) => {
                let record = serde_json::to_value(&proven.record).unwrap_or_default();
                if record.get("kind").and_then(Value::as_str) == Some("decision") {
                    return Ok(record);
                }
                eprintln!("error: event {event} is no decision");
                return Err(Ended::Failed);
            }
            Ok(None) => {}
            Err(error) => {
                eprintln!("error: `{}` does not hold: {error}", log.display());
                return Err(Ended::Failed);
            }
        }
    }
    eprintln!("error: the log has no event {event}; one of this second is there in the next");
    Err(Ended::Failed)
}

fn logs(data: &Path) -> Result<Vec<PathBuf>, Ended> {
    let audit = data.join("audit");
    match find_logs(&audit) {
        Ok(logs) if !logs.is_empty() => Ok(logs),
        Ok(_) | Err(_) => {
            eprintln!("error: there is no log in `{}`", audit.display());
            Err(Ended::Failed)
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => {
            let items = items.iter().filter_map(Value::as_str);
            items.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

fn explained(event: EventId, detail: &Value, answer: &Value) -> Vec<String> {
    let question = answer.get("question").unwrap_or(&Value::Null);
    let now = answer.get("now").unwrap_or(&Value::Null);
    let mut lines = vec![
        format!("event      {event}"),
        format!(
            "decided    {} ({})",
            text(detail, "decision"),
            text(detail, "reason")
        ),
        format!("by         {}", text(detail, "policies")),
        format!("policies   {}", text(detail, "bundle")),
        format!("door       {}", text(detail, "surface")),
        format!("action     {}", text(question, "action")),
    ];
    for part in ["principal", "resource"] {
        let entity = question.get(part).unwrap_or(&Value::Null);
        lines.push(format!(
            "{part:<10} {}::{:?}",
            text(entity, "type"),
            text(entity, "id")
        ));
        lines.extend(facts(entity));
    }
    lines.push("context".to_owned());
    lines.extend(members(question.get("context")));
    let same = ["decision", "reason", "policies"]
        .iter()
        .all(|name| text(detail, name) == text(now, name));
    lines.push(if same {
        "now        the same".to_owned()
    } else {
        format!(
            "now        {} ({}) by {}",
            text(now, "decision"),
            text(now, "reason"),
            text(now, "policies")
        )
    });
    lines
}

/// What is known of an entity: attributes, tags, and what it is a member of.
fn facts(entity: &Value) -> Vec<String> {
    let mut lines = members(entity.get("attributes"));
    lines.extend(members(entity.get("tags")));
    let parents = entity.get("parents").and_then(Value::as_array);
    lines.extend(parents.into_iter().flatten().map(|parent| {
        format!(
            "           in {}::{:?}",
            text(parent, "type"),
            text(parent, "id")
        )
    }));
    lines
}

fn members(record: Option<&Value>) -> Vec<String> {
    let members = record.and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(name, value)| format!("           {name} = {}", short(value)))
        .collect()
}

/// A value as policies write it.
fn short(value: &Value) -> String {
    if let Some(entity) = value.get("__entity") {
        return format!("{}::{:?}", text(entity, "type"), text(entity, "id"));
    }
    if let Some(address) = value.get("__extn") {
        return format!("ip({:?})", text(address, "arg"));
    }
    value.to_string()
}

/// A decision of the log.
struct Decision {
    event: String,
    action: String,
    decision: String,
    reason: String,
    policies: String,
}

pub(super) fn replay(args: &PolicyReplay, output: Output) -> Ended {
    let decisions = match decisions(args) {
        Ok(decisions) => decisions,
        Err(ended) => return ended,
    };
    let policies = match &args.config {
        None => None,
        Some(dir) => match texts(Some(dir)) {
            Ok(texts) => {
                let other = json!({ "schema": texts.schema, "sources": texts.sources });
                Some(("policies".to_owned(), other))
            }
            Err(ended) => return ended,
        },
    };
    let mut replayed = Replayed::default();
    for some in decisions.chunks(AT_ONCE) {
        let events: Vec<&str> = some
            .iter()
            .map(|decision| decision.event.as_str())
            .collect();
        let mut body = Map::from_iter([("events".to_owned(), json!(events))]);
        body.extend(policies.clone());
        match post(&args.target, "decisions/replay", &Value::Object(body)) {
            Ok(answer) => replayed.compare(some, &answer),
            Err(error) => return error.say(),
        }
    }
    match output {
        Output::Json => print_line(replayed.to_json()),
        Output::Text => replayed.lines().iter().for_each(print_line),
    }
    if replayed.asked() == 0 {
        eprintln!(
            "error: there was nothing to ask: no decision of this tenant whose question is still there"
        );
        return Ended::Failed;
    }
    if replayed.differ == 0 {
        Ended::Done
    } else {
        Ended::Failed
    }
}

/// The last decisions of the tenant whose questions were kept, the oldest first.
fn decisions(args: &PolicyReplay) -> Result<Vec<Decision>, Ended> {
    let mut found = Vec::new();
    for log in logs(&args.target.data)? {
        let records = match tail(&log, 0) {
            Ok((records, _)) => records,
            Err(error) => {
                eprintln!("error: `{}` does not hold: {error}", log.display());
                return Err(Ended::Failed);
            }
        };
        for (_, record) in records {
            if record.tenant != args.target.tenant || record.event.kind() != "decision" {
                continue;
            }
            let json = serde_json::to_value(&record).unwrap_or_default();
            let detail = json.get("detail").unwrap_or(&Value::Null);
            if detail.get("commitment").is_none_or(Value::is_null) {
                continue;
            }
            found.push(Decision {
                event: record.id.to_string(),
                action: text(detail, "action"),
                decision: text(detail, "decision"),
                reason: text(detail, "reason"),
                policies: text(detail, "policies"),
            });
        }
    }
    Ok(found.split_off(found.len().saturating_sub(args.last)))
}

/// What became of the decisions.
#[derive(Default)]
struct Replayed {
    same: usize,
    /// Decided alike, by other policies.
    others: usize,
    differ: usize,
    /// Their question is not there any more.
    unread: usize,
    shown: Vec<Value>,
}

impl Replayed {
    /// How many could be asked again: of none there is nothing to say.
    const fn asked(&self) -> usize {
        self.same + self.others + self.differ
    }

    fn compare(&mut self, decisions: &[Decision], answer: &Value) {
        let answers = answer.get("decisions").and_then(Value::as_array);
        for (decision, answer) in decisions.iter().zip(answers.into_iter().flatten()) {
            let Some(said) = answer.get("said") else {
                self.unread += 1;
                continue;
            };
            let kind = if text(said, "decision") != decision.decision {
                self.differ += 1;
                "differs"
            } else if text(said, "policies") != decision.policies
                || text(said, "reason") != decision.reason
            {
                self.others += 1;
                "other"
            } else {
                self.same += 1;
                continue;
            };
            self.shown.push(json!({
                "kind": kind,
                "event": decision.event,
                "action": decision.action,
                "was": { "decision": decision.decision, "reason": decision.reason, "policies": decision.policies },
                "would_be": { "decision": text(said, "decision"), "reason": text(said, "reason"), "policies": text(said, "policies") },
            }));
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for shown in &self.shown {
            let side = |name: &str| {
                let side = shown.get(name).unwrap_or(&Value::Null);
                format!(
                    "{} ({}) by {}",
                    text(side, "decision"),
                    text(side, "reason"),
                    text(side, "policies")
                )
            };
            lines.push(format!(
                "{:<8} {}  {}",
                text(shown, "kind"),
                text(shown, "event"),
                text(shown, "action")
            ));
            lines.push(format!("           was       {}", side("was")));
            lines.push(format!("           would be  {}", side("would_be")));
        }
        lines.push(format!(
            "{} the same, {} the same by other policies, {} differ, {} without their question",
            self.same, self.others, self.differ, self.unread
        ));
        lines
    }

    fn to_json(&self) -> Value {
        json!({
            "same": self.same,
            "other_policies": self.others,
            "differ": self.differ,
            "without_question": self.unread,
            "decisions": self.shown,
        })
    }
}
