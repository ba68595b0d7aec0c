//! `webhook listen`: a receiver on the developer's machine that verifies what comes, prints it, and answers as it was told to.
//!
//! What is signed by Standard Webhooks and what is signed by RFC 9421 is told apart by the fields; a webhook with both is judged as the former.
//!
//! It listens on loopback alone and without TLS: what brings webhooks there is a tunnel of the developer's. It remembers nothing, so that a webhook that is sent
//! again is printed again. What strangers send is printed without control characters, so that no terminal obeys it.

use crate::cli::WebhookListen;
use crate::run::system_clock;
use crate::verb::{Ended, Output, print_line, runtime};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_base::{Secret, UnixTime};
use countersign_net::{Drain, Limits, Listener, Transport, from_tower, serve};
use countersign_wire::HeadView;
use countersign_wire::http_signature::SIGNATURE_INPUT;
use countersign_wire::webhook::{
    EventIdRule, HttpSignatureRules, KeyText, OtherSchemes, Scheme, Source, SourceRules,
    TOLERANCE_DEFAULT, WebhookRefusal, standard,
};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;
use url::{Position, Url};
use zeroize::Zeroizing;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a file with a secret.
const SECRET_BYTES_MAX: usize = 1024;

/// What answers.
struct Receiver {
    sources: Option<Sources>,
    address: Option<Url>,
    status: StatusCode,
    retry_after: Option<u32>,
    output: Output,
    received: watch::Sender<u64>,
}

/// Who verifies: what is signed by either way.
struct Sources {
    standard: Source,
    /// Nothing where no key is one of RFC 9421.
    http_signature: Option<Source>,
}

/// One webhook as it is printed.
struct Received {
    id: Option<String>,
    timestamp: Option<String>,
    /// Nothing where there is no secret to verify with; otherwise whether it holds, and why not.
    verified: Option<Result<(), &'static str>>,
    body: Vec<u8>,
}

