//! The way out: a forward proxy for workloads, `CONNECT` and absolute-form requests over HTTP/1.1 (RFC 9110 §9.3.6, §7.6; RFC 9112 §3.2.2). The same order as on the way in, kept
//! by the types:
//!
//! ```text
//! destination asked::Asked               one form of where it wants to go, or a refusal
//! who         who::Workload              a certificate, a key or a token; never what is meant for the destination
//! listed      rules::Listed              the allow-list: workload, host, port, form, method and path; nothing listed = denied
//! how many    places::Place              tunnels and requests of one workload at once
//! where to    net::egress::Judged        the name looked up once, every address judged
//! may they    policy::decide             action `egress` on `EgressDestination`
//! record      store::Recorder            denials too
//! connect     outward::connect           takes the recorded permit; to the judged address
//! outcome     store::Recorder            status, bytes, time
//! ```
//!
//! No redirect is followed: its target is another request, judged anew. Not here: the addresses that are never reached ([`countersign_net::egress`]).

mod answer;
mod asked;
mod credential;
mod outward;
mod places;
mod request;
mod rules;
mod standing;
mod tail;
mod tunnel;
mod who;

pub use answer::EgressRefusal;
pub use credential::{Credential, CredentialError, TokenSource};
pub use request::EgressRequest;
pub use rules::{
    ClientKey, EgressLimits, EgressRules, EgressSpec, Form, HostPattern, Lifted, RequestRule,
    RuleSpec, WorkloadSpec,
};

use crate::planes::{Planes, Seen};
use answer::EgressBody;
use arc_swap::ArcSwap;
use asked::Asked;
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_base::{RequestId, Tenant, UnixTime};
use countersign_net::{
    Connection, DataRuntime, Drain, DrainTrigger, Drained, FramingFault, Limits, Listener,
    Listeners, Transport,
};
use countersign_policy::{Permitted, decide};
use countersign_store::{Durability, Recorded};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use places::Places;
use request::{Arrived, Payload};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tail::Tail;

/// The door that records name.
const SURFACE: Code = Code::of("egress");

/// What is one a process: rules, and who has how many tunnels.
pub struct Egress<P> {
    planes: Arc<P>,
    rules: ArcSwap<EgressRules>,
    places: Arc<Places>,
    /// What this proxy calls itself in `Via`: another process has another name, so that only a loop shows it twice.
    pseudonym: String,
    id_prefix: [u8; 8],
    id_next: AtomicU64,
}

/// What became of a request.
type Outcome = Result<Response<EgressBody>, Refused>;

/// A request that ended early.
struct Refused {
    refusal: EgressRefusal,
    /// Whether the log has it already, as a denial or as the outcome of a permit.
    recorded: bool,
}

impl Refused {
    const fn seen(&self) -> Seen {
        if matches!(self.refusal, EgressRefusal::Policy(_)) {
            Seen::Denied
        } else if self.recorded {
            // What was permitted and then failed has an outcome.
            Seen::Permitted
        } else {
            Seen::Refused
        }
    }
}

impl From<EgressRefusal> for Refused {
    fn from(refusal: EgressRefusal) -> Self {
        Self {
            refusal,
            recorded: false,
        }
    }
}

/// What the steps of one request share.
struct Flow<'a, P> {
    egress: &'a Arc<Egress<P>>,
    rules: Arc<EgressRules>,
    connection: &'a Arc<Connection>,
    id: RequestId,
    now: UnixTime,
    started: Instant,
    /// Known from the first step on.
    asked: Option<Asked>,
    /// Known from the second step on.
    who: Option<(Tenant, countersign_base::ClientId)>,
}

impl<P: Planes> Egress<P> {
    /// A proxy with these rules.
    #[must_use]
    pub fn new(planes: Arc<P>, rules: EgressRules) -> Arc<Self> {
        let id_prefix: [u8; 8] = planes.random().bytes();
        let name: String = planes
            .random()
            .bytes::<6>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Arc::new(Self {
            planes,
            rules: ArcSwap::from_pointee(rules),
            places: Arc::default(),
            pseudonym: format!("countersign-{name}"),
            id_prefix,
            id_next: AtomicU64::new(0),
        })
    }

