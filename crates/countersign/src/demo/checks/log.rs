//! 11.log: every decision above is in the audit log; inclusion and consistency verified, with the files alone.

use super::{Holds, Play, Recorded, hold};
use crate::demo::http::Failure;
use crate::demo::report::{Check, Evidence, claim};
use crate::demo::stage::Stage;
use countersign_audit::Record;
use countersign_store::audit::{prove, tail, verifier_key_beside, verify_directory_with};
use serde_json::Value;
use std::path::Path;

/// How many events are proven one by one; every one is verified with the log.
const PROVEN: usize = 3;

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
    verified(directory, play, evidence)?;
    let records = Records::read(directory)?;
    hold(
        "some answers were noted",
        Holds::from(play.recorded.len() > 20),
    )?;
    for (position, noted) in play.recorded.iter().enumerate() {
        let (value, record) = records.of_request(noted)?;
        if position < PROVEN {
            included(directory, record, noted, evidence)?;
        }
        let policies: Vec<&str> = value
            .pointer("/detail/policies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let by = if policies.is_empty() {
            claim(value.get("detail").unwrap_or(value), "reason").to_owned()
        } else {
            policies.join(", ")
        };
        play.decisions.insert(
            noted.request.clone(),
            format!("event {}, {} by {by}", record.id, noted.verdict),
        );
    }
    for grant in &play.grants {
        hold(
            &format!("the tokens of grant {grant} are in the log"),
            Holds::from(records.have_tokens_of(grant)),
        )?;
    }
    evidence.say(format!(
        "{} answers of the gateway found by their request id, each with its verdict",
        play.recorded.len()
    ));
    Ok(())
}

/// Every record, tile and checkpoint, with the files alone, and that the log only grew since before the first check.
fn verified(directory: &Path, play: &Play, evidence: &mut Evidence) -> Result<(), Failure> {
    let key = verifier_key_beside(directory).map_err(|error| failed(&error))?;
    let before = play
        .checkpoint
        .clone()
        .ok_or_else(|| Failure::new("no checkpoint from before the checks"))?;
    let report =
        verify_directory_with(directory, &key, &[before]).map_err(|error| failed(&error))?;
    hold(
        "the log extends the older checkpoint",
        Holds::from(report.older_checkpoints == 1),
    )?;
    evidence.say(format!(
        "{} records verified with the files alone, root {}",
        report.size, report.root
    ));
    evidence.say("the log extends the checkpoint from before check 1: nothing of it was changed or taken back");
    Ok(())
}

fn included(
    directory: &Path,
    record: &Record,
    noted: &Recorded,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let proven = prove(directory, record.id).map_err(|error| failed(&error))?;
    let proven = proven.ok_or_else(|| Failure::new("an event is not under the checkpoint"))?;
    evidence.say(format!(
        "event {} ({}) is proven to be leaf {} of {}",
        record.id, noted.verdict, proven.index, proven.checkpoint.size
    ));
    Ok(())
}

/// Every record of the log, also in the form that readers see.
struct Records(Vec<(Value, Record)>);

impl Records {
    fn read(directory: &Path) -> Result<Self, Failure> {
        let (records, _) = tail(directory, 0).map_err(|error| failed(&error))?;
        let seen = |(_, record): (u64, Record)| {
            (serde_json::to_value(&record).unwrap_or_default(), record)
        };
        Ok(Self(records.into_iter().map(seen).collect()))
    }

    fn of_request(&self, noted: &Recorded) -> Result<(&Value, &Record), Failure> {
        let fits = |value: &Value| {
            claim(value, "request") == noted.request
                && value.pointer("/detail/decision").and_then(Value::as_str) == Some(noted.verdict)
        };
        let found = self.0.iter().find(|(value, _)| fits(value));
        let (value, record) = found.ok_or_else(|| {
            Failure::new(format!(
                "request {} ({}) has no record",
                noted.request, noted.verdict
            ))
        })?;
        Ok((value, record))
    }

    fn have_tokens_of(&self, grant: &str) -> bool {
        let token = |value: &Value| {
            claim(value, "kind") == "token"
                && value.pointer("/detail/grant").and_then(Value::as_str) == Some(grant)
        };
        self.0.iter().any(|(value, _)| token(value))
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the log does not verify: {error}"))
}
