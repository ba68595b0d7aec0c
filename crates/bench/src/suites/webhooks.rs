//! `webhooks`: what delivering and receiving costs, and what a great many endpoints and messages do to it.

mod drain;
mod fill;
mod hanging;
mod place;
mod provider;

use super::{Columns, Effort, Measured, Subjects, Suite};
use crate::Failed;
use crate::report::{Row, Run};
use place::Database;

pub(super) const SUITE: Suite = Suite {
    name: "webhooks",
    about: ABOUT,
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const ABOUT: &str = "\
Everything is on one machine: the server, and one process that is sender, receiver and clock (TLS 1.3, HTTP/1.1, kept connections). A value is what was done per second of
the server's own CPU time (user and system, all its threads), which stays comparable whatever else the machine does.

- `deliver-sqlite`, `deliver-postgres`: messages of about 300 bytes that wait in the outbox, each for ten of 100 endpoints, are signed (Standard Webhooks, HMAC), delivered
  and settled, each with its record in the audit log. Counted from the twentieth part that arrived to the last but one. The latency columns are empty: everything is due at once.
- `receive-durable`: webhooks of about 300 bytes from 32 connections, signed and each with an id of its own, are verified, decided about, stored and answered 202 after the commit.
- `hang-1pc`: a steady 100 messages a second to 9,999 endpoints (all that a tenant may have beside the service of its source) of which one in a hundred never answers; the latency is
  from the acknowledgement of a message to its arrival at an endpoint that answers. `limit` is the same with every endpoint answering.
- `queue-1m`: resident memory of the server in MiB while it delivers from a queue of 1,000,000. `limit` is the same with 1,000.

No peer is measured beside: Svix and Convoy cannot be installed by name from a registry.";

const DELIVER: &str = "deliver-sqlite";
const DELIVER_POSTGRES: &str = "deliver-postgres";
const RECEIVE: &str = "receive-durable";
const HANG: &str = "hang-1pc";
const QUEUE: &str = "queue-1m";
const UNIT: &str = "req/cpu-s";
/// How much waits where memory is compared with.
const SHORT_QUEUE: u32 = 1_000;

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    let mut columns = Columns::default();
    let mut rows = Rows {
        subjects,
        effort,
        columns: &mut columns,
    };
    for number in 1..=effort.runs {
        let (count, program) = (effort.deliveries, &subjects.server);
        rows.run(number, DELIVER, "countersign", UNIT, async || {
            drain::delivered(program, &Database::Embedded, count).await
        })
        .await;
        rows.run(number, DELIVER_POSTGRES, "countersign", UNIT, async || {
            let database = Database::of(subjects, number).await?;
            drain::delivered(program, &database, count).await
        })
        .await;
        rows.run(number, RECEIVE, "countersign", UNIT, async || {
            provider::received(program, effort.duration).await
        })
        .await;
        for (subject, hang) in [
            ("countersign", hanging::Hang::OneInAHundred),
            ("limit", hanging::Hang::None),
        ] {
            rows.run(number, HANG, subject, "req/cpu-s", async || {
                hanging::steady(program, effort, hang).await
            })
            .await;
        }
        for (subject, queued) in [("countersign", effort.queued), ("limit", SHORT_QUEUE)] {
            rows.run(number, QUEUE, subject, "MiB", async || {
                drain::resident(program, queued, effort.duration).await
            })
            .await;
        }
    }
    Ok(columns.rows())
}

struct Rows<'a> {
    subjects: &'a Subjects,
    effort: Effort,
    columns: &'a mut Columns,
}

impl Rows<'_> {
    /// One run of a row, if its case is wanted.
    async fn run(
        &mut self,
        number: usize,
        case: &'static str,
        subject: &str,
        unit: &'static str,
        work: impl AsyncFnOnce() -> Result<Run, Failed>,
    ) {
        if !self.subjects.wants(case) {
            return;
        }
        let run = work().await;
        let came = match &run {
            Ok(run) => format!("{:.0}", run.value),
            Err(problem) => problem.to_string(),
        };
        let runs = self.effort.runs;
        // Said while it goes on, beside the results on standard output.
        eprintln!("webhooks: run {number} of {runs}: {case}, {subject}: {came}");
        self.columns.add(case, subject, unit, run);
    }
}
