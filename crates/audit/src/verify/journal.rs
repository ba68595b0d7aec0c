//! The journal's chain, and its agreement with the state and the log.

use super::report::JournalReport;
use super::{LogFiles, VerifyError};
use crate::journal::{Next, Position, next_frame, segment_path, segment_sequence};
use crate::record::CanonicalRecord;
use crate::state::State;
use countersign_base::EventId;
use std::collections::HashSet;

struct Walk<'a> {
    state: Option<&'a State>,
    logged: &'a HashSet<EventId>,
    report: JournalReport,
    position: Option<Position>,
    reached_state: bool,
}

/// Walks all segments. Without a state file (a copy of the published files), the chain alone is checked.
pub(super) fn check<F: LogFiles>(
    files: &F,
    state: Option<&State>,
    logged: &HashSet<EventId>,
) -> Result<Option<JournalReport>, VerifyError> {
    let mut segments: Vec<u64> = files
        .list("journal")?
        .iter()
        .filter_map(|name| segment_sequence(name))
        .collect();
    segments.sort_unstable();
    if segments.is_empty() && state.is_none() {
        return Ok(None);
    }
    let report = JournalReport {
        segments: segments.len() as u64,
        frames: 0,
        sequenced: 0,
        waiting: 0,
        torn_bytes: 0,
    };
    let mut walk = Walk {
        state,
        logged,
        report,
        position: None,
        reached_state: false,
    };
    let last = segments.last().copied();
    for first in segments {
        let path = segment_path(first);
        // A running log removes segments whose records are all in the log.
        let Some(bytes) = files.read(&path)? else {
            continue;
        };
        walk.segment(&path, first, &bytes, Some(first) == last)?;
    }
    walk.finish().map(Some)
}

impl Walk<'_> {
    fn segment(
        &mut self,
        path: &str,
        first: u64,
        bytes: &[u8],
        is_last: bool,
    ) -> Result<(), VerifyError> {
        let problem = |at: usize, problem| VerifyError::Journal {
            path: path.to_owned(),
            at: at as u64,
            problem,
        };
        if self
            .position
            .is_some_and(|position| position.sequence != first)
        {
            return Err(problem(
                0,
                "the segment does not begin where the one before it ended",
            ));
        }
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let position = self
                .position
                .unwrap_or_else(|| start_of(first, rest, self.state));
            self.arrive(position).map_err(|text| problem(at, text))?;
            self.position = Some(position);
            match next_frame(rest, position) {
                Next::Damaged => {
                    return Err(problem(
                        at,
                        "a frame that was acknowledged is damaged or missing",
                    ));
                }
                Next::End => return Ok(()),
                Next::Frame(frame) => {
                    for record in frame.records() {
                        self.record(record, position)
                            .map_err(|text| problem(at, text))?;
                    }
                    self.report.frames += 1;
                    self.position = Some(frame.after);
                    at += frame.length;
                }
                Next::Torn if is_last => {
                    self.report.torn_bytes = rest.len() as u64;
                    return Ok(());
                }
                Next::Torn => return Err(problem(at, "a frame is damaged")),
            }
        }
    }

    fn arrive(&mut self, position: Position) -> Result<(), &'static str> {
        match self.state {
            Some(state) if state.journal.sequence == position.sequence => {
                self.reached_state = true;
                if state.journal.chain == position.chain {
                    Ok(())
                } else {
                    Err("the chain is another than the log's state says")
                }
            }
            Some(_) | None => Ok(()),
        }
    }

    fn record(&mut self, bytes: &[u8], before: Position) -> Result<(), &'static str> {
        let record =
            CanonicalRecord::parse(bytes.to_vec()).map_err(|_| "a record is not canonical")?;
        let logged = self.logged.contains(&record.id());
        match self.state {
            Some(state) if before.sequence < state.journal.sequence => {
                self.report.sequenced += 1;
                if logged {
                    Ok(())
                } else {
                    Err("a record that was sequenced is not in the log")
                }
            }
            Some(_) => {
                self.report.waiting += 1;
                if logged {
                    Err("a record that waits to be sequenced is in the log already")
                } else {
                    Ok(())
                }
            }
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<JournalReport, VerifyError> {
        let unreached =
            self.state.is_some_and(|state| state.journal.sequence > 0) && !self.reached_state;
        if unreached {
            let problem = "it ends before, or begins after, the place that the log's state names";
            return Err(VerifyError::Journal {
                path: "journal".to_owned(),
                at: 0,
                problem,
            });
        }
        Ok(self.report)
    }
}

/// The position at the beginning of the first segment: what the frame there says of its predecessor, or what the state says if there is none yet.
fn start_of(first: u64, rest: &[u8], state: Option<&State>) -> Position {
    if first == 0 {
        return Position::START;
    }
    match (crate::journal::Frame::read(rest), state) {
        (Some(frame), _) => Position {
            sequence: first,
            chain: frame.before.chain,
        },
        (None, Some(state)) => Position {
            sequence: first,
            chain: state.journal.chain,
        },
        (None, None) => Position {
            sequence: first,
            chain: Position::START.chain,
        },
    }
}
