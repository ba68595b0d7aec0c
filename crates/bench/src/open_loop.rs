//! An open-loop load generator: requests are due at a constant rate, whatever became of the ones before.
//!
//! Latency counts from when a request was due, so that a server which stalls pays for every request that waited meanwhile. A closed loop would
//! have sent none, and said nothing of it (coordinated omission).

use crate::Failed;
use crate::load::{Line, Script, Served, together};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// From the call to the first request.
const LEAD: Duration = Duration::from_millis(5);

/// When requests are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    begin: Instant,
    interval: Duration,
    count: u32,
}

impl Schedule {
    fn due(&self, number: u32) -> Instant {
        self.begin + self.interval * number
    }
}

/// Sends `rate` requests a second for `duration`, each over whichever of the connections is free first.
///
/// # Errors
/// When a connection breaks, a request cannot be built, or the rate is none.
pub async fn drive<S: Script>(
    lines: Vec<Line<S>>,
    rate: f64,
    duration: Duration,
) -> Result<(Served, Vec<Line<S>>), Failed> {
    let interval = Duration::try_from_secs_f64(1.0 / rate)?;
    let count = u32::try_from(duration.as_nanos() / interval.as_nanos().max(1))?;
    let schedule = Schedule {
        begin: Instant::now() + LEAD,
        interval,
        count,
    };
    let (due, next) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let tasks = lines
        .into_iter()
        .map(|line| tokio::spawn(one(line, schedule, Arc::clone(&due), Arc::clone(&next))));
    let tasks = tasks.collect();
    // A runtime's timer is as coarse as a millisecond, so a thread of its own keeps the pace.
    let pace = std::thread::Builder::new()
        .name("pace".to_owned())
        .spawn(move || keep_pace(schedule, &due))?;
    let served = together(tasks).await?;
    pace.join().map_err(|_| "the pace could not be kept")?;
    Ok(served)
}

fn keep_pace(schedule: Schedule, due: &Semaphore) {
    for number in 0..schedule.count {
        let wait = schedule.due(number).checked_duration_since(Instant::now());
        if let Some(wait) = wait {
            std::thread::sleep(wait);
        }
        due.add_permits(1);
    }
}

/// Takes the next request that nobody has taken, prepares it, and sends it when it is due.
async fn one<S: Script>(
    mut line: Line<S>,
    schedule: Schedule,
    due: Arc<Semaphore>,
    next: Arc<AtomicU32>,
) -> Result<Line<S>, Failed> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= schedule.count {
            return Ok(line);
        }
        let request = line.request()?;
        due.acquire().await?.forget();
        line.ask(request, schedule.due(number)).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::drive;
    use crate::load::{Destination, Line, Script, Wanted};
    use crate::{Failed, upstream};
    use bytes::Bytes;
    use countersign_crypto::random::Random;
    use countersign_crypto::x509::CertificateAuthority;
    use countersign_net::tls::TrustRoots;
    use http::{HeaderMap, Request, StatusCode};
    use http_body_util::Full;
    use std::time::Duration;

    /// Takes its time to prepare the fifth request.
    struct Stalls {
        sent: u32,
        stall: Duration,
    }

    impl Script for Stalls {
        fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
            self.sent += 1;
            if self.sent == 5 {
                std::thread::sleep(self.stall);
            }
            Ok(Request::builder().uri("/").body(Full::default())?)
        }

        fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, _body: &[u8]) -> Wanted {
            if status == StatusCode::OK {
                Wanted::Yes
            } else {
                Wanted::No
            }
        }
    }

    #[tokio::test]
    async fn every_request_that_a_stall_keeps_waiting_counts_its_wait() {
        let address = upstream::start().await.unwrap();
        let authority =
            CertificateAuthority::generate("a", &Random::system(), countersign_base::UnixTime(0))
                .unwrap();
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
        let destination = Destination::new(&format!("http://{address}"), &roots).unwrap();
        let stall = Duration::from_millis(200);
        let line = Line::connect(&destination, Stalls { sent: 0, stall });
        let lines = vec![line.await.unwrap()];
        // A hundred requests, five milliseconds apart: some forty are due while the stall lasts.
        let (served, _) = drive(lines, 200.0, Duration::from_millis(500))
            .await
            .unwrap();
        assert_eq!((served.good, served.bad), (100, 0));
        let run = served.run(Duration::from_secs(1), None).unwrap();
        assert!(run.p99_us.unwrap() > 100_000.0, "{run:?}");
    }
}
