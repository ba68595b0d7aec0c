//! A webhook that was verified, as policy, record and store see it: something to keep, or a challenge to answer.

use super::Arriving;
use countersign_audit::event::{WebhookRefused, WebhookRepeated};
use countersign_audit::{Code, Event, Text};
use countersign_base::{SourceName, Tenant, UnixTime};
use countersign_policy::vocabulary;
use countersign_policy::{Query, Target};
use countersign_store::webhooks::{Before, NewReceipt, Receives};
use countersign_store::{About, Recordable};
use countersign_wire::webhook::{UrlChallenge, WebhookRefusal};
use std::collections::BTreeMap;

/// The action of policies.
const ACTION: &str = "receive_webhook";
/// The door that records name.
const SURFACE: Code = Code::of("webhook");

/// See the module.
pub(super) struct Arrival<W> {
    pub(super) tenant: Tenant,
    pub(super) source: SourceName,
    pub(super) scheme: &'static str,
    pub(super) signed_at: Option<UnixTime>,
    pub(super) bytes: usize,
    pub(super) what: W,
    pub(super) arriving: Arriving,
    pub(super) now: UnixTime,
}

/// What arrived.
pub(super) trait What {
    /// How a record names it.
    fn named(&self) -> String;
}

impl What for NewReceipt {
    fn named(&self) -> String {
        format!("message {}", self.message.id)
    }
}

impl What for UrlChallenge {
    fn named(&self) -> String {
        "url_verification".to_owned()
    }
}

impl<W: What> Target for Arrival<W> {
    fn query(&self) -> Query {
        let mut context = BTreeMap::from([
            (
                "bytes".to_owned(),
                i64::try_from(self.bytes).unwrap_or(i64::MAX).into(),
            ),
            (
                "source".to_owned(),
                self.arriving.from.to_canonical().into(),
            ),
            ("time".to_owned(), self.now.0.into()),
        ]);
        context.extend(vocabulary::calendar(self.now));
        if let Some(at) = self.signed_at {
            context.insert("signed_at".to_owned(), at.0.into());
        }
        Query {
            principal: vocabulary::webhook_source(&self.source, &self.tenant, self.scheme),
            action: ACTION.to_owned(),
            resource: vocabulary::webhook_route(&self.arriving.route, &self.tenant, &self.source),
            context,
            others: Vec::new(),
        }
    }
}

impl<W: What> Recordable for Arrival<W> {
    fn about(&self) -> About {
        let mut about = About::new(self.tenant.clone(), SURFACE);
        about.request = Some(self.arriving.request);
        about.route = Some(self.arriving.route.clone());
        about.action = Text::of(ACTION);
        about.resource = Text::of(self.arriving.route.as_str());
        about.detail = Some(Text::of(&format!(
            "source {}; {}",
            self.source,
            self.what.named()
        )));
        about
    }
}

impl Receives for Arrival<NewReceipt> {
    fn receipt(&self) -> NewReceipt {
        self.what.clone()
    }

    fn before(&self) -> Before<Event> {
        let repeated = if self.signed_at.is_some() {
            "duplicate"
        } else {
            // The scheme signs no time: this may be its sender, or whoever recorded it.
            WebhookRefusal::Replayed.as_str()
        };
        Before {
            duplicate: WebhookRepeated {
                reason: Code::of(repeated),
                route: self.arriving.route.clone(),
                source: Text::of(self.source.as_str()),
            }
            .into(),
            replayed: self.refused(WebhookRefusal::Replayed),
            reused: self.refused(WebhookRefusal::IdReused),
        }
    }
}

impl<W> Arrival<W> {
    /// The same, of what arrived.
    pub(super) fn of<T>(self, what: T) -> Arrival<T> {
        Arrival {
            tenant: self.tenant,
            source: self.source,
            scheme: self.scheme,
            signed_at: self.signed_at,
            bytes: self.bytes,
            what,
            arriving: self.arriving,
            now: self.now,
        }
    }

    fn refused(&self, refusal: WebhookRefusal) -> Event {
        WebhookRefused {
            detail: None,
            reason: Code::of(refusal.as_str()),
            route: self.arriving.route.clone(),
            source: Text::of(self.source.as_str()),
        }
        .into()
    }
}
