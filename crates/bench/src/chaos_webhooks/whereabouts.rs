//! Where a message is that was acknowledged and has not come, by the program's own database, once the program has stopped: whether it waits, was given up, is said to be
//! delivered, or is nowhere.

use crate::Failed;
use countersign_base::{MessageId, Tenant, UnixTime};
use countersign_store::tables::webhook_deliveries::of_message;
use countersign_store::webhooks::{DeliveryState, ListedWebhook};
use countersign_store::{Store, StoreOptions, StoreUrl};
use std::collections::BTreeMap;
use std::path::Path;

/// Messages that are looked for.
const LOOKED_FOR_MAX: usize = 1_000;
/// Deliveries of one message: two endpoints want it.
const DELIVERIES: u16 = 10;

/// How many of these messages are where, as one line.
pub(super) async fn told(data: &Path, ids: &[String]) -> Result<String, Failed> {
    let now = UnixTime(i64::try_from(crate::clients::now())?);
    let options = StoreOptions::new(StoreUrl::Sqlite(data.join("state.db")));
    let store = Store::open(&options, now).await?;
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut connection = store.read().await?;
    for id in ids.iter().take(LOOKED_FOR_MAX) {
        let id: MessageId = id.strip_prefix("msg_").unwrap_or(id).parse()?;
        let of_it = of_message(
            &mut connection,
            &Tenant::default_tenant(),
            id,
            None,
            DELIVERIES,
        )
        .await?;
        let mut where_it_is: Vec<String> = of_it.iter().map(|one| place(one, now)).collect();
        where_it_is.sort_unstable();
        *places.entry(where_it_is.join(" and ")).or_default() += 1;
    }
    drop(connection);
    store.close().await;
    let told: Vec<String> = places
        .iter()
        .map(|(place, number)| {
            format!(
                "{number} {}",
                if place.is_empty() { "nowhere" } else { place }
            )
        })
        .collect();
    Ok(format!(
        "of {} that did not come, as the database has them: {}",
        ids.len(),
        told.join("; ")
    ))
}

fn place(delivery: &ListedWebhook, now: UnixTime) -> String {
    let tried = delivery.attempts;
    match delivery.state {
        DeliveryState::Delivered => "delivered".to_owned(),
        DeliveryState::Dead => format!("given up after {tried} attempts"),
        DeliveryState::Waiting => match delivery.due {
            None => "behind another of its key".to_owned(),
            Some(due) if due <= now => format!("due after {tried} attempts"),
            Some(_) => format!("due later after {tried} attempts"),
        },
    }
}
