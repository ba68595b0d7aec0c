//! `/partner/change`: what a button on the partner's pages does. The whole change stands in its sealed ticket, so that pressing a button twice, or loading its answer again, does
//! nothing twice: a ticket names what it was made for as that was then.

use super::endpoint::kind_in_words;
use super::listing::Which;
use super::permit::{self, Managed, Operation};
use super::{PartnerPage, View, delivery, endpoint};
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::authorize::shown;
use crate::identity::call::Call;
use crate::identity::own_page::{self, Button, Entry, Freshness, OwnPage, Pressed};
use crate::identity::ticket::{self, Browser, Step};
use crate::pages;
use crate::pages::partner::{Crumb, Moment, Note, SecretPage};
use axum::response::Response;
use countersign_audit::event::{
    Actor, WebhookEndpointChanged, WebhookPublished, WebhookReplayAsked, WebhookSecretRotated,
};
use countersign_audit::{Code, Count, Event, Record};
use countersign_authn::Form;
use countersign_base::{Bounded, Duration, EndpointId, MessageId, UnixTime, WebhookSecretId};
use countersign_control::webhooks::{self, IdempotencyKey, Publisher};
use countersign_oauth::authorize::PageError;
use countersign_store::tables::webhook_endpoints::{DisabledBecause, EndpointSwitch};
use countersign_store::tables::{webhook_deliveries, webhook_secrets};
use countersign_store::webhooks::{
    AcceptedFor, REPLAY_MAX, Redelivered, Replay, Replayed, Replaying, WebhookDeliveryId,
    WebhookWrite,
};
use countersign_store::{StoreError, Write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far back what was given up is kept, and can be sent again.
const REPLAY_SINCE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const DISABLED: Note =
    Note::Problem("This endpoint is disabled. Enable it, then it can be sent something.");
const FULL: Note = Note::Problem("Too much waits to be sent already. Try again later.");
const OVERTAKEN: Note = Note::Problem(
    "This was changed meanwhile, and nothing more was done. The page shows how it is now.",
);

/// One change.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// Nothing goes there any more.
    Disable(EndpointId),
    /// It is served again.
    Enable(EndpointId),
    /// What was given up is sent again; the form says of how long.
    Replay(EndpointId),
    /// A delivery that ended then is made once more.
    Resend {
        endpoint: EndpointId,
        message: MessageId,
        ended: UnixTime,
    },
    /// A new secret, where there are these; the form says how long the others sign beside it.
    RotateSecret {
        endpoint: EndpointId,
        known: BTreeSet<WebhookSecretId>,
    },
    /// A test event, one for each key.
    SendTest {
        endpoint: EndpointId,
        key: Bounded<64>,
    },
}

impl Change {
    const fn endpoint(&self) -> EndpointId {
        match self {
            Self::Disable(endpoint)
            | Self::Enable(endpoint)
            | Self::Replay(endpoint)
            | Self::Resend { endpoint, .. }
            | Self::RotateSecret { endpoint, .. }
            | Self::SendTest { endpoint, .. } => *endpoint,
        }
    }

    const fn operation(&self) -> Operation {
        match self {
            Self::Disable(_) => Operation::Disable,
            Self::Enable(_) => Operation::Enable,
            Self::Replay(_) => Operation::Replay,
            Self::Resend { .. } => Operation::Resend,
            Self::RotateSecret { .. } => Operation::RotateSecret,
            Self::SendTest { .. } => Operation::SendTest,
        }
    }

    /// How old the sign-in may be. What brings one webhook more can be done by anybody who may look on; a secret is as much as a factor.
    const fn freshness(&self) -> Freshness {
        match self {
            Self::Resend { .. } | Self::SendTest { .. } => Freshness::Any,
            Self::Disable(_) | Self::Enable(_) | Self::Replay(_) => Freshness::Recent,
            Self::RotateSecret { .. } => Freshness::Fresh,
        }
    }

