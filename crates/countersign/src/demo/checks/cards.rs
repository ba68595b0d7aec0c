//! Cards of check 10: what lies in the database's files, who opens what for which purpose, and what a number is found by.

use super::exchange::billing_token_with;
use super::{Holds, Play, Session, expect, hold};
use crate::demo::http::{Client, Failure, Response};
use crate::demo::portal::{as_bearer, call_with};
use crate::demo::report::{Evidence, claim, decoded};
use crate::demo::stage::Stage;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

/// A person with a card.
pub(super) struct Holder {
    pub(super) session: Session,
    pub(super) card: String,
    pub(super) typed: Typed,
}

/// A card as its holder types it.
pub(super) struct Typed {
    pub(super) number: String,
    pub(super) holder: String,
    pub(super) expiry: &'static str,
}

impl Typed {
    /// A number that nobody else has, so that finding it anywhere means this card.
    fn drawn(stage: &Stage, person: &str) -> Self {
        let mut digits = String::from("4");
        while digits.len() < 16 {
            let [byte] = stage.random.bytes::<1>();
            digits.push(char::from(b'0' + byte % 10));
        }
        let groups: Vec<&str> = (0..4)
            .filter_map(|group| digits.get(group * 4..group * 4 + 4))
            .collect();
        let mark: [u8; 4] = stage.random.bytes();
        let mark: String = mark.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            number: groups.join(" "),
            holder: format!("{person} Cardholder-{mark}"),
            expiry: "11/2031",
        }
    }

    fn digits(&self) -> String {
        self.number.replace(' ', "")
    }

    fn last4(&self) -> &str {
        self.number.rsplit(' ').next().unwrap_or_default()
    }
}

/// A customer's cards at the gateway.
pub(super) fn at_gateway(stage: &Stage, owner: &str) -> Result<Url, Failure> {
    stage
        .gateway
        .join(&format!("/customers/{owner}/cards"))
        .map_err(|_| Failure::new("an address of cards"))
}

impl Holder {
    /// Signs a person in and adds a card, through the gateway.
    pub(super) async fn new(
        stage: &Stage,
        play: &mut Play,
        person: &str,
        password: &str,
    ) -> Result<Self, Failure> {
        let scope = "openid billing.charge cards.read cards.write customers.erase";
        let session = signed_in(stage, person, password, scope).await?;
        let typed = Typed::drawn(stage, person);
        let body =
            json!({ "number": typed.number, "holder": typed.holder, "expiry": typed.expiry });
        let (url, token) = (at_gateway(stage, &session.sub)?, &session.tokens.access);
        let (client, body) = (&stage.client, body.to_string());
        let added = call_with(client, &session.proofs, Method::POST, &url, token, &body).await?;
        expect("a card is added", &added, StatusCode::OK)?;
        play.note(&added);
        let card = claim(&added.json()?, "card").to_owned();
        Ok(Self {
            session,
            card,
            typed,
        })
    }

    /// An answer shows this card with its last digits, and nothing of the rest.
    pub(super) fn has_shown(&self, answer: &Response) -> Result<(), Failure> {
        let shown = answer.json()?;
        let cards = shown.get("cards").and_then(Value::as_array);
        let mut cards = cards.into_iter().flatten();
        let card = cards.find(|card| claim(card, "card") == self.card);
        let number = card.map_or("", |card| claim(card, "number"));
        hold(
            &format!("the card is shown masked, and not as `{number}`"),
            Holds::from(number == format!("•••• •••• •••• {}", self.typed.last4())),
        )
    }

    /// A token for billing with one scope, bound to the certificate of the connection.
    pub(super) async fn token(
        &self,
        stage: &Stage,
        client: &Client,
        scope: &str,
    ) -> Result<String, Failure> {
        billing_token_with(stage, client, &self.session.tokens.access, scope).await
    }

    /// Asks a node of billing for holder and expiry.
    pub(super) async fn statement(
        &self,
        node: &Url,
        client: &Client,
        token: &str,
    ) -> Result<Response, Failure> {
        let path = format!(
            "/customers/{}/cards/{}/statement",
            self.session.sub, self.card
        );
        let url = node
            .join(&path)
            .map_err(|_| Failure::new("a card's address"))?;
        as_bearer(client, Method::GET, &url, token).await
    }