    /// Puts other rules in place. What they no longer allow ends: tunnels and answers under way are judged by them within a second.
    pub fn replace_rules(&self, rules: EgressRules) {
        self.rules.store(Arc::new(rules));
    }

    fn next_request_id(&self) -> RequestId {
        let mut bytes = [0; 16];
        let (prefix, count) = bytes.split_at_mut(8);
        prefix.copy_from_slice(&self.id_prefix);
        count.copy_from_slice(&self.id_next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        RequestId::from_bytes(bytes)
    }

    /// Serves one listening socket on the runtime that calls this until `drain`, and then until its tunnels have ended.
    ///
    /// # Errors
    /// When the runtime can't take the socket.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        options: EgressOptions,
        drain: Drain,
    ) -> io::Result<()> {
        let make = move |connection: &Arc<Connection>| {
            let (told, from) = (Arc::clone(&self), connection.remote.ip());
            connection
                .framing
                .tell(move |fault| told.unframed(from, fault));
            let (egress, connection) = (Arc::clone(&self), Arc::clone(connection));
            service_fn(move |request| {
                let (egress, connection) = (Arc::clone(&egress), Arc::clone(&connection));
                async move { Ok::<_, Infallible>(answer(&egress, &connection, request).await) }
            })
        };
        countersign_net::serve(listener, options.transport, options.limits, make, drain).await
    }

    /// Starts one thread a listening socket, each with its own runtime.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn start(
        self: Arc<Self>,
        listeners: Listeners,
        options: EgressOptions,
    ) -> io::Result<RunningEgress> {
        let address = listeners.address();
        let (trigger, drain) = Drain::new();
        let sockets = listeners.into_sockets().into_iter();
        let work: Vec<(Listener, Drain)> = sockets.map(|socket| (socket, drain.clone())).collect();
        drop(drain);
        let runtime = DataRuntime::start("egress", work, move |_core, (listener, drain)| {
            let (egress, options) = (Arc::clone(&self), options.clone());
            async move {
                if egress.serve(listener, options, drain).await.is_err() {
                    tracing::error!("a listening socket of the egress proxy could not be served");
                }
            }
        })?;
        Ok(RunningEgress {
            address,
            trigger,
            runtime,
        })
    }

    /// Records that a connection's bytes could not be framed.
    fn unframed(&self, from: IpAddr, fault: FramingFault) {
        let decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(fault.code()));
        self.record_refusal(
            from,
            &Tenant::default_tenant(),
            self.next_request_id(),
            decision,
        );
    }

    fn record_refusal(
        &self,
        from: IpAddr,
        tenant: &Tenant,
        id: RequestId,
        decision: event::Decision,
    ) {
        let recorder = self.planes.recorder();
        if recorder.refused(from, tenant, Some(id), decision).is_err() {
            tracing::error!("a refusal could not be recorded");
        }
    }
}

/// What the listener of the proxy needs.
#[derive(Clone)]
pub struct EgressOptions {
    /// Plain text on loopback alone; TLS (HTTP/1.1) anywhere else.
    pub transport: Transport,
    /// Limits of its connections.
    pub limits: Limits,
}

/// A proxy with its threads.
pub struct RunningEgress {
    address: SocketAddr,
    trigger: DrainTrigger,
    runtime: DataRuntime,
}

impl RunningEgress {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets requests and tunnels under way finish up to `deadline`, closes the rest and ends the threads.
    pub async fn stop(self, deadline: Duration) -> Drained {
        let drained = self.trigger.drain(deadline).await;
        self.runtime.ended().await;
        drained
    }
}

