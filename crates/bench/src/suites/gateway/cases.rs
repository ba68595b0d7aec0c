//! The cases: which servers take part, and what is asked of them. What cannot be prepared is a row with the reason.

use super::World;
use super::callers::{Presented, browsers, everywhere, orders, questions, refuses_an_attack};
use super::lane::{Lane, Scripts};
use super::limits;
use super::ours::{Control, Firewall, Gateway, Ours, Samples, Setup, Verdicts, mixed};
use super::policies::Policies;
use crate::Failed;
use crate::peers::{CERBOS, ENVOY, Foreign, HAPROXY, MODSECURITY, NGINX, Remembers, Trusted};
use crate::running::Running;
use std::pin::Pin;
use std::sync::Arc;

/// The rows of one or more cases that are measured in turn.
pub(super) type Prepared<'a> = Pin<Box<dyn Future<Output = Vec<Lane>> + 'a>>;

/// What is measured together.
pub(super) struct Group {
    /// The cases that it makes rows of.
    pub(super) cases: &'static [&'static str],
    pub(super) prepare: for<'a> fn(&'a World<'a>) -> Prepared<'a>,
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        cases: &["plain"],
        prepare: |world| Box::pin(plain(world)),
    },
    Group {
        cases: &["jwt-es256-mixed"],
        prepare: |world| Box::pin(mixed_tokens(world, "jwt-es256-mixed", Setup::USUAL)),
    },
    Group {
        cases: &["jwt-es256-uncached"],
        prepare: |world| Box::pin(uncached(world)),
    },
    Group {
        cases: &["jwt-rs256-mixed"],
        prepare: |world| Box::pin(mixed_tokens(world, "jwt-rs256-mixed", RS256)),
    },
    Group {
        cases: &["dpop", "dpop-bare"],
        prepare: |world| Box::pin(proofs(world)),
    },
    Group {
        cases: &["policies-20", "policies-1000"],
        prepare: |world| Box::pin(policies(world)),
    },
    Group {
        cases: &["routes-10000"],
        prepare: |world| Box::pin(routes(world)),
    },
    Group {
        cases: &["waf"],
        prepare: |world| Box::pin(firewalls(world)),
    },
    Group {
        cases: &["authzen"],
        prepare: |world| Box::pin(decisions(world)),
    },
];

const RS256: Setup = Setup {
    algorithm: "RS256",
    ..Setup::USUAL
};
const UNCACHED: Setup = Setup {
    verdicts: Verdicts::NotKept,
    ..Setup::USUAL
};
/// The route's scope is all that policy asks for.
const BARE: Setup = Setup {
    policies: None,
    ..Setup::USUAL
};
/// Beside the route that is asked for stands one for what is open to anyone.
const MORE_ROUTES: Setup = Setup {
    more_routes: 9_998,
    ..Setup::USUAL
};
const TEN_ROUTES: Setup = Setup {
    more_routes: 8,
    variant: "countersign (10 routes)",
    ..Setup::USUAL
};
const MANY_POLICIES: Setup = Setup {
    policies: Some(Policies::MANY),
    ..Setup::USUAL
};
const FIREWALL: Setup = Setup {
    firewall: Firewall::Blocking,
    ..Setup::USUAL
};
const DECISIONS: Setup = Setup {
    policies: Some(Policies::ASKED),
    ..Setup::USUAL
};

const OURS: &str = "countersign";
/// Where orders are at every gateway; ours has a route for it.
const ORDERS: &str = "/regions/eu";
/// The same for who shows no token.
pub(super) const OPEN: &str = "/plain";
/// Something that is there, to see with whether a token is checked.
const SAMPLE: &str = "/regions/eu/orders/1";

async fn plain(world: &World<'_>) -> Vec<Lane> {
    let case = "plain";
    let (peers, upstream) = (&world.subjects.peers, world.upstream.address);
    let nothing = || orders(OPEN, "", everywhere(&Presented::Nothing));
    let ours = async {
        let ours = Gateway(Ours::start(world, Setup::USUAL).await?);
        Ok(Lane::requests(case, Arc::new(ours), nothing()))
    };
    let mut lanes = vec![Lane::of(case, OURS, ours.await)];
    for (name, started) in [
        (HAPROXY, Foreign::haproxy(peers, upstream, None).await),
        (NGINX, Foreign::nginx(peers, upstream).await),
        (ENVOY, Foreign::envoy(peers, upstream, None).await),
    ] {
        let lane = started.map(|peer| Lane::requests(case, Arc::new(peer), nothing()));
        lanes.push(Lane::of(case, name, lane));
    }
    lanes
}

/// Our server with tokens for all who take part.
struct Issued {
    ours: Arc<Ours>,
    tokens: Arc<Vec<String>>,
    samples: Samples,
    trusted: Trusted,
}

impl Issued {
    async fn start(world: &World<'_>, setup: Setup) -> Result<Self, Failed> {
        let ours = Ours::start(world, setup).await?;
        let samples = ours.samples().await?;
        Ok(Self {
            tokens: ours.tokens(world).await?,
            trusted: ours.trusted(&samples).await?,
            samples,
            ours,
        })
    }

    /// A row of a server that is seen to check tokens.
    async fn lane(
        &self,
        world: &World<'_>,
        case: &'static str,
        running: Result<Arc<dyn Running>, Failed>,
    ) -> Result<Lane, Failed> {
        let running = running?;
        self.samples.try_on(running.as_ref(), SAMPLE).await?;
        Ok(Lane::requests(case, running, self.scripts(world)?))
    }

