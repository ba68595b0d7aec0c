//! Requests that readers disagree about, sent to the gateway and to a strict reader: both read the same requests, or the gateway refuses.
//!
//! The verdicts on the fixed cases stand in `docs/gateway-verdicts.md`; `UPDATE_VERDICTS=1` writes that page anew.

mod corpus;

use crate::routes::specs;
use crate::strict::{End, Reading, StrictUpstream, read};
use crate::world::{Setup, World};
use corpus::Case;
use countersign_gateway::routes::{RouteSpec, Routes};
use countersign_gateway::{UpstreamSpec, UpstreamTls};
use countersign_net::tls::Alpn;
use countersign_net::{Limits, TlsClient};
use http::Method;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// Follows every case on its connection: whoever reads it has not lost their place, and the connection ends.
const LAST: &[u8] = b"GET /open/last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A gateway in front of a strict reader, on a route for everybody.
struct Bench {
    world: World,
    upstream: StrictUpstream,
}

impl Bench {
    /// Requests that never end are given up after `patience`.
    async fn start(patience: Duration) -> Self {
        let limits = Limits {
            header_timeout: patience,
            body_idle_timeout: patience,
            ..Limits::default()
        };
        let world = World::with(Setup {
            limits,
            ..Setup::default()
        });
        let upstream = StrictUpstream::start().await;
        let url = Url::parse(&format!("http://{}", upstream.address)).unwrap();
        let client = TlsClient::new(&crate::world::roots(&world.authority), None, Alpn::Http1);
        let tls = UpstreamTls {
            client: client.unwrap(),
            certificate: None,
        };
        let strict = UpstreamSpec::new("strict".parse().unwrap(), &url, "localhost", tls).unwrap();
        let open = specs().into_iter().find(|spec| spec.id.as_str() == "open");
        let open = open.unwrap();
        let action = open.actions["GET"].clone();
        let methods = [
            "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE",
        ];
        let everything = RouteSpec {
            path: "/{*rest}".to_owned(),
            upstream: "strict".parse().unwrap(),
            actions: methods
                .map(|method| (method.to_owned(), action.clone()))
                .into(),
            body_bytes_max: 100_000,
            ..open
        };
        let hosts = ["localhost", "second.example"].map(str::to_owned).into();
        world.replace(Routes::build(vec![everything], vec![strict], hosts).unwrap());
        Self { world, upstream }
    }

    /// Sends the case to both. Panics if the gateway passed something on that the strict reader did not read just so.
    async fn judge(&self, name: &str, bytes: &[u8]) -> Verdict {
        let sent = [bytes, LAST].concat();
        let strict = self.upstream.told(&sent).await;
        let (expected, end) = read(&sent);
        assert_eq!(strict, expected, "{name}: the same reader");
        let answer = self.world.raw(&sent).await;
        let passed = self.upstream.take();
        // In the order of the strict reader, and nothing that it did not read; those between were refused.
        let mut readings = strict.iter();
        for reading in &passed {
            assert!(
                readings.any(|strict| strict == reading),
                "{name}: {reading:?}\nis not among {strict:?}\nof {}\n{answer}",
                String::from_utf8_lossy(&sent)
            );
        }
        Verdict {
            strict: strict.len(),
            end,
            passed: passed.len(),
            last_read: Last::of(&strict),
            last_passed: Last::of(&passed),
        }
    }
}

/// How many requests each of them read, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    strict: usize,
    end: End,
    passed: usize,
    last_read: Last,
    last_passed: Last,
}

/// Whether the request behind the case was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Read,
    Unread,
}

impl Last {
    fn of(readings: &[Reading]) -> Self {
        let path = [&b""[..], b"open", b"last"];
        let last = |reading: &&Reading| reading.method == "GET" && reading.path == path;
        match readings.last().filter(last) {
            Some(_) => Self::Read,
            None => Self::Unread,
        }
    }
}

impl Verdict {
    /// Requests of the case itself.
    const fn own(self) -> usize {
        match self.last_read {
            Last::Read => self.strict - 1,
            Last::Unread => self.strict,
        }
    }

