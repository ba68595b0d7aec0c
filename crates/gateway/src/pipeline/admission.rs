//! How often and how many at once: what a request must find before policy is asked.

use super::tail::Places;
use super::{Ended, Flow, Step};
use crate::answer::{Denial, LimitFields};
use crate::idempotency;
use crate::keyed;
use crate::limiter::{Caller as Counted, CountedBy, Known, RouteLimits, Verdict as Quotas};
use crate::planes::Planes;
use crate::request::{Caller, GatewayRequest};
use crate::routes::Route;
use crate::upstream::{Gate, Priority};
use countersign_authn::Subject;
use countersign_authn::access_token::Confirmation;
use countersign_net::Connection;
use countersign_policy::Permitted;
use countersign_store::Recorded;
use std::sync::Arc;
use std::time::Duration;

impl<P: Planes> Flow<'_, P> {
    /// How often: every limit of the route, or none is charged. A leaky bucket may make a request wait its turn here.
    pub(super) async fn within_limits(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        route: &Route,
    ) -> Step<()> {
        let Some(limits) = &route.limits else {
            self.places = self.take_places(caller, route)?;
            return Ok(());
        };
        let subject = caller.subject();
        let principal = subject.map(|subject| subject.principal().to_string());
        let known = subject.zip(principal.as_deref());
        let counted = Counted {
            route: route.id.as_str(),
            tenant: subject.map_or(&route.tenant, Subject::tenant).as_str(),
            known: known.map(|(subject, principal)| Known {
                client: subject.client().as_str(),
                issuer: subject.issuer().as_str(),
                subject: principal,
            }),
            // Anybody can make certificates: only one that the token is bound to, and so was shown, says who calls.
            certificate: match subject.map(Subject::binding) {
                Some(Some(Confirmation::Certificate(thumbprint))) => Some(*thumbprint.as_bytes()),
                Some(Some(Confirmation::Dpop(_)) | None) | None => None,
            },
            address: connection.remote.ip(),
        };
        self.places = self.take_places(caller, route)?;
        let delay = self.charge(limits, &counted).await?;
        if !delay.is_zero() {
            // Whoever waits its turn takes no place from those whose turn it is.
            self.places = Places::default();
            Box::pin(tokio::time::sleep(delay)).await;
            self.places = self.take_places(caller, route)?;
        }
        Ok(())
    }

    /// Charges a request to limits, and says how long it has to wait its turn.
    pub(super) async fn charge(
        &mut self,
        limits: &RouteLimits,
        counted: &Counted<'_>,
    ) -> Step<Duration> {
        let Some((limits, verdict)) = self.count(limits, counted).await? else {
            return Ok(Duration::ZERO);
        };
        let (quotas, admitted) = match verdict {
            Quotas::Admitted { quotas, delay } => (quotas, Ok(delay)),
            Quotas::Exceeded {
                quotas,
                retry_after_seconds,
            } => (
                quotas,
                Err(Denial::RateLimited {
                    retry_after_seconds,
                }),
            ),
            Quotas::Full => return Err(Denial::LimiterFull.into()),
        };
        self.limit = Some(LimitFields {
            policy: limits.policy_field(),
            left: limits.field(&quotas),
        });
        admitted.map_err(Box::<Ended>::from)
    }

    /// The verdict, with the limits that it speaks of; absent where the route is open while its shared counts are away.
    async fn count<'l>(
        &self,
        limits: &'l RouteLimits,
        counted: &Counted<'_>,
    ) -> Step<Option<(&'l RouteLimits, Quotas)>> {
        let (limiter, now) = (self.core.limiter(), self.core.moment(self.now));
        let Some(shared) = limits.shared() else {
            return Ok(Some((limits, limiter.take(limits, counted, now))));
        };
        let planes = self.core.planes();
        let taking = limiter.take_shared((limits, shared), planes.counters(), counted, now);
        let taken = Box::pin(taking).await;
        planes.limited(taken.how());
        match taken {
            CountedBy::Closed => Err(Denial::LimiterAway.into()),
            CountedBy::Nobody => Ok(None),
            CountedBy::Processes(verdict) => Ok(Some((limits, verdict))),
            CountedBy::Share(share, verdict) => Ok(Some((share, verdict))),
        }
    }

    /// What is known of its key. Who waited for another request takes places anew.
    pub(super) async fn known_yet(
        &mut self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
    ) -> Result<keyed::Key, Denial> {
        let known = keyed::known_yet(self.core, recorded, &mut self.places).await?;
        let keyed::Key::FirstAfterWait(running) = known else {
            return Ok(known);
        };
        let request = recorded.decision().target();
        match self.take_places(request.caller(), &request.matched().route) {
            Ok(places) => {
                self.places = places;
                Ok(keyed::Key::First(running))
            }
            Err(ended) => {
                running.end(idempotency::Ended::NotCarriedOut).await;
                Err(ended.denial)
            }
        }
    }

    /// How many: a place among the requests under way, of the route and of its upstream.
    fn take_places(&self, caller: &Caller, route: &Route) -> Step<Places> {
        let priority = match caller {
            Caller::Anonymous(_) => Priority::Anonymous,
            Caller::Subject(..) => Priority::Authenticated,
        };
        let upstream = self.generation.upstreams.get(route.upstream);
        let upstream = upstream.and_then(|upstream| upstream.members().gate.as_ref());
        let enter = |gate: Option<&Arc<Gate>>| {
            gate.map(|gate| gate.enter(priority).ok_or(Denial::Overloaded))
                .transpose()
        };
        Ok(Places {
            _route: enter(self.generation.gate(route.number))?,
            upstream: enter(upstream)?,
        })
    }
}