    /// Where its button is.
    fn page(&self) -> Result<PartnerPage, Failure> {
        let named = |id: String| Bounded::parse(&id).map_err(|_| Failure::NotFound);
        Ok(match self {
            Self::Resend {
                endpoint, message, ..
            } => {
                let (message, endpoint) = (*message, *endpoint);
                let id = WebhookDeliveryId { message, endpoint };
                PartnerPage::Delivery(named(id.to_string())?)
            }
            Self::Disable(endpoint)
            | Self::Enable(endpoint)
            | Self::Replay(endpoint)
            | Self::RotateSecret { endpoint, .. }
            | Self::SendTest { endpoint, .. } => {
                PartnerPage::Endpoint(named(endpoint.to_string())?, Which::All, None)
            }
        })
    }
}

/// The ticket of a button.
pub(super) fn seal(view: &View<'_>, change: Change) -> Result<String, Failure> {
    let button = Button {
        session: view.session.id,
        change,
    };
    let browser = &view.browser.value;
    Ok(ticket::seal(
        view.identity,
        view.call,
        browser,
        Step::Partner,
        &button,
    )?)
}

/// A button was pressed.
pub(in crate::identity) async fn change(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let Pressed {
        form,
        session,
        change,
    } = own_page::pressed::<Change>(&identity, &mut call, Step::Partner).await?;
    let page = OwnPage::Partner(change.page()?);
    let freshness = change.freshness();
    if freshness.is_missing(&call, &session, identity.fabric.now()) {
        return own_page::ask_again(&identity, &call, &session, page);
    }
    if let Entry::Asked(asked) = own_page::enter(&identity, &call, &page, &session, None).await? {
        return Ok(asked);
    }
    let browser = Browser::of(&identity, &call);
    let view = View::of(&identity, &call, &session, &browser, None).await?;
    let id = change.endpoint();
    let seen = permit::endpoint(&identity, &call, &view.asker, id, "endpoint").await?;
    let operation = change.operation();
    let managed = permit::manage(&identity, &call, &view.asker, seen, operation).await?;
    let response = carry_out(view, managed, change, &form).await?;
    shown(&call, &browser, response)
}

/// Does it, and shows what came of it.
async fn carry_out(
    view: View<'_>,
    managed: Managed,
    change: Change,
    form: &Form,
) -> Result<Response, Failure> {
    let note = match change {
        Change::Disable(_) => {
            let to = EndpointSwitch::Disabled(DisabledBecause::Asked);
            let done = Note::Done("The endpoint is disabled. Nothing is sent there.");
            switched(&view, &managed, to, done).await?
        }
        Change::Enable(_) => {
            let done = Note::Done("The endpoint is enabled. What waited is sent now.");
            switched(&view, &managed, EndpointSwitch::Enabled, done).await?
        }
        Change::Replay(_) => replayed(&view, &managed, form).await?,
        Change::Resend { message, ended, .. } => {
            let endpoint = managed.endpoint().id;
            let id = WebhookDeliveryId { message, endpoint };
            let note = resent(&view, &managed, id, ended).await?;
            return delivery_after(view, managed, id, note).await;
        }
        Change::RotateSecret { known, .. } => {
            return rotated(view, managed, &known, form).await;
        }
        Change::SendTest { key, .. } => match tested(&view, &managed, &key).await? {
            Tested::Sent(id, note) => return delivery_after(view, managed, id, note).await,
            Tested::Not(note) => note,
        },
    };
    endpoint_after(view, managed, note).await
}

/// The endpoint as it is now.
async fn endpoint_after(
    mut view: View<'_>,
    managed: Managed,
    note: Note,
) -> Result<Response, Failure> {
    view.note = Some(note);
    let id = managed.endpoint().id;
    let seen = permit::endpoint(view.identity, view.call, &view.asker, id, "endpoint").await?;
    endpoint::page(view, seen, Which::All, None).await
}

/// The delivery as it is now.
async fn delivery_after(
    mut view: View<'_>,
    managed: Managed,
    id: WebhookDeliveryId,
    note: Note,
) -> Result<Response, Failure> {
    view.note = Some(note);
    delivery::page(view, managed.into_seen(), id).await
}

impl View<'_> {
    fn actor(&self) -> Actor {
        Actor::User(self.session.user)
    }

    fn event(&self, event: impl Into<Event>) -> Record {
        let recorder = self.identity.fabric.recorder();
        recorder.about_event(&self.call.tenant.name, Some(self.call.id), event)
    }
}

