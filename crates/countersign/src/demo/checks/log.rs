//! 11.log: every decision above is in the audit log; inclusion and consistency verified, with the files alone.

use super::{Holds, Play, hold};
use crate::demo::http::Failure;
use crate::demo::report::{Check, Evidence};
use crate::demo::stage::Stage;
use countersign_audit::Record;
use countersign_store::audit::{prove, tail, verifier_key_beside, verify_directory_with};
use serde_json::Value;

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "11.log",
        "Every decision above is in the audit log; inclusion and consistency",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let log = stage.running.fabric().audit();
    log.published()
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    let directory = log.directory();
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("the log does not verify: {error}"));
    let key = verifier_key_beside(directory).map_err(|error| failed(&error))?;
    let before = play
        .checkpoint
        .clone()
        .ok_or_else(|| Failure::new("no checkpoint from before the checks"))?;
    let report =
        verify_directory_with(directory, &key, &[before]).map_err(|error| failed(&error))?;
    evidence.say(format!(
        "{} records verified with the files alone, root {}",
        report.size, report.root
    ));
    evidence.say(format!(
        "consistent with the checkpoint from before check 1 ({} older checkpoint extended)",
        report.older_checkpoints
    ));

    let (records, _) = tail(directory, 0).map_err(|error| failed(&error))?;
    let records: Vec<(Value, Record)> = records
        .into_iter()
        .map(|(_, record)| (serde_json::to_value(&record).unwrap_or_default(), record))
        .collect();
    hold(
        "some answers were noted",
        Holds::from(play.recorded.len() > 20),
    )?;
    let mut proven = 0;
    let mut policies = std::collections::BTreeSet::new();
    for noted in &play.recorded {
        let found = records.iter().find(|(value, _)| {
            value.get("request").and_then(Value::as_str) == Some(&noted.request)
                && verdict(value) == Some(noted.verdict)
        });
        let (value, record) = found.ok_or_else(|| {
            Failure::new(format!(
                "request {} ({}) has no record",
                noted.request, noted.verdict
            ))
        })?;
        policies.extend(
            value
                .pointer("/detail/policies")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        if proven < 3 {
            let inclusion = prove(directory, record.id).map_err(|error| failed(&error))?;
            let inclusion =
                inclusion.ok_or_else(|| Failure::new("an event is not under the checkpoint"))?;
            evidence.say(format!(
                "event {} ({}) is leaf {} of {}",
                record.id, noted.verdict, inclusion.index, inclusion.checkpoint.size
            ));
        }
        proven += 1;
    }
    for grant in &play.grants {
        let issued = records.iter().any(|(value, _)| {
            value.get("kind").and_then(Value::as_str) == Some("token")
                && value.pointer("/detail/grant").and_then(Value::as_str) == Some(grant)
        });
        hold(
            &format!("the tokens of grant {grant} are in the log"),
            Holds::from(issued),
        )?;
    }
    evidence.say(format!(
        "{proven} answers of the gateway found by their request id, each with its verdict"
    ));
    evidence.say(format!(
        "policies that decided: {}",
        policies.into_iter().collect::<Vec<_>>().join(", ")
    ));
    Ok(())
}

fn verdict(record: &Value) -> Option<&str> {
    record.pointer("/detail/decision").and_then(Value::as_str)
}
