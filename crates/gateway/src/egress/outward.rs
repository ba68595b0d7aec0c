//! The connection out: the only code of the proxy that opens one, and it takes the recorded permit to do so.

use super::Flow;
use super::answer::{EgressBody, EgressRefusal, Streamed};
use super::asked::{AskedScheme, How};
use super::credential::Field;
use super::request::{EgressRequest, Payload};
use super::rules::{EgressRules, Form};
use super::standing::Standing;
use super::tail::Tail;
use super::tunnel::Tunnel;
use crate::headers;
use crate::planes::Planes;
use countersign_net::{Destination, InboundBody, Judged, TlsClient};
use countersign_policy::Permitted;
use countersign_store::Recorded;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Looks a name up, once, and judges every address of it.
pub(super) async fn judge(
    rules: &EgressRules,
    destination: &Destination,
) -> Result<Judged, EgressRefusal> {
    let judging = rules.policy().judge(destination);
    match tokio::time::timeout(rules.limits().connect, judging).await {
        Ok(judged) => judged.map_err(EgressRefusal::Address),
        Err(_elapsed) => Err(EgressRefusal::ConnectTimeout),
    }
}

/// What may be connected to: made of the recorded permit and nothing else.
struct Outward {
    request: EgressRequest,
}

impl Outward {
    fn of(recorded: Recorded<Permitted<EgressRequest>>) -> Self {
        Self {
            request: recorded.into_target(),
        }
    }

    async fn connect(&self, rules: &EgressRules) -> Result<TcpStream, EgressRefusal> {
        let connecting = rules.policy().connect(self.request.judged());
        match tokio::time::timeout(rules.limits().connect, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) => Err(EgressRefusal::Connect),
            Err(_elapsed) => Err(EgressRefusal::ConnectTimeout),
        }
    }
}

/// Connects a tunnel; it begins once its answer is on the way.
pub(super) async fn open_tunnel<P: Planes>(
    flow: &Flow<'_, P>,
    recorded: Recorded<Permitted<EgressRequest>>,
    tail: &mut Tail,
) -> Result<Tunnel<P>, EgressRefusal> {
    let mut outward = Outward::of(recorded);
    let stream = outward.connect(&flow.rules).await?;
    let Payload::Tunnel(upgrade) = outward.request.take_payload() else {
        return Err(EgressRefusal::FormNotListed);
    };
    tail.status(StatusCode::OK.as_u16());
    let standing = Standing::of(flow.egress, &flow.rules, outward.request);
    Ok(Tunnel::new(standing, stream, upgrade))
}

/// Sends a request on and gives the destination's answer.
pub(super) async fn exchange<P: Planes>(
    flow: &Flow<'_, P>,
    recorded: Recorded<Permitted<EgressRequest>>,
    tail: &mut Tail,
) -> Result<Response<EgressBody>, EgressRefusal> {
    let mut outward = Outward::of(recorded);
    let limits = *flow.rules.limits();
    let until = Instant::now() + limits.total;
    let credential = match &outward.request.listed().rule().form {
        Form::Lifted(lifted) => match &lifted.credential {
            Some(credential) => Some(credential.field_now().await?),
            None => None,
        },
        Form::Plain(_) | Form::Tunnel => None,
    };
    let stream = outward.connect(&flow.rules).await?;
    let Payload::Request(head, body) = outward.request.take_payload() else {
        return Err(EgressRefusal::FormNotListed);
    };
    let pseudonym = &flow.egress.pseudonym;
    let request = onward(&outward.request, *head, body, credential, pseudonym)?;
    let listed = outward.request.listed();
    let handshake = async {
        match &listed.rule().form {
            Form::Lifted(lifted) => {
                let stream = over_tls(stream, &lifted.tls, listed.destination()).await?;
                http1_on(stream).await
            }
            Form::Plain(_) | Form::Tunnel => http1_on(stream).await,
        }
    };
    let mut sender = tokio::time::timeout(limits.connect, handshake)
        .await
        .map_err(|_elapsed| EgressRefusal::ConnectTimeout)??;
    let answered = tokio::time::timeout_at(until, sender.send_request(request)).await;
    let response = answered
        .map_err(|_elapsed| EgressRefusal::ConnectTimeout)?
        .map_err(|_| EgressRefusal::Exchange)?;
    let (mut head, body) = response.into_parts();
    // Nobody asked for another protocol: the field that would is not sent on.
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(EgressRefusal::Exchange);
    }
    headers::remove_hop_by_hop(&mut head.headers);
    append_via(&mut head.headers, &flow.egress.pseudonym);
    tail.status(head.status.as_u16());
    let body = EgressBody::streamed(Streamed {
        body,
        left: limits.bytes_max,
        idle: limits.idle,
        until,
        timer: Box::pin(tokio::time::sleep_until(
            until.min(Instant::now() + limits.idle),
        )),
        withdrawn: Box::pin(Standing::of(flow.egress, &flow.rules, outward.request).withdrawn()),
        began: Instant::now(),
        tail: tail.take(),
    });
    Ok(Response::from_parts(head, body))
}