/// Whether a change was made, or somebody was faster.
enum Written {
    Done,
    Overtaken,
}

/// Writes, with the event that reports it, in one transaction.
async fn written(
    view: &View<'_>,
    write: WebhookWrite,
    event: impl Into<Event>,
) -> Result<Written, Failure> {
    let fabric = &view.identity.fabric;
    let (tenant, event) = (&view.call.tenant.name, view.event(event));
    let writes = vec![Write::Webhook(Box::new(write))];
    match fabric
        .store()
        .change(tenant, writes, event, fabric.now())
        .await
    {
        Ok(_receipt) => Ok(Written::Done),
        Err(StoreError::Superseded(_)) => Ok(Written::Overtaken),
        Err(error) => Err(error.into()),
    }
}

async fn switched(
    view: &View<'_>,
    managed: &Managed,
    to: EndpointSwitch,
    done: Note,
) -> Result<Note, Failure> {
    let endpoint = managed.endpoint();
    let event = WebhookEndpointChanged {
        by: view.actor(),
        change: Code::of(to.state().as_str()),
        endpoint: endpoint.id,
        partner: endpoint.partner.clone(),
    };
    let write = WebhookWrite::SwitchEndpoint(endpoint.id, to);
    Ok(match written(view, write, event).await? {
        Written::Done => done,
        Written::Overtaken => OVERTAKEN,
    })
}

/// Makes a secret and shows it: it is in this answer and nowhere else.
async fn rotated(
    view: View<'_>,
    managed: Managed,
    known: &BTreeSet<WebhookSecretId>,
    form: &Form,
) -> Result<Response, Failure> {
    let fabric = &view.identity.fabric;
    let (tenant, now) = (&view.call.tenant.name, fabric.now());
    let id = managed.endpoint().id;
    let mut connection = fabric.store().read().await?;
    let secrets = webhook_secrets::of_endpoint(&mut connection, tenant, id, now).await?;
    drop(connection);
    // The answer to an earlier press was loaded again, or somebody else was faster.
    let present: BTreeSet<WebhookSecretId> = secrets.iter().map(|secret| secret.id).collect();
    if present != *known {
        return endpoint_after(view, managed, OVERTAKEN).await;
    }
    if secrets.len() >= usize::from(webhook_secrets::SECRETS_MAX) {
        let full = "There are as many secrets as there may be. Wait until one has ended.";
        return endpoint_after(view, managed, Note::Problem(full)).await;
    }
    let overlap = seconds(form, "overlap", webhooks::OVERLAP_MAX)?;
    let made = webhooks::make_secret(fabric, tenant, managed.record().signing)
        .map_err(|_| Failure::Unavailable)?;
    let (kind, others_end) = (made.stored.kind, webhooks::others_end(Some(overlap), now));
    let event = WebhookSecretRotated {
        by: view.actor(),
        endpoint: id,
        others_end: count(others_end),
        secret: made.stored.id,
    };
    let write = WebhookWrite::RotateSecret {
        endpoint: id,
        secret: made.stored,
        others_end,
    };
    if let Written::Overtaken = written(&view, write, event).await? {
        return endpoint_after(view, managed, OVERTAKEN).await;
    }
    let url = managed.record().url.to_string();
    let back = view.path_of_endpoint(id);
    let page = SecretPage {
        frame: view.frame(vec![
            view.home(),
            Crumb {
                label: endpoint::host(&url),
                path: back.clone(),
            },
        ]),
        url,
        secret: made.shown.expose().clone(),
        kind: kind_in_words(kind),
        others_end: (others_end > now).then(|| Moment::from(others_end)),
        back,
    };
    Ok(pages::render(&view.call.tenant, &page, ""))
}

