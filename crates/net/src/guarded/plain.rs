//! Plain HTTP at port 80 of a name, for one purpose: an `http-01` challenge of ACME (RFC 8555 §8.3), where the very point is that nothing is known of the host yet.
//!
//! The rules are those of [`super`], but for TLS, and stricter in one: nothing that the operator excepted for other things is excepted here.

use super::{FetchError, GuardedClient};
use crate::client::{ClientError, body_error, handshake, request};
use crate::egress::Prefix;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use url::Url;

/// Time for all of it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const BODY_BYTES_MAX: usize = 1024;

impl GuardedClient {
    /// What `GET http://HOST/PATH` answers, at port 80. Beside public addresses only these networks are reached.
    ///
    /// # Errors
    /// When the host is more than a host, leads to an address that may not be reached, or the answer is not 200 and short.
    pub async fn fetch_plain(
        &self,
        host: &str,
        path: &str,
        networks: &[Prefix],
    ) -> Result<Bytes, FetchError> {
        let url: Url = format!("http://{host}{path}")
            .parse()
            .map_err(|_| FetchError::Url)?;
        let exact = url.host_str() == Some(host) && url.path() == path && url.port().is_none();
        if !exact || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty()
        {
            return Err(FetchError::Url);
        }
        let egress = networks
            .iter()
            .fold(self.0.egress.without_exceptions(), |egress, network| {
                egress.admitting(*network)
            });
        let read = async {
            let _turn = self.0.fetches.turn(host).await?;
            // The one look at the name: what is connected to is what was judged.
            let judged = egress
                .resolve(host, 80)
                .await
                .map_err(ClientError::Egress)?;
            let stream = egress
                .connect(&judged)
                .await
                .map_err(ClientError::Connect)?;
            let mut sender = handshake(TokioIo::new(stream)).await?;
            let request = request(Method::GET, &url, HeaderMap::new(), Bytes::new())?;
            let response = sender
                .send_request(request)
                .await
                .map_err(ClientError::Http)?;
            if response.status().is_redirection() {
                return Err(FetchError::Redirect);
            }
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status()));
            }
            if response.headers().contains_key(header::CONTENT_ENCODING) {
                return Err(FetchError::MediaType);
            }
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| FetchError::Client(body_error(error)))?;
            Ok(body.to_bytes())
        };
        match tokio::time::timeout(TIMEOUT, read).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::Timeout.into()),
        }
    }
}