/// The request as the destination gets it: its target a path, its own `Host`, nothing of this hop, and the rule's credential.
fn onward(
    request: &EgressRequest,
    head: http::request::Parts,
    body: InboundBody,
    credential: Option<Field>,
    pseudonym: &str,
) -> Result<Request<InboundBody>, EgressRefusal> {
    let How::Request { method, path, .. } = request.arrived.asked.how() else {
        return Err(EgressRefusal::FormNotListed);
    };
    let listed = request.listed();
    let mut fields = head.headers;
    headers::remove_hop_by_hop(&mut fields);
    fields.remove(header::EXPECT);
    // What the gateway says to its upstreams is nobody's outside.
    let own: Vec<_> = fields
        .keys()
        .filter(|name| name.as_str().starts_with("countersign-"))
        .cloned()
        .collect();
    for name in own {
        fields.remove(name);
    }
    let scheme = match &listed.rule().form {
        Form::Lifted(_) => AskedScheme::Https,
        Form::Plain(_) | Form::Tunnel => AskedScheme::Http,
    };
    if let Some(credential) = credential {
        credential.write(&mut fields);
    }
    let host = listed.destination().authority(scheme.port());
    let host = HeaderValue::try_from(host).map_err(|_| EgressRefusal::Exchange)?;
    fields.insert(header::HOST, host);
    append_via(&mut fields, pseudonym);
    let mut onward = Request::new(body);
    *onward.method_mut() = method.clone();
    *onward.uri_mut() = Uri::from(path.clone());
    *onward.headers_mut() = fields;
    Ok(onward)
}

fn append_via(headers: &mut http::HeaderMap, pseudonym: &str) {
    if let Ok(via) = HeaderValue::try_from(format!("1.1 {pseudonym}")) {
        headers.append(header::VIA, via);
    }
}

async fn over_tls(
    stream: TcpStream,
    tls: &TlsClient,
    destination: &Destination,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, EgressRefusal> {
    let host = destination.host().to_string();
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(bare).map_err(|_| EgressRefusal::Tls)?;
    let connected = tls.connector().connect(name, stream).await;
    connected.map_err(|error| refusal_of(&error))
}

/// A key that is not pinned is told apart from a certificate that does not verify: somebody has to look at it.
fn refusal_of(error: &io::Error) -> EgressRefusal {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::ApplicationVerificationFailure,
        )) => EgressRefusal::Pin,
        Some(_) | None => EgressRefusal::Tls,
    }
}

async fn http1_on<I>(stream: I) -> Result<SendRequest<InboundBody>, EgressRefusal>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| EgressRefusal::Exchange)?;
    tokio::spawn(async move {
        // Its errors reach the request on it, and it serves no other.
        let _ = connection.await;
    });
    Ok(sender)
}