async fn resent(
    view: &View<'_>,
    managed: &Managed,
    id: WebhookDeliveryId,
    ended: UnixTime,
) -> Result<Note, Failure> {
    let fabric = &view.identity.fabric;
    let (tenant, now) = (&view.call.tenant.name, fabric.now());
    let mut connection = fabric.store().read().await?;
    let found = webhook_deliveries::find(&mut connection, tenant, id).await?;
    drop(connection);
    if found.ok_or(Failure::NotFound)?.ended != Some(ended) {
        return Ok(OVERTAKEN);
    }
    let event = view.event(WebhookReplayAsked {
        by: view.actor(),
        endpoint: managed.endpoint().id,
        message: Some(id.message),
        since: count(now),
        until: count(now),
        which: Code::of("one"),
    });
    let redelivered = fabric.store().redeliver_webhook(tenant, id, event, now);
    match redelivered.await? {
        Redelivered::Absent => Err(Failure::NotFound),
        Redelivered::Disabled => Ok(DISABLED),
        Redelivered::Due => Ok(Note::Done("It is sent again, with the same id.")),
        Redelivered::Waits => Ok(OVERTAKEN),
    }
}

async fn replayed(view: &View<'_>, managed: &Managed, form: &Form) -> Result<Note, Failure> {
    let fabric = &view.identity.fabric;
    let (tenant, now) = (&view.call.tenant.name, fabric.now());
    let replay = Replay {
        endpoint: managed.endpoint().id,
        since: now.minus(seconds(form, "since", REPLAY_SINCE_MAX)?),
        until: now.plus(Duration::from_secs(1)),
        which: Replayed::Dead,
        most: REPLAY_MAX,
    };
    let event = view.event(WebhookReplayAsked {
        by: view.actor(),
        endpoint: replay.endpoint,
        message: None,
        since: count(replay.since),
        until: count(replay.until),
        which: Code::of("dead"),
    });
    let replaying = fabric.store().replay_webhooks(tenant, replay, event, now);
    Ok(match replaying.await? {
        Replaying::Absent => DISABLED,
        Replaying::Done(0) => Note::Done("There was nothing to send again."),
        Replaying::Done(_) => Note::Done("What was given up then is sent again."),
        Replaying::More(..) => Note::Done(
            "Much of what was given up then is sent again. There is more: do the same once more.",
        ),
    })
}

/// What became of a test event.
enum Tested {
    Not(Note),
    Sent(WebhookDeliveryId, Note),
}

async fn tested(view: &View<'_>, managed: &Managed, key: &Bounded<64>) -> Result<Tested, Failure> {
    let fabric = &view.identity.fabric;
    let (tenant, now) = (&view.call.tenant.name, fabric.now());
    let endpoint = managed.endpoint();
    let key = IdempotencyKey::parse(key.as_str()).map_err(|_| Failure::Unavailable)?;
    let publisher = Publisher::Person(view.session.user);
    let message = webhooks::test_publication(endpoint)
        .map_err(|_| Failure::Unavailable)?
        .into_message(fabric, tenant, publisher, Some(&key), now)
        .map_err(|_| Failure::Unavailable)?;
    let id = WebhookDeliveryId {
        message: message.message.id,
        endpoint: endpoint.id,
    };
    let event = view.event(WebhookPublished {
        by: view.actor(),
        event_type: message.message.event_type.clone(),
        message: id.message,
        partner: endpoint.partner.clone(),
    });
    let accepted = fabric
        .store()
        .accept_message_for(message, endpoint.id, event, now);
    Ok(match accepted.await {
        Ok(AcceptedFor::Absent) => return Err(Failure::NotFound),
        Ok(AcceptedFor::Again) => Tested::Sent(id, Note::Done("This test event was sent before.")),
        Ok(AcceptedFor::Disabled) => Tested::Not(DISABLED),
        Ok(AcceptedFor::New) => Tested::Sent(
            id,
            Note::Done("A test event is on its way. Look again to see what becomes of it."),
        ),
        Err(StoreError::Full(_)) => Tested::Not(FULL),
        Err(error) => return Err(error.into()),
    })
}

/// A number of seconds that a form says, at most `max`.
fn seconds(form: &Form, name: &str, max: Duration) -> Result<Duration, Failure> {
    let said = form.get(name).and_then(|text| text.parse().ok());
    let said = said.map(Duration::from_secs).filter(|said| *said <= max);
    said.ok_or_else(|| PageError::Malformed.into())
}

fn count(time: UnixTime) -> Count {
    Count::of(u64::try_from(time.0).unwrap_or(0))
}
