//! A service behind the gateway that answers every request with the same bytes, over plain HTTP on loopback.

use crate::Failed;
use crate::peers::answer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// Starts it on a free port; it ends with the runtime.
///
/// # Errors
/// When no port can be had.
pub async fn start() -> Result<SocketAddr, Failed> {
    start_on((Ipv4Addr::LOCALHOST, 0).into()).await
}

/// Starts it there; it ends with the runtime.
///
/// # Errors
/// When the address cannot be had.
pub async fn start_on(address: SocketAddr) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(answer_all(listener));
    Ok(address)
}

/// Serves at `address` until the process ends.
///
/// # Errors
/// When the port cannot be had.
pub async fn serve(address: SocketAddr) -> Result<(), Failed> {
    answer_all(TcpListener::bind(address).await?).await;
    Ok(())
}

async fn answer_all(listener: TcpListener) {
    let body = Bytes::from(answer());
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that breaks is the client's business.
        let _fast = stream.set_nodelay(true);
        let body = body.clone();
        let answer = move |_request: Request<Incoming>| {
            let response = Response::new(Full::new(body.clone()));
            async move { Ok::<_, Infallible>(response) }
        };
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}
