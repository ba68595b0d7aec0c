//! What a tunnel, or an answer under way, stands on.
//!
//! Once a second it is asked again: is the token alive and not revoked, the key or certificate configured still, the destination listed and its addresses ones that may be reached, the
//! policy of the same opinion. What ends it stands in the log.

use super::Egress;
use super::answer::EgressRefusal;
use super::request::{self, Arrived, EgressRequest};
use super::rules::{EgressRules, Listed};
use super::who::{StillStands, Workload};
use crate::planes::Planes;
use countersign_net::Judged;
use countersign_policy::{PolicySet, Query, Target, decide};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is asked again.
pub(super) const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How often policies are asked though they did not change: some speak of the time.
const DECIDED_EVERY: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Standing<P> {
    egress: Arc<Egress<P>>,
    rules: Arc<EgressRules>,
    policies: Option<Arc<PolicySet>>,
    /// When they were asked.
    decided: Instant,
    arrived: Arrived,
    workload: Workload,
    listed: Listed,
    judged: Judged,
}

/// Asked of the policies of now.
struct Again(Query);

impl Target for Again {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

impl<P: Planes> Standing<P> {
    /// What was decided about `request` under `rules`.
    pub(super) fn of(
        egress: &Arc<Egress<P>>,
        rules: &Arc<EgressRules>,
        request: EgressRequest,
    ) -> Self {
        let (arrived, workload, listed, judged) = request.into_parts();
        Self {
            egress: Arc::clone(egress),
            rules: Arc::clone(rules),
            policies: None,
            decided: Instant::now(),
            arrived,
            workload,
            listed,
            judged,
        }
    }

    /// The rules that it was last judged by.
    pub(super) fn rules(&self) -> &EgressRules {
        &self.rules
    }

    /// Returns when what it stands on is withdrawn, and says why.
    pub(super) async fn withdrawn(mut self) -> &'static str {
        loop {
            tokio::time::sleep(ASKED_EVERY).await;
            if let Err(reason) = self.ask_again() {
                return reason;
            }
        }
    }

    fn ask_again(&mut self) -> Result<StillStands, &'static str> {
        let planes = &self.egress.planes;
        let now = planes.clock().now();
        let rules = self.egress.rules.load_full();
        let stands = self.workload.standing(&**planes, &rules, now)?;
        let reloaded = !Arc::ptr_eq(&rules, &self.rules);
        if reloaded {
            self.listed = rules
                .find(&self.workload, &self.arrived.asked)
                .map_err(|refusal| refusal.code())?;
            // The addresses of the connection, not those that the name has by now.
            self.judged = rules
                .policy()
                .judge_again(self.listed.destination(), &self.judged)
                .map_err(|error| EgressRefusal::Address(error).code())?;
            self.rules = rules;
        }
        let policies = planes.policies();
        let same = self
            .policies
            .as_ref()
            .is_some_and(|earlier| Arc::ptr_eq(earlier, &policies));
        if reloaded || !same || self.decided.elapsed() >= DECIDED_EVERY {
            let mut query = request::query(&self.arrived, &self.workload, &self.listed);
            query.context.insert("time".to_owned(), now.0.into());
            let _permitted =
                decide(&policies, Again(query)).map_err(|denied| denied.reason().as_str())?;
            self.policies = Some(policies);
            self.decided = Instant::now();
        }
        Ok(stands)
    }
}
