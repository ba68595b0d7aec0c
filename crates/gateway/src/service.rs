//! The gateway as a running thing: what is one a process, what is one a core, and what changes when routes are reloaded.

use crate::attributes::Sources;
use crate::exchange::Exchanges;
use crate::idempotency::Keys;
use crate::limiter::{Limiter, Moment};
use crate::pipeline::{answer, unframed};
use crate::planes::Planes;
use crate::routes::Routes;
use crate::upstream::{Gate, SharedUpstreams, Upstreams};
use crate::verdicts::Verdicts;
use arc_swap::ArcSwap;
use countersign_base::{RequestId, UnixTime};
use countersign_net::{
    DataRuntime, Drain, DrainTrigger, Drained, HttpClient, Limits, Listener, Listeners, ServerTls,
    Transport,
};
use hyper::service::service_fn;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is one a process: routes, verdicts, limits. Cores share it.
pub struct Gateway<P> {
    planes: Arc<P>,
    routes: ArcSwap<Shared>,
    verdicts: Verdicts,
    limiter: Limiter,
    keys: Arc<Keys>,
    epoch: Instant,
    /// Whether a core makes the health checks already.
    checked: AtomicBool,
    /// Changes with the routes.
    reloads: watch::Sender<()>,
}

/// One set of routes and what belongs to it.
struct Shared {
    routes: Routes,
    exchanges: Exchanges,
    sources: Sources,
    upstreams: SharedUpstreams,
    /// The places of each route, in their order.
    gates: Vec<Option<Arc<Gate>>>,
}

impl Shared {
    /// What is known of upstreams and places that were there `before` stays.
    fn new(routes: Routes, before: Option<&Self>) -> Self {
        let gates = routes.routes().iter().map(|route| {
            let spec = route.concurrency?;
            let same = before.and_then(|before| {
                let mut earlier = before.routes.routes().iter();
                let number = earlier.find(|earlier| earlier.id == route.id)?.number;
                let gate = before.gates.get(usize::try_from(number).ok()?)?.clone()?;
                (gate.spec == spec).then_some(gate)
            });
            Some(same.unwrap_or_else(|| Gate::new(spec)))
        });
        Self {
            gates: gates.collect(),
            upstreams: SharedUpstreams::new(
                routes.upstreams(),
                before.map(|before| &before.upstreams),
            ),
            sources: Sources::new(routes.sources(), routes.routes()),
            routes,
            exchanges: Exchanges::default(),
        }
    }
}

impl<P: Planes> Gateway<P> {
    /// A gateway with these routes.
    #[must_use]
    pub fn new(planes: Arc<P>, routes: Routes) -> Arc<Self> {
        Arc::new(Self {
            planes,
            routes: ArcSwap::from_pointee(Shared::new(routes, None)),
            verdicts: Verdicts::default(),
            limiter: Limiter::default(),
            keys: Arc::default(),
            epoch: Instant::now(),
            checked: AtomicBool::new(false),
            reloads: watch::Sender::new(()),
        })
    }

    pub(crate) fn planes(&self) -> &P {
        &self.planes
    }

    /// Looks at the routes of this moment.
    pub(crate) fn with_routes<T>(&self, look: impl FnOnce(&Routes) -> T) -> T {
        look(&self.routes.load().routes)
    }

    /// Puts other routes in place. Requests under way end under the routes they began with.
    pub fn replace_routes(&self, routes: Routes) {
        let before = self.routes.load_full();
        self.routes
            .store(Arc::new(Shared::new(routes, Some(&before))));
        self.reloads.send_replace(());
    }

    /// How many verified tokens are remembered from now on ([`crate::TOKENS_KEPT`] unless this is said); with 0 each is verified anew every time.
    pub fn remember_tokens(&self, tokens_max: usize) {
        self.verdicts.keep_at_most(tokens_max);
    }

    /// Makes the health checks of the routes' upstreams until `drain` begins.
    async fn check_health(self: Arc<Self>, mut drain: Drain) {
        let mut reloads = self.reloads.subscribe();
        loop {
            reloads.mark_unchanged();
            let mut checks = self.routes.load_full().upstreams.checks();
            loop {
                let next = checks.run_due().await;
                let pause = async {
                    match next {
                        Some(next) => tokio::time::sleep_until(next).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = drain.begun() => return,
                    changed = reloads.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = pause => {}
                }
            }
        }
    }

    /// Serves one listening socket on the runtime that calls this, which must be single-threaded or not share its pools, until `drain`.
    ///
    /// # Errors
    /// When the runtime can't take the socket.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        options: GatewayOptions,
        drain: Drain,
    ) -> io::Result<()> {
        if !self.checked.swap(true, Ordering::Relaxed) {
            tokio::spawn(Arc::clone(&self).check_health(drain.clone()));
        }
        let core = Arc::new(Core::new(self, options.limits.body_idle_timeout));
        let make = move |connection: &Arc<countersign_net::Connection>| {
            let (told, from) = (Arc::clone(&core), connection.remote.ip());
            connection
                .framing
                .tell(move |fault| unframed(&told, from, fault));
            let (core, connection) = (Arc::clone(&core), Arc::clone(connection));
            service_fn(move |request| {
                let (core, connection) = (Arc::clone(&core), Arc::clone(&connection));
                // In a box: the HTTP layer keeps room for one on each connection, also while nothing is asked on it.
                Box::pin(
                    async move { Ok::<_, Infallible>(answer(&core, &connection, request).await) },
                )
            })
        };
        countersign_net::serve(
            listener,
            Transport::Tls(options.tls),
            options.limits,
            make,
            drain,
        )
        .await
    }

