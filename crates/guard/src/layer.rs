//! The guard as a tower layer.
//!
//! The peer's certificate is looked for in the request's extensions as `Conditional<PeerCertificate, NoTls>`; a server that puts none there has
//! connections without certificates.

use crate::check::{Checked, Guard, GuardRequest};
use bytes::Bytes;
use countersign_base::{Conditional, NoTls};
use countersign_crypto::x509::PeerCertificate;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a guard before a service.
#[derive(Debug, Clone)]
pub struct GuardLayer(Arc<Guard>);

impl GuardLayer {
    /// The layer of a guard.
    #[must_use]
    pub fn new(guard: impl Into<Arc<Guard>>) -> Self {
        Self(guard.into())
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService {
            guard: Arc::clone(&self.0),
            inner,
        }
    }
}

/// A service behind a guard. Requests that pass carry a [`countersign_authn::Subject`] in their extensions, or an
/// [`countersign_authn::AnonymousReason`].
#[derive(Debug, Clone)]
pub struct GuardService<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GuardService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        // The one that is ready goes with the request, its clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let peer = parts
                .extensions
                .get::<Conditional<PeerCertificate, NoTls>>();
            let request = GuardRequest {
                method: &parts.method,
                path: parts.uri.path(),
                query: parts.uri.query(),
                headers: &parts.headers,
                peer: match peer {
                    None => Conditional::Absent(NoTls::Plaintext),
                    Some(Conditional::Absent(reason)) => Conditional::Absent(*reason),
                    Some(Conditional::Present(certificate)) => Conditional::Present(certificate),
                },
            };
            let checked = guard.check(&request).await;
            match checked {
                Ok(Checked::Anonymous(reason)) => _ = parts.extensions.insert(reason),
                Ok(Checked::Subject(subject)) => _ = parts.extensions.insert(subject),
                Err(rejection) => return Ok(rejection.into_response()),
            }
            inner.call(Request::from_parts(parts, body)).await
        })
    }
}

#[cfg(test)]
mod tests;
