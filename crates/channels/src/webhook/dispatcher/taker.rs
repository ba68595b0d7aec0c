//! Takes what is due: looks for endpoints that something waits for, asks whose turn it is, takes as much as each has room for, and lets the attempts run.
//!
//! Endpoints that had more than they had room for are remembered as hungry, so that they are served without another look; who asks too early is left out and found again by a look. So
//! are those that have no room, where many are remembered already: endpoints whose tenant has its share, or that failed, never take the places of those that could be served. What
//! is in memory is bounded by what is under way and by the hungry, whatever waits.

use super::attempt::{Done, Held, attempt};
use super::endpoints::{Endpoint, Endpoints, Known};
use super::pace::Room;
use super::settling::Settled;
use super::turns::{Share, Turns};
use super::{Context, LEASE};
use countersign_base::{UnixMillis, UnixTime};
use countersign_store::webhooks::Lane;
use countersign_store::{Lease, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Endpoints that one look goes through.
const LOOK: u16 = 256;
/// Looks in a row, before what is there is served.
const LOOKS_IN_A_ROW: usize = 8;
/// Endpoints that are remembered as hungry though they have no room now, for each attempt that may be under way.
const HUNGRY_EACH: usize = 4;
/// Endpoints that one unit takes for.
const ENDPOINTS_TOGETHER: usize = 128;
/// How often it is looked at the least: for what other processes made due, and for retries.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked at the most.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// How long nothing is asked of a store that failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Taker {
    cx: Arc<Context>,
    turns: Turns<Lane>,
    endpoints: Endpoints,
    hungry: Hungry,
    /// Where the next look begins.
    after: Option<Lane>,
    look: Look,
    looked: Instant,
    done: mpsc::Sender<Done>,
    attempts: JoinSet<()>,
}

/// Whether there may be something that was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At the latest then.
    By(Instant),
    /// As soon as there may be.
    Soon,
}

/// Endpoints that have more than they had room for, each once, in the order of their turns.
struct Hungry {
    order: VecDeque<Lane>,
    known: HashSet<Lane>,
    /// Past it nobody is added who has no room now; past twice as many, nobody.
    max: usize,
}

impl Hungry {
    fn new(max: usize) -> Self {
        Self {
            order: VecDeque::new(),
            known: HashSet::new(),
            max,
        }
    }

    /// Adds an endpoint that a look found. One that is not added is found by the next.
    fn offer(&mut self, lane: Lane, barred: Option<Room>) {
        let max = match barred {
            None => self.max.saturating_mul(2),
            Some(_) => self.max,
        };
        if self.len() < max {
            self.push(lane);
        }
    }

    fn push(&mut self, lane: Lane) {
        if self.known.insert(lane.clone()) {
            self.order.push_back(lane);
        }
    }

    fn pop(&mut self) -> Option<Lane> {
        let lane = self.order.pop_front()?;
        self.known.remove(&lane);
        Some(lane)
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= self.max
    }
}

/// Endpoints whose turn it is, and how much is taken for each.
#[derive(Default)]
struct Chosen {
    lanes: Vec<(Lane, u16)>,
    endpoints: HashMap<Lane, Arc<Endpoint>>,
}

impl Taker {
    pub(super) fn new(
        cx: Arc<Context>,
        endpoints: Endpoints,
        share: Share,
        done: mpsc::Sender<Done>,
    ) -> Self {
        Self {
            cx,
            turns: Turns::new(share),
            endpoints,
            hungry: Hungry::new(share.all.saturating_mul(HUNGRY_EACH)),
            after: None,
            look: Look::Soon,
            looked: Instant::now(),
            done,
            attempts: JoinSet::new(),
        }
    }

    /// Takes what there is room for; when there may be more at the latest.
    pub(super) async fn take(&mut self) -> Instant {
        while self.attempts.try_join_next().is_some() {}
        let taken = match self.look().await {
            Ok(()) => self.serve().await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::warn!(event = "webhooks_not_taken", %error);
            self.look_by(Instant::now() + STORE_PAUSE);
            return Instant::now() + STORE_PAUSE;
        }
        match self.look {
            Look::Soon => self.looked + LOOK_PAUSE,
            Look::By(time) => time.max(self.looked + LOOK_PAUSE),
        }
    }

    /// Something may be due that was not.
    pub(super) fn woken(&mut self) {
        self.look = Look::Soon;
    }

    /// Attempts were settled.
    pub(super) fn settled(&mut self, settled: Settled) {
        let now = self.cx.fabric.clock().millis();
        for (lane, ended) in settled {
            self.turns.ended(&lane, &lane.tenant, ended, now);
            // There may be another of its key by now.
            if let Known::Served(endpoint) = self.endpoints.known(&lane)
                && endpoint.is_ordered()
            {
                self.hungry.push(lane);
            }
        }
    }

    /// How many attempts are under way.
    pub(super) const fn under_way(&self) -> usize {
        self.turns.under_way()
    }

    /// Ends what is under way; what was not settled is delivered again.
    pub(super) async fn abort(mut self) {
        self.attempts.shutdown().await;
    }

    fn look_by(&mut self, time: Instant) {
        self.look = match self.look {
            Look::Soon => Look::Soon,
            Look::By(before) => Look::By(before.min(time)),
        };
    }