    fn of_strict(self) -> String {
        match (self.own(), self.end) {
            (0, End::Clean) => "refuses".to_owned(),
            (own, End::Clean) => format!("reads {own}"),
            (own, End::Open) => format!("reads {own}, waits for more"),
            (0, End::Refused) => "refuses, and is lost".to_owned(),
            (own, End::Refused) => format!("reads {own}, and is lost"),
        }
    }

    fn of_gateway(self) -> String {
        let all = self.passed == self.strict && self.end == End::Clean;
        match (self.passed, self.last_passed) {
            (1, Last::Read) => "refuses".to_owned(),
            _ if all => "the same".to_owned(),
            (0, _) => "refuses, and ends the connection".to_owned(),
            (passed, Last::Read) => format!("{} the same, refuses another", passed - 1),
            (passed, Last::Unread) => format!("{passed} the same, and ends the connection"),
        }
    }
}

fn page(verdicts: &[(Case, Verdict)]) -> String {
    let mut page = String::from(
        "# What becomes of ambiguous requests\n\n\
         Each case is sent to the gateway and to a reader that takes RFC 9112 at its word, with one plain request behind it on the same connection. Either the gateway passes on exactly what\n\
         that reader reads (method, authority, path, query and body, request by request), or it refuses. This page is written and checked by the gateway's tests (`differential`).\n",
    );
    let mut group = "";
    for (case, verdict) in verdicts {
        if case.group != group {
            group = case.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| Case | Strict reader | Gateway |\n|---|---|---|\n"
            );
        }
        let shown = case.name.replace('|', "\\|");
        let (strict, gateway) = (verdict.of_strict(), verdict.of_gateway());
        let _ = writeln!(page, "| {shown} | {strict} | {gateway} |");
    }
    page
}

#[tokio::test]
async fn g27_g28_g29_each_ambiguous_request_is_read_alike_or_refused() {
    let bench = Bench::start(Duration::from_secs(15)).await;
    let mut verdicts = Vec::new();
    for case in corpus::cases() {
        let verdict = bench.judge(&case.name, &case.bytes).await;
        verdicts.push((case, verdict));
    }
    let same = |(_, verdict): &&(Case, Verdict)| verdict.of_gateway() == "the same";
    let (count, alike) = (verdicts.len(), verdicts.iter().filter(same).count());
    assert!(count >= 250 && alike >= 50, "{alike} of {count}");
    let page = page(&verdicts);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-verdicts.md");
    if std::env::var_os("UPDATE_VERDICTS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let changed = page
        .lines()
        .zip(written.lines())
        .find(|(is, was)| is != was);
    assert_eq!(changed, None, "UPDATE_VERDICTS=1 writes the page");
    assert_eq!(page.len(), written.len());
    bench.world.stop().await;
}

#[tokio::test]
async fn path_17_frm_7_mutated_requests_are_read_alike_or_refused() {
    // Some of them never end, and a refusal is never wrong here.
    let bench = Bench::start(Duration::from_millis(400)).await;
    let cases = corpus::cases();
    let (sound, broken): (Vec<_>, Vec<_>) = cases
        .iter()
        .partition(|case| read(&[&case.bytes, LAST].concat()).1 == End::Clean);
    let mut dice = corpus::Dice::new(0x5eed);
    let (mut alike, mut refused) = (0, 0);
    for number in 0..1_500 {
        // One step from what is sound, or any way from what is not.
        let (from, steps) = match number % 3 {
            0 => (&broken, 3),
            _ => (&sound, 1),
        };
        let case = from[dice.below(from.len())];
        let bytes = corpus::mutated(&case.bytes, steps, &mut dice);
        let name = format!("mutation {number} of {}", case.name);
        let verdict = bench.judge(&name, &bytes).await;
        if verdict.of_gateway() == "the same" {
            alike += 1;
        } else {
            refused += 1;
        }
    }
    // Neither outcome is rare.
    assert!(alike >= 75 && refused >= 500, "{alike} {refused}");
    let bearer = bench.world.bearer(|_| {});
    let client = bench.world.client(None);
    let fields = [("authorization", bearer.as_str())];
    let last = bench
        .world
        .send(&client, Method::GET, "/a", &fields, Default::default());
    assert_eq!(last.await.status, 200);
    bench.world.stop().await;
}
