//! Messages in the outbox of a server that is down, accepted by the store's own commit and sealed as it seals them.

use super::place::{Place, TYPES, event_type};
use crate::Failed;
use crate::clients::now;
use countersign_audit::event::DeliveryEnded;
use countersign_audit::{Code, Count, Record, Text};
use countersign_base::{MessageId, Tenant, UnixMillis, UnixTime};
use countersign_control::{RootSource, Secrets};
use countersign_crypto::digest::sha256;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::Aad;
use countersign_keys::envelope::seal;
use countersign_store::webhooks::{Accepted, Addressee, NewMessage, WebhookMessage};
use countersign_store::{Store, StoreOptions, StoreUrl};
use futures_util::future::try_join_all;
use serde_json::json;

/// Messages that are accepted at once.
const AT_ONCE: u32 = 200;

/// Accepts messages until at least `deliveries` wait, and gives how many do.
pub(super) async fn fill(place: &Place, deliveries: u32) -> Result<u64, Failed> {
    let (random, data) = (Random::system(), place.data());
    let at = UnixTime(i64::try_from(now())?);
    let url = match place.store() {
        Some(url) => url.parse()?,
        None => StoreUrl::Sqlite(data.join("state.db")),
    };
    let store = Store::open(&StoreOptions::new(url), at).await?;
    let cost = Cost::passphrase();
    let secrets = Secrets::open(&store, &RootSource::File, &data, cost, &random, at).await?;
    let (mut waiting, mut number) = (0_u64, 0_u32);
    while waiting < u64::from(deliveries) {
        let messages = (number..number + AT_ONCE).map(|number| {
            let message = message(number, &secrets, &random, at)?;
            let event = event(&message, &random, at);
            Ok(store.accept_message(message, event, at))
        });
        let messages: Vec<_> = messages.collect::<Result<_, Failed>>()?;
        for accepted in try_join_all(messages).await? {
            let Accepted::New(endpoints) = accepted else {
                return Err(format!("a message was not taken: {accepted:?}").into());
            };
            waiting += u64::from(endpoints);
        }
        number += AT_ONCE;
        if waiting == 0 {
            return Err("no endpoint wants a message".into());
        }
    }
    store.close().await;
    Ok(waiting)
}

fn message(
    number: u32,
    secrets: &Secrets,
    random: &Random,
    at: UnixTime,
) -> Result<NewMessage, Failed> {
    let tenant = Tenant::default_tenant();
    let id = MessageId::from_bytes(random.bytes());
    let body = json!({ "number": number, "what": "x".repeat(256) }).to_string();
    let place = Aad::row(&tenant, "webhook_messages", "sealed", id.as_bytes());
    let keks = secrets.keks();
    let sealed = seal(keks.current(), &place, body.as_bytes(), random)?;
    let kind = usize::try_from(number)? % TYPES;
    Ok(NewMessage {
        message: WebhookMessage {
            tenant,
            id,
            event_type: event_type(kind).parse()?,
            version: 1,
            to: Addressee::Everyone,
            digest: sha256(body.as_bytes()),
            sealed: sealed.into_bytes(),
            created: at,
        },
        order_key: None,
    })
}

/// What stands for the decision that a publisher's request is recorded with.
fn event(message: &NewMessage, random: &Random, at: UnixTime) -> Record {
    let event = DeliveryEnded {
        attempts: Count::of(0),
        delivery: Text::of(&message.message.id.to_string()),
        destination: Text::of("bench"),
        kind: Code::of("webhook"),
        outcome: Code::of("accepted"),
        reason: None,
    };
    Record {
        id: random.event_id(),
        time: UnixMillis(at.0.saturating_mul(1000)),
        tenant: message.message.tenant.clone(),
        request: None,
        event: event.into(),
    }
}