    /// Looks for endpoints that have something due, if it is time to.
    async fn look(&mut self) -> Result<(), StoreError> {
        let due = match self.look {
            Look::Soon => self.looked + LOOK_PAUSE,
            Look::By(time) => time.max(self.looked + LOOK_PAUSE),
        };
        if Instant::now() < due {
            return Ok(());
        }
        let now = self.cx.fabric.now();
        let mut by = Instant::now() + LOOK_EVERY;
        for _ in 0..LOOKS_IN_A_ROW {
            // Nobody could be served, and there is no place for more who wait for it.
            if self.turns.free() == 0 && self.hungry.is_full() {
                break;
            }
            let after = self.after.take();
            let lanes = self
                .cx
                .fabric
                .store()
                .webhook_lanes(after, LOOK, now)
                .await?;
            let at = self.cx.fabric.clock().millis();
            for lane in lanes.due {
                let barred = self.turns.barred(&lane, &lane.tenant, at);
                self.hungry.offer(lane, barred);
            }
            if let Some(next) = lanes.next_due {
                by = by.min(Instant::now() + until(next, now));
            }
            self.after = lanes.after;
            if self.after.is_none() {
                break;
            }
        }
        self.looked = Instant::now();
        // Whoever was not looked at in this round is in the next one.
        self.look = match self.after {
            Some(_) => Look::Soon,
            None => Look::By(by),
        };
        Ok(())
    }

    /// Serves the hungry until nobody of them has room.
    async fn serve(&mut self) -> Result<(), StoreError> {
        let mut left = self.hungry.len();
        while left > 0 && self.turns.free() > 0 {
            let number = left.min(ENDPOINTS_TOGETHER);
            left -= number;
            let lanes = self.candidates(number);
            let chosen = match self.endpoints.refresh(&lanes).await {
                Ok(()) => self.choose(lanes),
                Err(error) => {
                    lanes.into_iter().for_each(|lane| self.hungry.push(lane));
                    return Err(error);
                }
            };
            if !chosen.lanes.is_empty() {
                left += self.claim(chosen).await?;
            }
        }
        Ok(())
    }

    /// The next of the hungry, but for those that have no room whatever they want: of them nothing is read.
    fn candidates(&mut self, number: usize) -> Vec<Lane> {
        let now = self.cx.fabric.clock().millis();
        let mut lanes = Vec::with_capacity(number);
        for _ in 0..number {
            let Some(lane) = self.hungry.pop() else {
                break;
            };
            match self.turns.barred(&lane, &lane.tenant, now) {
                None => lanes.push(lane),
                Some(room) => self.put_off(lane, room, now),
            }
        }
        lanes
    }

    /// Who has no room for want of turns stays hungry, as long as there is a place; who is too early is found by a look.
    fn put_off(&mut self, lane: Lane, room: Room, now: UnixMillis) {
        match room {
            Room::Full | Room::Now(_) => self.hungry.offer(lane, Some(room)),
            Room::NotBefore(time) => {
                let wait = u64::try_from(time.0.saturating_sub(now.0)).unwrap_or(0);
                self.look_by(Instant::now() + Duration::from_millis(wait));
            }
        }
    }

    /// Those of these that have room.
    fn choose(&mut self, lanes: Vec<Lane>) -> Chosen {
        let now = self.cx.fabric.clock().millis();
        let mut chosen = Chosen::default();
        for lane in lanes {
            let Known::Served(endpoint) = self.endpoints.known(&lane) else {
                continue;
            };
            let room = self.turns.room(&lane, &lane.tenant, endpoint.wants, now);
            match room {
                Room::Now(room) => {
                    self.turns.took(&lane, &lane.tenant, room, now);
                    chosen.endpoints.insert(lane.clone(), endpoint);
                    chosen.lanes.push((lane, room));
                }
                room @ (Room::Full | Room::NotBefore(_)) => self.put_off(lane, room, now),
            }
        }
        chosen
    }

    /// Takes what was chosen; how many endpoints may have more.
    async fn claim(&mut self, chosen: Chosen) -> Result<usize, StoreError> {
        let fabric = Arc::clone(&self.cx.fabric);
        let now = fabric.now();
        let lease = Lease {
            token: fabric.random().bytes(),
            until: now.plus(LEASE),
        };
        let lanes = chosen.lanes.clone();
        let claimed = fabric.store().claim_webhooks(lanes, lease, now).await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                for (lane, room) in chosen.lanes {
                    self.turns.gave_back(&lane, &lane.tenant, room);
                }
                return Err(error);
            }
        };
        let mut of_each: BTreeMap<&Lane, u16> = BTreeMap::new();
        for taken in &claimed {
            let number = of_each.entry(&taken.lane).or_default();
            *number = number.saturating_add(1);
        }
        let mut more = 0;
        for (lane, room) in &chosen.lanes {
            let taken = of_each.get(lane).copied().unwrap_or(0);
            self.turns
                .gave_back(lane, &lane.tenant, room.saturating_sub(taken));
            if taken >= *room {
                self.hungry.push(lane.clone());
                more += 1;
            }
        }
        for taken in claimed {
            if let Some(endpoint) = chosen.endpoints.get(&taken.lane) {
                let until = lease.until;
                self.begin(Arc::clone(endpoint), Held { taken, until });
            }
        }
        Ok(more)
    }

    fn begin(&mut self, endpoint: Arc<Endpoint>, held: Held) {
        let (cx, done) = (Arc::clone(&self.cx), self.done.clone());
        self.attempts.spawn(async move {
            let ended = attempt(&cx, &endpoint, held).await;
            // Nobody hears it when the dispatcher has stopped: it is delivered again.
            let _ = done.send(ended).await;
        });
    }
}

fn until(time: UnixTime, now: UnixTime) -> Duration {
    time.since(now).min(LOOK_EVERY)
}