    fn scripts(&self, world: &World<'_>) -> Result<Scripts, Failed> {
        let presented = everywhere(&mixed(world, &self.tokens)?);
        Ok(orders(ORDERS, self.ours.origin(), presented))
    }

    fn gateway(&self) -> Arc<dyn Running> {
        Arc::new(Gateway(Arc::clone(&self.ours)))
    }

    async fn haproxy(&self, world: &World<'_>, case: &'static str) -> Lane {
        let (peers, upstream) = (&world.subjects.peers, world.upstream.address);
        let peer = Foreign::haproxy(peers, upstream, Some(&self.trusted)).await;
        let lane = self.lane(world, case, peer.map(shared)).await;
        Lane::of(case, HAPROXY, lane)
    }

    async fn envoy(&self, world: &World<'_>, case: &'static str, remembers: Remembers) -> Lane {
        let (peers, upstream) = (&world.subjects.peers, world.upstream.address);
        let trusted = Some((&self.trusted, remembers));
        let peer = Foreign::envoy(peers, upstream, trusted).await;
        let lane = self.lane(world, case, peer.map(shared)).await;
        Lane::of(case, remembers.subject(), lane)
    }
}

fn shared(peer: Foreign) -> Arc<dyn Running> {
    Arc::new(peer)
}

/// Rows that are empty because our own server, which makes the tokens, did not start.
fn all_absent(case: &'static str, subjects: &[&str], problem: &Failed) -> Vec<Lane> {
    let lanes = subjects
        .iter()
        .map(|name| Lane::absent(case, name, problem));
    lanes.collect()
}

async fn mixed_tokens(world: &World<'_>, case: &'static str, setup: Setup) -> Vec<Lane> {
    let issued = match Issued::start(world, setup).await {
        Ok(issued) => issued,
        Err(problem) => {
            let subjects = [OURS, HAPROXY, Remembers::Tokens.subject()];
            return all_absent(case, &subjects, &problem);
        }
    };
    let ours = issued.lane(world, case, Ok(issued.gateway())).await;
    vec![
        Lane::of(case, OURS, ours),
        issued.haproxy(world, case).await,
        issued.envoy(world, case, Remembers::Tokens).await,
    ]
}

async fn uncached(world: &World<'_>) -> Vec<Lane> {
    let case = "jwt-es256-uncached";
    let issued = match Issued::start(world, UNCACHED).await {
        Ok(issued) => issued,
        Err(problem) => return all_absent(case, &[OURS, HAPROXY, ENVOY], &problem),
    };
    let ours = issued.lane(world, case, Ok(issued.gateway())).await;
    vec![
        Lane::of(case, OURS, ours),
        issued.haproxy(world, case).await,
        issued.envoy(world, case, Remembers::Nothing).await,
        Lane::limit(case, limits::token),
    ]
}

async fn proofs(world: &World<'_>) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for (case, setup) in [("dpop", Setup::USUAL), ("dpop-bare", BARE)] {
        let ours = async {
            let ours = Ours::start(world, setup).await?;
            let scripts = orders(ORDERS, ours.origin(), ours.bound().await?);
            Ok(Lane::requests(case, Arc::new(Gateway(ours)), scripts))
        };
        lanes.push(Lane::of(case, OURS, ours.await));
        lanes.push(Lane::limit(case, limits::proof));
    }
    lanes
}

/// Our server alone, with the mix of tokens.
async fn alone(world: &World<'_>, case: &'static str, setup: Setup) -> Lane {
    let lane = async {
        let issued = Issued::start(world, setup).await?;
        let gateway = Ok(issued.gateway());
        issued.lane(world, case, gateway).await
    };
    Lane::of(case, setup.variant, lane.await)
}

async fn policies(world: &World<'_>) -> Vec<Lane> {
    let mut few = alone(world, "policies-20", Setup::USUAL).await;
    let many = alone(world, "policies-1000", MANY_POLICIES).await;
    // Beside a thousand stand twenty, of the same runs.
    few.also = Some(("policies-1000", "countersign (20 policies)"));
    vec![few, many]
}

async fn routes(world: &World<'_>) -> Vec<Lane> {
    let case = "routes-10000";
    vec![
        alone(world, case, MORE_ROUTES).await,
        alone(world, case, TEN_ROUTES).await,
    ]
}

async fn firewalls(world: &World<'_>) -> Vec<Lane> {
    let case = "waf";
    let (peers, upstream) = (&world.subjects.peers, world.upstream.address);
    let ours = Ours::start(world, FIREWALL).await;
    let ours = ours.map(|ours| -> Arc<dyn Running> { Arc::new(Gateway(ours)) });
    let peer = Foreign::modsecurity(peers, upstream).await.map(shared);
    let mut lanes = Vec::new();
    for (name, started) in [(OURS, ours), (MODSECURITY, peer)] {
        let lane = async {
            let running = started?;
            refuses_an_attack(running.as_ref(), OPEN).await?;
            Ok(Lane::requests(case, running, browsers(OPEN)))
        };
        lanes.push(Lane::of(case, name, lane.await));
    }
    lanes
}

async fn decisions(world: &World<'_>) -> Vec<Lane> {
    let case = "authzen";
    let ours = async {
        let ours = Ours::start(world, DECISIONS).await?;
        let token = ours.asking().await?;
        let control = Arc::new(Control(ours));
        Ok(Lane::requests(case, control, questions(Some(&token))))
    };
    let ours = Lane::of(case, OURS, ours.await);
    let peer = Foreign::cerbos(&world.subjects.peers, &Policies::ASKED.cerbos()).await;
    let peer = peer.map(|peer| Lane::requests(case, shared(peer), questions(None)));
    vec![ours, Lane::of(case, CERBOS, peer)]
}