    /// Starts one thread a listening socket, each with its own runtime and pools.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn start(
        self: Arc<Self>,
        listeners: Listeners,
        options: GatewayOptions,
    ) -> io::Result<RunningGateway> {
        let address = listeners.address();
        let (trigger, drain) = Drain::new();
        let work: Vec<(Listener, Drain)> = listeners
            .into_sockets()
            .into_iter()
            .map(|socket| (socket, drain.clone()))
            .collect();
        drop(drain);
        let runtime = DataRuntime::start("gateway", work, move |_core, (listener, drain)| {
            let (gateway, options) = (Arc::clone(&self), options.clone());
            async move {
                if gateway.serve(listener, options, drain).await.is_err() {
                    tracing::error!("a listening socket of the gateway could not be served");
                }
            }
        })?;
        Ok(RunningGateway {
            address,
            trigger,
            runtime,
        })
    }
}

/// What the listener of a gateway needs.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Its certificate, and whether clients may show theirs.
    pub tls: ServerTls,
    /// Limits of its connections.
    pub limits: Limits,
}

/// A gateway with its threads.
pub struct RunningGateway {
    address: SocketAddr,
    trigger: DrainTrigger,
    runtime: DataRuntime,
}

impl RunningGateway {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets requests under way finish up to `deadline`, and ends the threads.
    pub async fn stop(self, deadline: Duration) -> Drained {
        let drained = self.trigger.drain(deadline).await;
        self.runtime.ended().await;
        drained
    }
}

/// What is one a core.
pub(crate) struct Core<P> {
    gateway: Arc<Gateway<P>>,
    current: ArcSwap<Generation>,
    body_idle_timeout: Duration,
    id_prefix: [u8; 8],
    id_next: AtomicU64,
}

/// Routes with this core's own pools for them.
pub(crate) struct Generation {
    shared: Arc<Shared>,
    pub(crate) upstreams: Upstreams,
    /// One a source of attributes.
    pub(crate) attribute_clients: Vec<HttpClient>,
}

impl<P: Planes> Core<P> {
    fn new(gateway: Arc<Gateway<P>>, body_idle_timeout: Duration) -> Self {
        let current = ArcSwap::from_pointee(Generation::of(gateway.routes.load_full()));
        let id_prefix = gateway.planes.random().bytes();
        Self {
            gateway,
            current,
            body_idle_timeout,
            id_prefix,
            id_next: AtomicU64::new(0),
        }
    }

    /// The routes of this moment with this core's pools. After a reload the first request makes new pools; the old ones end with the
    /// requests that use them.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        let current = self.current.load_full();
        let newest = self.gateway.routes.load();
        if Arc::ptr_eq(&current.shared, &newest) {
            return current;
        }
        let made = Arc::new(Generation::of(Arc::clone(&newest)));
        self.current.store(Arc::clone(&made));
        made
    }

    /// An id that no other request of this or another start has: eight random bytes of this core, then a count.
    pub(crate) fn next_request_id(&self) -> RequestId {
        let mut bytes = [0; 16];
        let (prefix, count) = bytes.split_at_mut(8);
        prefix.copy_from_slice(&self.id_prefix);
        count.copy_from_slice(&self.id_next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        RequestId::from_bytes(bytes)
    }

    pub(crate) const fn gateway(&self) -> &Arc<Gateway<P>> {
        &self.gateway
    }

    pub(crate) fn planes(&self) -> &P {
        &self.gateway.planes
    }

    pub(crate) fn verdicts(&self) -> &Verdicts {
        &self.gateway.verdicts
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.gateway.limiter
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.gateway.keys
    }

    pub(crate) const fn body_idle_timeout(&self) -> Duration {
        self.body_idle_timeout
    }

    /// Both times for limiters: nanoseconds since the gateway was made, and the calendar's.
    pub(crate) fn moment(&self, now: UnixTime) -> Moment {
        Moment {
            steady: self.steady(),
            wall: now,
        }
    }

    /// Nanoseconds since the gateway was made.
    pub(crate) fn steady(&self) -> u64 {
        u64::try_from(self.gateway.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Generation {
    fn of(shared: Arc<Shared>) -> Self {
        let upstreams = Upstreams::sharing(&shared.upstreams);
        let attribute_clients = shared.sources.clients();
        Self {
            shared,
            upstreams,
            attribute_clients,
        }
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.shared.routes
    }

    /// The places of a route.
    pub(crate) fn gate(&self, route: u32) -> Option<&Arc<Gate>> {
        let position = usize::try_from(route).ok()?;
        self.shared.gates.get(position)?.as_ref()
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.shared.sources
    }

    pub(crate) fn exchanges(&self) -> &Exchanges {
        &self.shared.exchanges
    }
}
