//! What the connections send: requests with and without tokens and proofs, questions to a decision point. Every answer is looked at.

use super::CONNECTIONS;
use super::lane::Scripts;
use crate::Failed;
use crate::clients::{Learned, Prover};
use crate::load::{Script, Wanted, exchange};
use crate::peers::ANSWER_BYTES;
use crate::running::Running;
use crate::zipf::{Dice, Zipf};
use bytes::Bytes;
use countersign_crypto::random::Random;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects that are asked for.
const ORDERS: u64 = 1_000;
/// Requests of the mix, in a hundred, that show a token for the first time.
const NEVER_SEEN: f64 = 0.01;

/// Tokens in a realistic mix.
pub(super) struct Mix {
    tokens: Arc<Vec<String>>,
    zipf: Arc<Zipf>,
    next: AtomicUsize,
}

impl Mix {
    /// The first `common` of the tokens by Zipf's law; one time in a hundred the next of the others, each only once. Each server needs a mix of its own: what one has
    /// seen another has not.
    pub(super) fn new(tokens: &Arc<Vec<String>>, common: u32) -> Result<Arc<Self>, Failed> {
        let first = usize::try_from(common)?;
        Ok(Arc::new(Self {
            tokens: Arc::clone(tokens),
            zipf: Arc::new(Zipf::new(common)),
            next: AtomicUsize::new(first),
        }))
    }

    fn token(&self, dice: &mut Dice) -> &str {
        let rank = self.zipf.rank(dice.uniform());
        let never_seen = (dice.uniform() < NEVER_SEEN)
            .then(|| self.tokens.get(self.next.fetch_add(1, Ordering::Relaxed)))
            .flatten();
        let token = never_seen.or_else(|| self.tokens.get(rank));
        token.map_or("", String::as_str)
    }
}

/// What goes with a request.
#[derive(Clone)]
pub(super) enum Presented {
    Bearer(Arc<Mix>),
    /// One of the tokens, which are bound to this key, with a proof of its own for each request.
    Bound(Arc<Vec<String>>, Prover, Random),
    Nothing,
}

/// A caller that asks for one order after another.
struct Orders {
    presented: Presented,
    /// What paths begin with.
    under: &'static str,
    /// The gateway, as proofs name it.
    origin: String,
    dice: Dice,
}

impl Script for Orders {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let order = self.dice.next() % ORDERS;
        let path = format!("{}/orders/{order}", self.under);
        let request = Request::builder().method(Method::GET);
        let request = match &self.presented {
            Presented::Bearer(mix) => {
                let token = mix.token(&mut self.dice);
                request.header(header::AUTHORIZATION, format!("Bearer {token}"))
            }
            Presented::Bound(tokens, prover, random) => {
                let place = usize::try_from(self.dice.next() >> 1)?;
                let place = place.checked_rem(tokens.len()).ok_or("no tokens")?;
                let token = tokens.get(place).ok_or("no tokens")?;
                let target = format!("{}{path}", self.origin);
                let proof = prover.proof(&Method::GET, &target, Some(token), random)?;
                request
                    .header(header::AUTHORIZATION, format!("DPoP {token}"))
                    .header("dpop", proof)
            }
            Presented::Nothing => request,
        };
        Ok(request.uri(path).body(Full::default())?)
    }

    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Wanted {
        let learned = match &mut self.presented {
            Presented::Bound(_, prover, _) => prover.learn(headers),
            Presented::Bearer(_) | Presented::Nothing => Learned::Nothing,
        };
        match status {
            StatusCode::OK if body.len() == ANSWER_BYTES => Wanted::Yes,
            StatusCode::UNAUTHORIZED if learned == Learned::Nonce => Wanted::Retry,
            _ => Wanted::No,
        }
    }
}

/// One caller a connection. `presented` says what each of them shows.
pub(super) fn orders(under: &'static str, origin: &str, presented: Vec<Presented>) -> Scripts {
    let callers = presented.into_iter().zip(0..).map(|(presented, seed)| {
        let caller: Box<dyn Script> = Box::new(Orders {
            presented,
            under,
            origin: origin.to_owned(),
            dice: Dice::new(seed),
        });
        caller
    });
    callers.collect()
}

/// A browser that searches, and now and then sends a form; nothing about it is an attack.
struct Browsing {
    under: &'static str,
    dice: Dice,
}

/// Of so many requests one is a form.
const FORM_EACH: u64 = 4;
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const FORM: &str = "name=Anna+Example&street=Main+Street+12&city=Springfield&postcode=12345&country=DE&comment=Please+ring+twice%2C+the+bell+is+quiet&quantity=3&newsletter=yes";