    /// The statement has what was typed.
    pub(super) fn has_stated(&self, answer: &Response) -> Result<(), Failure> {
        expect("the statement", answer, StatusCode::OK)?;
        let told = answer.json()?;
        hold(
            "what is opened is what was typed",
            Holds::from(
                claim(&told, "holder") == self.typed.holder
                    && claim(&told, "expiry") == self.typed.expiry,
            ),
        )
    }
}

/// Signs somebody in at the portal.
pub(super) async fn signed_in(
    stage: &Stage,
    person: &str,
    password: &str,
    scope: &str,
) -> Result<Session, Failure> {
    let proofs = stage.proof_key()?;
    let portal = stage.portal(&proofs);
    let (tokens, _) = portal.sign_in(person, password, scope).await?;
    let sub = claim(&decoded(&tokens.access)?.1, "sub").to_owned();
    Ok(Session {
        proofs,
        tokens,
        sub,
    })
}

/// The database holds ciphertext; a value opens for its purpose and for no other.
pub(super) async fn sealed(
    stage: &Stage,
    alice: &Holder,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let typed = &alice.typed;
    let written = stage.ledger.written().await?;
    hold(
        "what was read are the files with the rows: whose a card is stands there in the clear",
        Holds::from(written.holds(&alice.session.sub).is_some()),
    )?;
    for (what, text) in [
        ("the card's number", typed.number.as_str()),
        ("the card's digits", &typed.digits()),
        ("the holder's name", &typed.holder),
        ("the expiry", typed.expiry),
    ] {
        let found = written.holds(text);
        hold(
            &format!("{what} lies in the clear in {}", found.unwrap_or_default()),
            Holds::from(found.is_none()),
        )?;
    }
    let (files, bytes) = written.size();
    evidence.say(format!(
        "{files} files of {} read, {bytes} bytes: neither number nor holder nor expiry of the card is in them; it is shown as •••• •••• •••• {}",
        stage.ledger.name(),
        typed.last4(),
    ));
    purposes(stage, alice, evidence).await
}

/// Two tokens, two purposes: each opens for its own.
async fn purposes(stage: &Stage, alice: &Holder, evidence: &mut Evidence) -> Result<(), Failure> {
    let billing = stage.certified("urn:countersign:exercise:billing")?;
    let read = alice.token(stage, &billing, "cards.read").await?;
    let charge = alice.token(stage, &billing, "billing.charge").await?;
    let opened = alice.statement(&stage.billing, &billing, &read).await?;
    alice.has_stated(&opened)?;
    let refused = alice.statement(&stage.billing, &billing, &charge).await?;
    expect(
        "a statement for a charge's token",
        &refused,
        StatusCode::FORBIDDEN,
    )?;

    // As it is typed elsewhere.
    let number = alice.typed.number.replace(' ', "-");
    let found = charged(stage, alice, &billing, &charge, &number).await?;
    expect("a charge by the card's number", &found, StatusCode::OK)?;
    hold(
        "the number finds its card",
        Holds::from(claim(&found.json()?, "card") == alice.card),
    )?;
    let refused = charged(stage, alice, &billing, &read, &number).await?;
    expect(
        "a charge for a statement's token",
        &refused,
        StatusCode::FORBIDDEN,
    )?;
    let other = charged(stage, alice, &billing, &charge, "4000 0000 0000 0000").await?;
    expect("a charge by another number", &other, StatusCode::NOT_FOUND)?;
    evidence.say("opened: holder and expiry for a statement, the number for a charge, found by its blind index; refused 403: each with the token for the other's purpose");
    Ok(())
}

async fn charged(
    stage: &Stage,
    alice: &Holder,
    client: &Client,
    token: &str,
    number: &str,
) -> Result<Response, Failure> {
    let path = format!("/customers/{}/charge", alice.session.sub);
    let url = stage
        .billing
        .join(&path)
        .map_err(|_| Failure::new("a charge's address"))?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        crate::demo::http::value(&format!("Bearer {token}"))?,
    );
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    let body = json!({ "number": number }).to_string();
    client.send(Method::POST, &url, headers, body).await
}
