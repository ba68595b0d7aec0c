//! A webhook that was verified, as policy, record and store see it.

use super::Arriving;
use countersign_audit::{Code, Text};
use countersign_base::{SourceName, Tenant, UnixTime};
use countersign_policy::vocabulary;
use countersign_policy::{Query, Target};
use countersign_store::webhooks::{NewReceipt, Receives};
use countersign_store::{About, Recordable};
use std::collections::BTreeMap;

/// The action of policies.
const ACTION: &str = "receive_webhook";
/// The door that records name.
const SURFACE: Code = Code::of("webhook");

/// See the module.
pub(super) struct Arrival {
    pub(super) tenant: Tenant,
    pub(super) source: SourceName,
    pub(super) scheme: &'static str,
    pub(super) signed_at: Option<UnixTime>,
    pub(super) bytes: usize,
    pub(super) new: NewReceipt,
    pub(super) arriving: Arriving,
    pub(super) now: UnixTime,
}

impl Target for Arrival {
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

impl Recordable for Arrival {
    fn about(&self) -> About {
        let mut about = About::new(self.tenant.clone(), SURFACE);
        about.request = Some(self.arriving.request);
        about.route = Some(self.arriving.route.clone());
        about.action = Text::of(ACTION);
        about.resource = Text::of(self.arriving.route.as_str());
        about.detail = Some(Text::of(&format!(
            "source {}; message {}",
            self.source, self.new.message.id
        )));
        about
    }
}

impl Receives for Arrival {
    fn receipt(&self) -> NewReceipt {
        self.new.clone()
    }
}