impl Script for Browsing {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let number = self.dice.next();
        let order = number % ORDERS;
        let request = Request::builder()
            .header(header::USER_AGENT, AGENT)
            .header(header::ACCEPT, ACCEPT)
            .header(header::ACCEPT_LANGUAGE, "en-GB,en;q=0.7,de;q=0.3")
            .header(header::COOKIE, "theme=dark; basket=7c1e5f0a9b");
        if (number >> 32).is_multiple_of(FORM_EACH) {
            return Ok(request
                .method(Method::POST)
                .uri(format!("{}/orders/{order}", self.under))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::new(Bytes::from_static(FORM.as_bytes())))?);
        }
        let query = format!("page={}&sort=date&search=blue+shoes&size=42", order % 50);
        Ok(request
            .method(Method::GET)
            .uri(format!("{}/orders/{order}?{query}", self.under))
            .body(Full::default())?)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        if status == StatusCode::OK && body.len() == ANSWER_BYTES {
            Wanted::Yes
        } else {
            Wanted::No
        }
    }
}

/// One browser a connection.
pub(super) fn browsers(under: &'static str) -> Scripts {
    let browsers = (0..CONNECTIONS as u64).map(|seed| {
        let dice = Dice::new(seed);
        let browser: Box<dyn Script> = Box::new(Browsing { under, dice });
        browser
    });
    browsers.collect()
}

/// What a firewall has to refuse: without it the row would not be one of a firewall.
pub(super) async fn refuses_an_attack(running: &dyn Running, under: &str) -> Result<(), Failed> {
    let destination = running.destination()?;
    for (query, expected) in [
        ("search=blue+shoes", StatusCode::OK),
        (
            "search=1%27%20OR%20%271%27%3D%271%27%20--%20",
            StatusCode::FORBIDDEN,
        ),
        (
            "search=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            StatusCode::FORBIDDEN,
        ),
    ] {
        let request = Request::builder()
            .uri(format!("{under}/orders/1?{query}"))
            .header(header::HOST, destination.host())
            .header(header::USER_AGENT, AGENT)
            .header(header::ACCEPT, ACCEPT)
            .body(Full::<Bytes>::default())?;
        let (parts, _) = exchange(&mut destination.connect().await?, request).await?;
        if parts.status != expected {
            return Err(format!("it answers `{query}` with {}", parts.status).into());
        }
    }
    Ok(())
}

/// The same on every connection.
pub(super) fn everywhere(presented: &Presented) -> Vec<Presented> {
    (0..CONNECTIONS).map(|_| presented.clone()).collect()
}

/// Whoever asks a decision point whether somebody may see an order.
struct Questions {
    token: Option<String>,
    dice: Dice,
}

impl Script for Questions {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let order = self.dice.next() % ORDERS;
        // What each of the two takes for its word: the roles by the one's name for them, and the directory's by the other.
        let question = serde_json::json!({
            "subject": {"type": "user", "id": "alice", "properties": {"cerbos.roles": ["customer"], "region": "eu"}},
            "action": {"name": "view_order"},
            "resource": {"type": "order", "id": order.to_string(), "properties": {"region": "eu"}},
        });
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/access/v1/evaluation")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        Ok(request.body(Full::new(question.to_string().into()))?)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let decision = answer.and_then(|answer| answer.get("decision")?.as_bool());
        if status == StatusCode::OK && decision == Some(true) {
            Wanted::Yes
        } else {
            Wanted::No
        }
    }
}

/// One asker a connection.
pub(super) fn questions(token: Option<&str>) -> Scripts {
    let askers = (0..CONNECTIONS as u64).map(|seed| {
        let asker: Box<dyn Script> = Box::new(Questions {
            token: token.map(str::to_owned),
            dice: Dice::new(seed),
        });
        asker
    });
    askers.collect()
}

#[cfg(test)]
mod tests {
    use super::Mix;
    use crate::zipf::Dice;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn one_in_a_hundred_is_a_token_that_never_came_before() {
        let tokens = Arc::new((0..400_u32).map(|number| number.to_string()).collect());
        let (mix, mut dice) = (Mix::new(&tokens, 100).unwrap(), Dice::new(1));
        let mut seen: HashMap<u32, u32> = HashMap::new();
        for _ in 0..10_000 {
            *seen
                .entry(mix.token(&mut dice).parse().unwrap())
                .or_default() += 1;
        }
        let fresh: Vec<u32> = seen
            .iter()
            .filter(|(token, _)| **token >= 100)
            .map(|(_, times)| *times)
            .collect();
        assert!((60..150).contains(&fresh.len()), "{}", fresh.len());
        assert!(fresh.iter().all(|times| *times == 1), "each only once");
        assert!(seen[&0] > seen[&50], "by Zipf's law");
    }
}
