//! A receiver of webhooks on loopback: TLS, HTTP/1.1, kept connections, and an answer by whoever looks at what came.

use crate::Failed;
use bytes::Bytes;
use countersign_base::UnixTime;
use countersign_net::tls::{Alpn, ClientCertificates, ServerTls, TlsIdentity};
use countersign_testkit::TestAuthority;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// The file of the authority's certificate, which senders are to believe.
const AUTHORITY: &str = "receiver-ca.pem";
/// The file of the receiver's certificate and key.
const IDENTITY: &str = "receiver.pem";

/// How a delivery is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// With this status.
    Status(StatusCode),
    /// Not at all: the connection breaks.
    Nothing,
}

/// Who looks at what comes.
pub trait Receive: Clone + Send + Sync + 'static {
    /// Takes one request in.
    fn receive(&self, head: &Parts, body: Bytes) -> impl Future<Output = Reply> + Send;
}

/// Makes an authority and a certificate for `localhost` in a directory, and gives the path of what is to be believed.
///
/// # Errors
/// When nothing can be written there.
pub fn certified(directory: &Path) -> Result<std::path::PathBuf, Failed> {
    let now = UnixTime(i64::try_from(crate::clients::now())?);
    let authority = TestAuthority::new(now);
    let issued = authority.server();
    let mut identity = String::new();
    for certificate in &issued.chain_der {
        identity += &pem("CERTIFICATE", certificate);
    }
    identity += &pem("PRIVATE KEY", issued.key_der.expose());
    let believed = directory.join(AUTHORITY);
    std::fs::write(&believed, authority.certificate_pem())?;
    std::fs::write(directory.join(IDENTITY), identity)?;
    Ok(std::path::absolute(believed)?)
}

fn pem(label: &str, der: &[u8]) -> String {
    countersign_crypto::keypair::pem(label, der)
        .expose()
        .clone()
}

/// Listens with the certificate of that directory and serves until the runtime ends.
///
/// # Errors
/// When the address cannot be had, or the certificate is not there.
pub async fn start(
    address: SocketAddr,
    directory: &Path,
    receiver: impl Receive,
) -> Result<SocketAddr, Failed> {
    let identity = std::fs::read(directory.join(IDENTITY))?;
    let identity = TlsIdentity::from_pem(&identity, &identity)?;
    let tls = ServerTls::speaking(&identity, ClientCertificates::None, Alpn::Http1)?;
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(serve(listener, tls, receiver));
    Ok(bound)
}

async fn serve(listener: TcpListener, tls: ServerTls, receiver: impl Receive) {
    while let Ok((stream, _)) = listener.accept().await {
        let _fast = stream.set_nodelay(true);
        let (acceptor, receiver) = (tls.acceptor(), receiver.clone());
        tokio::spawn(async move {
            // A connection that breaks is the sender's business.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let answer = |request: Request<Incoming>| answered(receiver.clone(), request);
            let _ended = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answered(
    receiver: impl Receive,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    match receiver.receive(&head, body).await {
        Reply::Nothing => Err("the receiver breaks the connection".into()),
        Reply::Status(status) => {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = status;
            Ok(response)
        }
    }
}
