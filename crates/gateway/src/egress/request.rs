//! A request to the proxy as policy, record and the outward connection see it: who, by which rule, to which judged addresses.

use super::SURFACE;
use super::asked::{Asked, How};
use super::rules::{EgressLimits, Listed};
use super::who::Workload;
use countersign_audit::Text;
use countersign_base::{RequestId, UnixTime};
use countersign_net::{InboundBody, Judged};
use countersign_policy::vocabulary::{self, EgressContext};
use countersign_policy::{Query, Target};
use countersign_store::{About, Recordable};
use http::request;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// What policies call it.
pub(super) const ACTION: &str = "egress";

/// What was asked for, when, and where the workload is.
pub(super) struct Arrived {
    pub(super) id: RequestId,
    pub(super) from: IpAddr,
    pub(super) at: UnixTime,
    pub(super) asked: Asked,
}

/// What goes out once it may.
pub(super) enum Payload {
    /// A request.
    Request(Box<request::Parts>, InboundBody),
    /// Taken out.
    Taken,
    /// What comes on the connection after the answer.
    Tunnel(OnUpgrade),
}

impl Payload {
    pub(super) const fn tunnel(upgrade: OnUpgrade) -> Self {
        Self::Tunnel(upgrade)
    }

    pub(super) fn request(head: request::Parts, body: Incoming, limits: &EgressLimits) -> Self {
        let body = InboundBody::new(body, limits.bytes_max, limits.idle);
        Self::Request(Box::new(head), body)
    }
}

/// A request whose workload is known, which the allow-list has, and whose addresses are judged.
pub struct EgressRequest {
    pub(super) arrived: Arrived,
    workload: Workload,
    listed: Listed,
    judged: Judged,
    payload: Mutex<Payload>,
}

impl EgressRequest {
    pub(super) const fn new(
        arrived: Arrived,
        workload: Workload,
        listed: Listed,
        judged: Judged,
        payload: Payload,
    ) -> Self {
        Self {
            arrived,
            workload,
            listed,
            judged,
            payload: Mutex::new(payload),
        }
    }

    pub(super) const fn id(&self) -> RequestId {
        self.arrived.id
    }

    pub(super) const fn workload(&self) -> &Workload {
        &self.workload
    }

    pub(super) const fn listed(&self) -> &Listed {
        &self.listed
    }

    pub(super) const fn judged(&self) -> &Judged {
        &self.judged
    }

    pub(super) fn take_payload(&mut self) -> Payload {
        let payload = self
            .payload
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(payload, Payload::Taken)
    }

    pub(super) fn into_parts(self) -> (Arrived, Workload, Listed, Judged) {
        (self.arrived, self.workload, self.listed, self.judged)
    }
}

impl Target for EgressRequest {
    fn query(&self) -> Query {
        query(&self.arrived, &self.workload, &self.listed)
    }
}

/// The question whether it may be reached, also asked again while a tunnel or an answer goes on.
pub(super) fn query(arrived: &Arrived, workload: &Workload, listed: &Listed) -> Query {
    let (rule, destination) = (listed.rule(), listed.destination());
    let principal = match workload.subject() {
        Some(subject) => vocabulary::principal(subject),
        None => vocabulary::client(workload.client(), workload.tenant()),
    };
    let (method, path) = match arrived.asked.how() {
        How::Connect => (None, None),
        How::Request { method, path, .. } => (Some(method.as_str()), Some(path.path())),
    };
    let context = EgressContext {
        rule: &rule.id,
        form: rule.form.as_str(),
        method,
        path,
        client: workload.client(),
        subject: workload.subject(),
        source: arrived.from.to_canonical(),
        now: arrived.at,
    };
    Query {
        principal,
        action: ACTION.to_owned(),
        resource: vocabulary::egress_destination(
            &destination.host().to_string(),
            destination.port(),
            &rule.tenant,
            &rule.clients,
        ),
        context: context.to_context(),
        others: Vec::new(),
    }
}

impl Recordable for EgressRequest {
    fn about(&self) -> About {
        let rule = self.listed.rule();
        let mut about = About::new(rule.tenant.clone(), SURFACE);
        about.request = Some(self.arrived.id);
        about.route = Some(rule.id.clone());
        about.action = Text::of(ACTION);
        about.resource = Text::of(&self.listed.destination().to_string());
        about.client = Some(self.workload.client().clone());
        if let Some(subject) = self.workload.subject() {
            about.user = subject.user();
            about.grant = subject.grant();
        }
        about
    }
}
