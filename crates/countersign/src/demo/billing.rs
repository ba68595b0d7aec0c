//! The billing service's cards: rows in a database whose password the vault changes, with what belongs to the cardholder under envelope encryption.
//!
//! Number, holder and expiry are sealed under a key of the customer's, which lies wrapped beside them; what wraps it is a transit key of the vault. The service holds no
//! password and no key of its own: it asks the vault with its certificate. It trusts no header, and answers a caller with what the caller may see of their own.
//!
//! Not here: what gives the vault its mounts and roles, which is the platform team's (`checks::vault`).

mod card;
mod connections;
mod keys;

pub(super) use connections::Connections;

use super::services::saw;
use super::vault::VaultCaller;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use card::{Card, CardExpiry, CardHolder, CardPan, rules};
use countersign_authn::{Subject, SubjectId};
use countersign_base::{Clock, Scopes, Secret, Tenant};
use countersign_crypto::Random;
use countersign_guard::sealed::{
    About, CacheLimits, DataKeyError, DataSubject, Denied, Disclosure, FieldKeys, KeyOwner,
    OpenError, Place, RowKey, SealError, WrappedKeys,
};
use keys::{KeyTable, Transit};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// One node of the service.
pub(super) struct Billing {
    connections: Arc<Connections>,
    keys: FieldKeys,
    rules: Disclosure,
    clock: Clock,
    random: Random,
}

/// Why somebody is not answered with what they asked for. What the service knows more stays here.
pub(super) struct Refused(StatusCode);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<Denied> for Refused {
    fn from(_: Denied) -> Self {
        Self(StatusCode::FORBIDDEN)
    }
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Self {
        tracing::debug!(event = "exercise_card_not_opened", error = %error);
        Self(match error {
            OpenError::Erased => StatusCode::GONE,
            OpenError::Permit(_) => StatusCode::FORBIDDEN,
            OpenError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            OpenError::Elsewhere
            | OpenError::KeyBroken
            | OpenError::KeyUnknown
            | OpenError::NotSealed(_)
            | OpenError::Value(_) => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }
}

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Key(error) => OpenError::from(error).into(),
            SealError::TooLong => Self(StatusCode::BAD_REQUEST),
        }
    }
}

impl From<DataKeyError> for Refused {
    fn from(error: DataKeyError) -> Self {
        OpenError::from(error).into()
    }
}

/// The database does not answer.
impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        tracing::debug!(event = "exercise_database_failed", error = %error);
        Self(StatusCode::SERVICE_UNAVAILABLE)
    }
}

impl Billing {
    /// A node on these connections, with keys of this vault.
    pub(super) fn new(
        connections: Arc<Connections>,
        vault: Arc<VaultCaller>,
        clock: &Clock,
        random: &Random,
    ) -> Result<Self, super::http::Failure> {
        let table = KeyTable(Arc::clone(&connections));
        let source = WrappedKeys::new(table, Transit(vault), random.clone());
        let limits = CacheLimits::default();
        Ok(Self {
            connections,
            keys: FieldKeys::new(source, limits, clock.clone(), random.clone()),
            rules: rules().map_err(|error| super::http::Failure::new(error.to_string()))?,
            clock: clock.clone(),
            random: random.clone(),
        })
    }

    /// What it serves.
    pub(super) fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/customers/{owner}/cards", get(list).post(add))
            .route("/customers/{owner}/charge", post(charge))
            .route("/customers/{owner}/cards/{card}/statement", get(statement))
            .route("/customers/{owner}", delete(erase))
            .with_state(self)
    }

    /// Where a customer's row is.
    fn place<F>(&self, tenant: &Tenant, owner: &DataSubject, card: i64) -> Place<F>
    where
        F: countersign_guard::sealed::Field<Keys = countersign_guard::sealed::PerSubject>,
    {
        Place::about(tenant.clone(), owner.clone(), RowKey::number(card))
    }
}

/// The person whom the path names, where the caller is that person.
fn themselves(caller: &Subject, owner: &str) -> Result<DataSubject, Refused> {
    let denied = Refused(StatusCode::FORBIDDEN);
    match caller.principal() {
        SubjectId::User(user) if user.to_string() == owner => {
            DataSubject::try_from(*user).map_err(|_| denied)
        }
        SubjectId::User(_)
        | SubjectId::Client(_)
        | SubjectId::External(_)
        | SubjectId::Foreign(_) => Err(denied),
    }
}

/// Evidence that the token has a scope.
#[must_use]
struct Scoped(());

fn scoped(caller: &Subject, scope: &str) -> Result<Scoped, Refused> {
    let denied = || Refused(StatusCode::FORBIDDEN);
    let scopes: Scopes = scope.parse().map_err(|_| denied())?;
    match caller.require_scopes(&scopes) {
        Ok(_) => Ok(Scoped(())),
        Err(_) => Err(denied()),
    }
}

/// A card as its holder types it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCard {
    number: String,
    holder: String,
    expiry: String,
}

