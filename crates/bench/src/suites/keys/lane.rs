//! One row while it is measured: work in this process, or requests to a server.

use super::UNIT;
use crate::Failed;
use crate::load::Script;
use crate::report::Run;
use crate::running::{Running, measure};
use std::sync::Arc;
use std::time::Duration;

/// What the connections of a row send, one script each.
pub(super) type Scripts = Vec<Box<dyn Script>>;

/// What is done in this process for so long.
type Work = Box<dyn FnMut(Duration) -> Result<Run, Failed>>;

/// A row, or why it is empty.
pub(super) struct Lane {
    pub(super) case: &'static str,
    pub(super) subject: String,
    pub(super) unit: &'static str,
    /// How many things one answer is counted as.
    times: f64,
    load: Result<Load, String>,
}

enum Load {
    Here(Work),
    Requests(Arc<dyn Running>, Scripts),
}

impl Lane {
    /// Work in this process.
    pub(super) fn here(
        case: &'static str,
        subject: &str,
        work: impl FnMut(Duration) -> Result<Run, Failed> + 'static,
    ) -> Self {
        Self {
            case,
            subject: subject.to_owned(),
            unit: "op/cpu-s",
            times: 1.0,
            load: Ok(Load::Here(Box::new(work))),
        }
    }

    /// Requests to a server.
    pub(super) fn requests(
        case: &'static str,
        running: Arc<dyn Running>,
        scripts: Scripts,
    ) -> Self {
        Self {
            case,
            subject: running.subject(),
            unit: UNIT,
            times: 1.0,
            load: Ok(Load::Requests(running, scripts)),
        }
    }

    /// The same of requests that ask for many things each, which are counted one by one.
    pub(super) fn of_batches(self, many: u32) -> Self {
        Self {
            unit: "item/cpu-s",
            times: f64::from(many),
            ..self
        }
    }

    /// The same of scripts that could perhaps not be prepared.
    pub(super) fn prepared(
        case: &'static str,
        running: Arc<dyn Running>,
        scripts: Result<Scripts, Failed>,
    ) -> Self {
        match scripts {
            Ok(scripts) => Self::requests(case, running, scripts),
            Err(problem) => Self::absent(case, &running.subject(), &problem),
        }
    }

    /// A row that says why it is empty.
    pub(super) fn absent(case: &'static str, subject: &str, problem: &Failed) -> Self {
        Self {
            case,
            subject: subject.to_owned(),
            unit: UNIT,
            times: 1.0,
            load: Err(problem.to_string()),
        }
    }

    /// One run. After a failure there is no other. Work in this process takes a quarter of the time: it waits for nothing.
    pub(super) async fn run(&mut self, duration: Duration) -> Result<Run, Failed> {
        let load = std::mem::replace(&mut self.load, Err(String::new()))
            .inspect_err(|reason| self.load = Err(reason.clone()))?;
        let ran = match load {
            Load::Here(mut work) => work(duration / 4).map(|run| (run, Load::Here(work))),
            Load::Requests(running, scripts) => {
                let measured = measure(running.as_ref(), scripts, duration).await;
                measured.map(|(run, scripts)| (run, Load::Requests(running, scripts)))
            }
        };
        let (run, load) = ran.inspect_err(|problem| self.load = Err(problem.to_string()))?;
        self.load = Ok(load);
        Ok(Run {
            value: run.value * self.times,
            ..run
        })
    }
}