/// Runs the verb.
pub(super) fn listen(args: &WebhookListen, output: Output) -> Ended {
    let sources = match sources(args) {
        Ok(sources) => sources,
        Err(why) => {
            eprintln!("error: {why}");
            return Ended::Usage;
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(receive(args, sources, output)) {
        Ok(()) => Ended::Done,
        Err(error) => failed(&error),
    }
}

fn failed(error: &std::io::Error) -> Ended {
    eprintln!("error: {error}");
    Ended::Failed
}

/// What verifies; nothing where no secret was named.
fn sources(args: &WebhookListen) -> Result<Option<Sources>, String> {
    let mut texts: Vec<Zeroizing<String>> = Vec::new();
    for secret in &args.secrets {
        texts.push(Zeroizing::new(secret.clone()));
    }
    for path in &args.secret_files {
        let named = |why: &str| format!("`{}`: {why}", path.display());
        let read = std::fs::read_to_string(path);
        let text = Zeroizing::new(read.map_err(|error| named(&error.kind().to_string()))?);
        if text.len() > SECRET_BYTES_MAX {
            return Err(named("it holds more than a secret"));
        }
        texts.push(Zeroizing::new(text.trim().to_owned()));
    }
    if texts.is_empty() {
        return Ok(None);
    }
    let is_public = |text: &&Zeroizing<String>| text.starts_with("whpk_");
    let public: Vec<&Zeroizing<String>> = texts.iter().filter(is_public).collect();
    let rules = HttpSignatureRules::webhook();
    let http_signature = match public.as_slice() {
        [] => None,
        keys => Some(source(Scheme::HttpSignature(rules), keys.iter().copied())?),
    };
    Ok(Some(Sources {
        standard: source(Scheme::StandardWebhooks, texts.iter())?,
        http_signature,
    }))
}

fn source<'a>(
    scheme: Scheme,
    texts: impl Iterator<Item = &'a Zeroizing<String>>,
) -> Result<Source, String> {
    let key = |text: &Zeroizing<String>| KeyText {
        id: None,
        text: Secret::new(text.as_str().to_owned()),
    };
    let rules = SourceRules {
        scheme,
        keys: texts.map(key).collect(),
        tolerance: TOLERANCE_DEFAULT,
        event_id: EventIdRule::Signed,
        others: OtherSchemes::Ignored,
    };
    Source::new(rules).map_err(|error| error.to_string())
}

async fn receive(
    args: &WebhookListen,
    sources: Option<Sources>,
    output: Output,
) -> std::io::Result<()> {
    let listener = Listener::bind(([127, 0, 0, 1], args.port).into())?;
    eprintln!("listening on http://{}", listener.address());
    if sources.is_none() {
        eprintln!("no secret was named: nothing is verified");
    }
    let (received, mut count) = watch::channel(0);
    let receiver = Arc::new(Receiver {
        sources,
        address: address(args),
        status: StatusCode::from_u16(args.status).unwrap_or(StatusCode::NO_CONTENT),
        retry_after: args.retry_after,
        output,
        received,
    });
    let router = Router::new().fallback(take).with_state(receiver);
    let (trigger, drain) = Drain::new();
    let limits = Limits::default();
    let make = from_tower(router, &limits);
    let serving = tokio::spawn(serve(listener, Transport::Plaintext, limits, make, drain));
    let enough = async {
        match args.count {
            Some(enough) => drop(count.wait_for(|count| *count >= enough).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = enough => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let _ended = trigger.drain(std::time::Duration::from_secs(1)).await;
    serving.await.unwrap_or(Ok(()))
}

async fn take(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let received = received(&receiver, &head, &body, system_clock().now());
    print_line(match receiver.output {
        Output::Json => received.json().to_string(),
        Output::Text => received.text(),
    });
    let answer = answer(&receiver, &received);
    receiver.received.send_modify(|count| *count += 1);
    answer
}

fn received(
    receiver: &Receiver,
    head: &http::request::Parts,
    body: &[u8],
    now: UnixTime,
) -> Received {
    let fields: Vec<(&str, &[u8])> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let one = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
    let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let host = one("host").unwrap_or_default();
    // Without another address, what was called is what listens: this machine, without TLS.
    let address = receiver.address.as_ref();
    let called = address.map(|url| {
        (
            url.scheme(),
            url.authority(),
            &url[Position::BeforePath..Position::AfterQuery],
        )
    });
    let (scheme, authority, path_and_query) = called.unwrap_or(("http", &host, path));
    let view = HeadView {
        method: head.method.as_str(),
        scheme,
        authority,
        path_and_query,
        fields: &fields,
    };
    let verify = |sources: &Sources| {
        let source = sources.of(&view)?;
        let looked = source.look(&view, now);
        let verified = looked.and_then(|looked| source.verify(looked, body, now));
        verified.map(drop).map_err(|refusal| refusal.as_str())
    };
    Received {
        id: one(standard::ID),
        timestamp: one(standard::TIMESTAMP),
        verified: receiver.sources.as_ref().map(verify),
        body: body.to_vec(),
    }
}

fn answer(receiver: &Receiver, received: &Received) -> Response {
    if let Some(Err(_)) = received.verified {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = receiver.status;
    if let Some(seconds) = receiver.retry_after {
        let value = HeaderValue::from(seconds);
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

impl Sources {
    /// Who verifies a webhook with this head; or that nobody does, because no secret is one for such signatures.
    fn of(&self, head: &HeadView<'_>) -> Result<&Source, &'static str> {
        if head.has(standard::SIGNATURE) || !head.has(SIGNATURE_INPUT) {
            return Ok(&self.standard);
        }
        let missing = WebhookRefusal::KeyUnknown.as_str();
        self.http_signature.as_ref().ok_or(missing)
    }
}

/// The address that was called, if it is another than this machine's own.
fn address(args: &WebhookListen) -> Option<Url> {
    args.url.as_ref()?.as_str().parse().ok()
}

impl Received {
    fn json(&self) -> Value {
        let refusal = self.verified.and_then(Result::err);
        json!({
            "id": self.id,
            "timestamp": self.timestamp,
            "verified": self.verified.map(|verified| verified.is_ok()),
            "refusal": refusal,
            "body": serde_json::from_slice::<Value>(&self.body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned())),
        })
    }

    fn text(&self) -> String {
        let verdict = match self.verified {
            None => "not verified: no secret".to_owned(),
            Some(Ok(())) => "verified".to_owned(),
            Some(Err(refusal)) => format!("REFUSED: {refusal}"),
        };
        let id = shown(self.id.as_deref().unwrap_or("without an id"));
        let body = match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        format!("{id}  {verdict}\n{}\n", shown(&body))
    }
}

/// Without what a terminal would obey.
fn shown(text: &str) -> String {
    let plain = |letter: char| {
        if letter.is_control() && letter != '\n' {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests;
