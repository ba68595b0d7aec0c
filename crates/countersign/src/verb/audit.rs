//! `audit`: verifies the log, proves that an event is in it, follows it. All of it reads the log's files alone; no server is needed.

use super::{Ended, Output, print, print_line};
use crate::cli::{AuditVerb, TailArgs};
use countersign_audit::Record;
use countersign_audit::verify::{LogFiles, VerifyError};
use countersign_base::{Duration, EventId};
use countersign_store::audit::{
    DirectoryFiles, find_logs, prove as prove_in, tail as tail_of, verifier_key_beside,
    verify_directory,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

pub(super) fn audit(verb: &AuditVerb, output: Output) -> Ended {
    match verb {
        AuditVerb::Prove { event, data } => prove(*event, data, output),
        AuditVerb::Tail(args) => tail(args, output),
        AuditVerb::Verify { data } => verify(data, output),
    }
}

/// The logs of a data directory; there is at least one.
fn logs(data: &Path) -> Result<Vec<PathBuf>, Ended> {
    let audit = data.join("audit");
    match find_logs(&audit) {
        Ok(logs) if !logs.is_empty() => Ok(logs),
        Ok(_) => {
            eprintln!("error: there is no log in `{}`", audit.display());
            Err(Ended::Failed)
        }
        Err(error) => {
            eprintln!("error: `{}` cannot be read: {error}", audit.display());
            Err(Ended::Failed)
        }
    }
}

fn verify(data: &Path, output: Output) -> Ended {
    let logs = match logs(data) {
        Ok(logs) => logs,
        Err(ended) => return ended,
    };
    let mut ended = Ended::Done;
    let mut reports = Vec::new();
    for log in logs {
        let directory = log.display().to_string();
        match verify_directory(&log) {
            Ok(report) => {
                if output == Output::Text {
                    let _ = print(&report);
                }
                reports.push(json!({ "directory": directory, "holds": true, "report": report }));
            }
            Err(error) => {
                ended = Ended::Failed;
                eprintln!("error: `{directory}` does not hold: {error}");
                let error = error.to_string();
                reports.push(json!({ "directory": directory, "holds": false, "error": error }));
            }
        }
    }
    match output {
        Output::Json => print_line(json!({ "logs": reports })),
        Output::Text if ended == Ended::Done => print_line(format_args!(
            "every record, tile, checkpoint and journal frame holds"
        )),
        Output::Text => {}
    }
    ended
}

fn prove(event: EventId, data: &Path, output: Output) -> Ended {
    let logs = match logs(data) {
        Ok(logs) => logs,
        Err(ended) => return ended,
    };
    for log in logs {
        match prove_in(&log, event) {
            Ok(Some(proven)) => {
                let receipt = proven.receipt.to_text();
                match output {
                    Output::Json => {
                        let answer = json!({ "directory": log.display().to_string(), "index": proven.index, "record": proven.record, "proof": receipt });
                        print_line(answer);
                    }
                    Output::Text => {
                        eprintln!("event {event} is record {} of the log", proven.index);
                        let _ = print(&receipt);
                    }
                }
                return Ended::Done;
            }
            Ok(None) => {}
            Err(error) => {
                eprintln!("error: `{}` does not hold: {error}", log.display());
                return Ended::Failed;
            }
        }
    }
    eprintln!(
        "error: no published checkpoint covers an event {event}; one that was just recorded is published within a second"
    );
    Ended::Failed
}

fn tail(args: &TailArgs, output: Output) -> Ended {
    let logs = match logs(&args.data) {
        Ok(logs) => logs,
        Err(ended) => return ended,
    };
    let begin = |log: PathBuf| size(&log).map(|size| (log, size.saturating_sub(args.lines)));
    let begun: Result<Vec<(PathBuf, u64)>, VerifyError> = logs.into_iter().map(begin).collect();
    let mut positions = match begun {
        Ok(positions) => positions,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::Failed;
        }
    };
    loop {
        for (log, position) in &mut positions {
            match tail_of(log, *position) {
                Ok((records, next)) => {
                    for (index, record) in &records {
                        if print(format_args!("{}\n", line(*index, record, output))).is_err() {
                            // Nobody reads on.
                            return Ended::Done;
                        }
                    }
                    *position = next;
                }
                Err(error) => {
                    eprintln!("error: `{}` does not hold: {error}", log.display());
                    return Ended::Failed;
                }
            }
        }
        if args.no_follow {
            return Ended::Done;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// How many records the log's checkpoint covers.
fn size(log: &Path) -> Result<u64, VerifyError> {
    use countersign_audit::verify::CHECKPOINT_PATH;
    let note = DirectoryFiles::new(log).read(CHECKPOINT_PATH)?;
    let note = note.ok_or_else(|| VerifyError::Missing {
        path: CHECKPOINT_PATH.to_owned(),
    })?;
    let opened = countersign_audit::Checkpoint::open(&note, &verifier_key_beside(log)?);
    opened
        .map(|checkpoint| checkpoint.size)
        .map_err(|cause| VerifyError::Note {
            path: CHECKPOINT_PATH,
            cause,
        })
}

fn line(index: u64, record: &Record, output: Output) -> String {
    match output {
        Output::Json => json!({ "index": index, "record": record }).to_string(),
        Output::Text => {
            let value = serde_json::to_value(record).unwrap_or_default();
            let detail = value.get("detail").unwrap_or(&Value::Null);
            let time = record.time.0;
            format!(
                "{index:>8}  {}.{:03}  {:<8}  {:<24} {}  {detail}",
                time.div_euclid(1000),
                time.rem_euclid(1000),
                record.tenant.as_str(),
                record.event.kind(),
                record.id,
            )
        }
    }
}