/// Answers one request.
async fn answer<P: Planes>(
    egress: &Arc<Egress<P>>,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Response<EgressBody> {
    let method = request.method().clone();
    let mut flow = Flow {
        egress,
        rules: egress.rules.load_full(),
        connection,
        id: egress.next_request_id(),
        now: egress.planes.clock().now(),
        started: Instant::now(),
        asked: None,
        who: None,
    };
    let (response, seen) = match flow.run(request).await {
        Ok(response) => (response, Seen::Permitted),
        Err(refused) => {
            if !refused.recorded {
                flow.record(&refused.refusal);
            }
            (refused.refusal.answer(flow.id, &method), refused.seen())
        }
    };
    egress.planes.observe_egress(seen, response.status());
    response
}

impl<P: Planes> Flow<'_, P> {
    async fn run(&mut self, mut request: Request<Incoming>) -> Outcome {
        let upgrade = hyper::upgrade::on(&mut request);
        let (mut head, body) = request.into_parts();
        asked::not_in_a_loop(&head.headers, &self.egress.pseudonym)?;
        let asked = Asked::of(&head.method, &head.uri, head.version, &head.headers)?;
        let asked = self.asked.insert(asked).clone();
        let workload = who::authenticate(
            &*self.egress.planes,
            &self.rules,
            self.connection,
            &mut head.headers,
            self.now,
        )
        .await?;
        self.who = Some((workload.tenant().clone(), workload.client().clone()));
        let listed = self.rules.find(&workload, &asked)?;
        let places = Arc::clone(&self.egress.places);
        let place = places.take(
            workload.tenant(),
            workload.client(),
            self.rules.limits().per_workload,
        )?;
        let judged = outward::judge(&self.rules, listed.destination()).await?;
        let payload = if listed.is_tunnel() {
            Payload::tunnel(upgrade)
        } else {
            Payload::request(head, body, self.rules.limits())
        };
        let arrived = Arrived {
            id: self.id,
            from: self.connection.remote.ip(),
            at: self.now,
            asked,
        };
        let request = EgressRequest::new(arrived, workload, listed, judged, payload);
        let recorded = self.permit(request).await?;
        let tail = Tail::of(
            self.egress.planes.recorder().clone(),
            &recorded,
            self.started,
            place,
        );
        self.pass_on(recorded, tail).await
    }

    /// Whether they may, and the record of it.
    async fn permit(
        &self,
        request: EgressRequest,
    ) -> Result<Recorded<Permitted<EgressRequest>>, Refused> {
        let planes = &self.egress.planes;
        match decide(&planes.policies(), request) {
            Ok(permitted) => {
                let recorded = planes
                    .recorder()
                    .record(permitted, Durability::Queued)
                    .await;
                Ok(recorded.map_err(|_| EgressRefusal::Record)?)
            }
            Err(denied) => {
                let refusal = EgressRefusal::Policy(denied.reason().as_str());
                let recorded = planes.recorder().record_denied(denied);
                Err(match recorded {
                    Ok(_recorded) => Refused {
                        refusal,
                        recorded: true,
                    },
                    Err(_) => EgressRefusal::Record.into(),
                })
            }
        }
    }

    async fn pass_on(
        &self,
        recorded: Recorded<Permitted<EgressRequest>>,
        mut tail: Tail,
    ) -> Outcome {
        let passed = if recorded.decision().target().listed().is_tunnel() {
            outward::open_tunnel(self, recorded, &mut tail)
                .await
                .and_then(|tunnel| {
                    // Told before the answer: what follows on this connection is not HTTP.
                    let hold = self.connection.framing.hand_over();
                    let hold = hold.ok_or(EgressRefusal::Content)?;
                    tunnel.begin(hold, tail.take());
                    Ok(answer::established())
                })
        } else {
            outward::exchange(self, recorded, &mut tail).await
        };
        passed.map_err(|refusal| {
            tail.failed(refusal.status(), refusal.code());
            Refused {
                refusal,
                recorded: true,
            }
        })
    }

    /// Records a refusal that is not in the log yet.
    fn record(&self, refusal: &EgressRefusal) {
        let mut decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(refusal.code()));
        decision.action = Text::of(request::ACTION);
        if let Some(asked) = &self.asked {
            decision.resource = Text::of(&asked.destination().to_string());
        }
        let tenant = match &self.who {
            Some((tenant, client)) => {
                decision.client = Some(client.clone());
                tenant.clone()
            }
            None => Tenant::default_tenant(),
        };
        let from = self.connection.remote.ip();
        self.egress.record_refusal(from, &tenant, self.id, decision);
    }
}