async fn add(
    State(billing): State<Arc<Billing>>,
    Path(owner): Path<String>,
    Extension(caller): Extension<Subject>,
    headers: HeaderMap,
    Json(new): Json<NewCard>,
) -> Result<Json<Value>, Refused> {
    let _scoped = scoped(&caller, "cards.write")?;
    let owner = themselves(&caller, &owner)?;
    let (tenant, keys) = (caller.tenant(), &billing.keys);
    // 53 bits: a number that JSON can hold.
    let id = i64::try_from(u64::from_be_bytes(billing.random.bytes()) >> 11).unwrap_or_default();
    let (number, holder, expiry) = (
        Secret::new(new.number),
        Secret::new(new.holder),
        Secret::new(new.expiry),
    );
    let card = Card {
        id,
        pan: keys
            .seal(&number, &billing.place(tenant, &owner, id))
            .await?,
        pan_index: keys.index::<CardPan>(number.expose(), tenant).await?,
        holder: keys
            .seal(&holder, &billing.place(tenant, &owner, id))
            .await?,
        expiry: keys
            .seal(&expiry, &billing.place(tenant, &owner, id))
            .await?,
    };
    let mut connection = billing.connections.connection().await?;
    card.insert(&owner, &mut connection).await?;
    Ok(Json(
        json!({ "card": id.to_string(), "saw": saw(&caller, &headers) }),
    ))
}

/// The caller's cards with what a mask leaves of the number.
async fn list(
    State(billing): State<Arc<Billing>>,
    Path(owner): Path<String>,
    Extension(caller): Extension<Subject>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let owner = themselves(&caller, &owner)?;
    let now = billing.clock.now();
    let _first = billing
        .rules
        .permit_mask::<CardPan>(&caller, About::Anybody, now)?;
    let mut connection = billing.connections.connection().await?;
    let cards = Card::of_owner(&owner, &mut connection).await?;
    drop(connection);
    let mut shown = Vec::new();
    for card in cards {
        let permit = billing
            .rules
            .permit_mask::<CardPan>(&caller, About::Anybody, now)?;
        let place = billing.place(caller.tenant(), &owner, card.id);
        let number = billing.keys.show(&card.pan, &place, permit).await?;
        shown.push(json!({ "card": card.id.to_string(), "number": number }));
    }
    Ok(Json(
        json!({ "cards": shown, "saw": saw(&caller, &headers) }),
    ))
}

/// A card's number as somebody types it at the till.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Charged {
    number: String,
}

/// Finds a card of the caller's by its number, for the purpose `charge`: rows with the number's blind index are opened and compared.
async fn charge(
    State(billing): State<Arc<Billing>>,
    Path(owner): Path<String>,
    Extension(caller): Extension<Subject>,
    headers: HeaderMap,
    Json(charged): Json<Charged>,
) -> Result<Json<Value>, Refused> {
    let owner = themselves(&caller, &owner)?;
    let (now, purpose) = (billing.clock.now(), CardPan::CHARGE);
    let _first = billing
        .rules
        .permit(&caller, purpose, About::Anybody, now)?;
    let index = billing
        .keys
        .index::<CardPan>(&charged.number, caller.tenant());
    let index = index.await?;
    let mut connection = billing.connections.connection().await?;
    let cards = Card::of_index(&owner, index, &mut connection).await?;
    drop(connection);
    for card in cards {
        let permit = billing
            .rules
            .permit(&caller, purpose, About::Anybody, now)?;
        let place = billing.place(caller.tenant(), &owner, card.id);
        let opened = billing
            .keys
            .open(&card.pan, &place, purpose, permit)
            .await?;
        if opened.matches(&charged.number) {
            let card = card.id.to_string();
            return Ok(Json(json!({ "card": card, "saw": saw(&caller, &headers) })));
        }
    }
    Err(Refused(StatusCode::NOT_FOUND))
}

/// Opens holder and expiry for the purpose `statement`.
async fn statement(
    State(billing): State<Arc<Billing>>,
    Path((owner, card)): Path<(String, i64)>,
    Extension(caller): Extension<Subject>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let owner = themselves(&caller, &owner)?;
    let (now, keys, tenant) = (billing.clock.now(), &billing.keys, caller.tenant());
    let permit = billing
        .rules
        .permit(&caller, CardHolder::STATEMENT, About::Anybody, now)?;
    let mut connection = billing.connections.connection().await?;
    let found = Card::find(&owner, card, &mut connection).await?;
    drop(connection);
    let found = found.ok_or(Refused(StatusCode::NOT_FOUND))?;
    let place = billing.place(tenant, &owner, card);
    let holder = keys
        .open(&found.holder, &place, CardHolder::STATEMENT, permit)
        .await?;
    let permit = billing
        .rules
        .permit(&caller, CardExpiry::STATEMENT, About::Anybody, now)?;
    let place = billing.place(tenant, &owner, card);
    let expiry = keys
        .open(&found.expiry, &place, CardExpiry::STATEMENT, permit)
        .await?;
    Ok(Json(json!({
        "holder": holder.expose(),
        "expiry": expiry.expose(),
        "saw": saw(&caller, &headers),
    })))
}

/// Erases a customer: their key in every version, and what their rows are found by. Who may, the gateway's policy says.
async fn erase(
    State(billing): State<Arc<Billing>>,
    Path(owner): Path<String>,
    Extension(caller): Extension<Subject>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let _scoped = scoped(&caller, "customers.erase")?;
    let owner = DataSubject::parse(&owner).map_err(|_| Refused(StatusCode::BAD_REQUEST))?;
    let whose = KeyOwner::Subject(caller.tenant().clone(), owner.clone());
    let mut connection = billing.connections.connection().await?;
    keys::erase(&mut connection, &whose).await?;
    let cards = Card::forget_indexes(&owner, &mut connection).await?;
    billing.connections.checkpoint(&mut connection).await;
    billing.keys.forget(&whose);
    Ok(Json(
        json!({ "cards": cards, "saw": saw(&caller, &headers) }),
    ))
}

#[cfg(test)]
mod tests;
