//! Somebody who publishes a JWK set over HTTPS, and counts who asks for it.

use bytes::Bytes;
use countersign_net::{
    ClientCertificates, Connection, Drain, DrainTrigger, Limits, Listener, ServerTls, TlsIdentity,
    Transport, serve,
};
use countersign_testkit::{TestAuthority, system_clock};
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// The server; it ends with this.
pub(crate) struct KeyServer {
    authority: TestAuthority,
    address: String,
    state: Arc<Mutex<State>>,
    _drain: DrainTrigger,
    _runtime: Runtime,
}

struct State {
    set: Value,
    asked: usize,
}

impl KeyServer {
    /// Publishes these keys.
    pub(crate) fn start(keys: &[&Value]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let authority = TestAuthority::new(system_clock().now());
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let identity = TlsIdentity::from_issued(&authority.server()).unwrap();
        let tls = ServerTls::new(&identity, ClientCertificates::None).unwrap();
        let address = format!("https://localhost:{}", listener.address().port());
        let state = Arc::new(Mutex::new(State {
            set: json!({ "keys": keys }),
            asked: 0,
        }));
        let (trigger, drain) = Drain::new();
        let shared = Arc::clone(&state);
        let make = move |_: &Arc<Connection>| {
            let state = Arc::clone(&shared);
            service_fn(move |request| answer(Arc::clone(&state), request))
        };
        let transport = Transport::Tls(tls);
        runtime.spawn(serve(listener, transport, Limits::default(), make, drain));
        drop(inside);
        Self {
            authority,
            address,
            state,
            _drain: trigger,
            _runtime: runtime,
        }
    }

    /// Publishes these from now on.
    pub(crate) fn publishes(&self, keys: &[&Value]) {
        self.state.lock().unwrap().set = json!({ "keys": keys });
    }

    /// How often somebody asked for the set.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// Where the set is.
    pub(crate) fn url(&self) -> String {
        format!("{}/jwks", self.address)
    }

    /// The authority of its certificate, in PEM.
    pub(crate) fn ca(&self) -> &str {
        self.authority.certificate_pem()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    _request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut state = state.lock().unwrap();
    state.asked += 1;
    let mut response = Response::new(Full::new(Bytes::from(state.set.to_string())));
    let json = HeaderValue::from_static("application/jwk-set+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}
