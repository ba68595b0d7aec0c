//! The authorization server in a whole process, over real TLS on free ports: sign-in with PAR, PKCE, DPoP and nonces, and certificate-bound tokens (RFC 8705).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use bytes::Bytes;
use countersign::config;
use countersign::config::listeners::Listeners;
use countersign::run::{Options, Running, run, system_clock};
use countersign_base::Duration;
use countersign_crypto::Random;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::password::Cost;
use countersign_crypto::signing::{self, DpopProof, SigningKey};
use countersign_crypto::x509::PeerCertificate;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientOptions, EgressPolicy, HttpClient, TlsClient, TlsIdentity, TrustRoots,
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use url::Url;

const CALLBACK: &str = "https://portal.test/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const CONFIGURATION: &str = r#"
[[users]]
name = "alice"
password = { file = "alice.password" }

[[clients]]
id = "portal"
secret = { file = "portal.secret" }
grants = ["authorization_code", "refresh_token", "client_credentials"]
redirect_uris = ["https://portal.test/cb"]
scopes = ["openid", "orders.read"]
audiences = ["https://orders.test"]
consent = "implied"
"#;

struct Server {
    running: Running,
    _directory: TempDir,
    random: Random,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn field(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("{name} in {} {}", self.status, self.text))
    }

    fn location(&self) -> Url {
        let location = self.headers.get(header::LOCATION);
        let location = location.unwrap_or_else(|| panic!("{}: {}", self.status, self.text));
        Url::parse(location.to_str().unwrap()).unwrap()
    }
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("alice.password"), "correct horse").unwrap();
        std::fs::write(directory.path().join("portal.secret"), "the-portals-secret").unwrap();
        let mut parsed = config::parse(
            directory.path(),
            Path::new("countersign.toml"),
            CONFIGURATION,
        )
        .unwrap();
        parsed.listeners = Listeners::ephemeral();
        let random = Random::system();
        let options = Options {
            config: parsed,
            data: directory.path().join("data"),
            store: None,
            password_cost: Cost::for_tests(),
            clock: system_clock(),
            random: random.clone(),
            progress: Box::new(|_| {}),
        };
        Self {
            running: run(options).await.unwrap(),
            _directory: directory,
            random,
        }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!(
            "https://localhost:{}{path}",
            self.running.bound().identity.port()
        ))
        .unwrap()
    }

    fn mtls_url(&self, path: &str) -> Url {
        Url::parse(&format!(
            "https://localhost:{}{path}",
            self.running.bound().identity_mtls.port()
        ))
        .unwrap()
    }

    /// A client of its own connections; with a certificate of the local authority, if `uri` names one.
    fn client(&self, uri: Option<&str>) -> (HttpClient, Option<String>) {
        let authority = self.running.fabric().authority();
        let issued = uri.map(|uri| {
            authority
                .client(uri, Duration::from_secs(600), self.running.fabric().now())
                .unwrap()
        });
        let thumbprint = issued.as_ref().map(|issued| {
            PeerCertificate::from_der(issued.chain_der[0].clone())
                .unwrap()
                .thumbprint()
                .to_string()
        });
        let identity = issued.map(|issued| TlsIdentity::from_issued(&issued).unwrap());
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
        let tls = TlsClient::new(&roots, identity.as_ref(), Alpn::Http1).unwrap();
        (
            HttpClient::new(
                tls,
                EgressPolicy::public_only().allowing("localhost"),
                ClientOptions::default(),
            ),
            thumbprint,
        )
    }

    fn jti(&self) -> String {
        countersign_crypto::base64url::encode(&self.random.bytes::<16>())
    }
}

async fn send(
    client: &HttpClient,
    method: Method,
    url: &Url,
    headers: &[(&str, &str)],
    form: &[(&str, &str)],
) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    if method == Method::POST {
        map.insert(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().unwrap(),
        );
    }
    let body = if method == Method::POST {
        Bytes::from(body)
    } else {
        Bytes::new()
    };
    let answer = client.send(method, url, map, body).await.unwrap();
    Reply {
        status: answer.status,
        headers: answer.headers,
        text: String::from_utf8(answer.body.to_vec()).unwrap(),
    }
}

fn basic() -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("portal:the-portals-secret")
    )
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(
        &countersign_crypto::base64url::decode(token.split('.').nth(1).unwrap()).unwrap(),
    )
    .unwrap()
}

fn between<'a>(text: &'a str, before: &str) -> &'a str {
    text.split(before)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("{before} in {text}"))
}

/// Keeps what is set as a browser does: one cookie of a name, none that is to go.
fn cookies(reply: &Reply, jar: &mut Vec<String>) {
    for cookie in reply.headers.get_all(header::SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        let pair = cookie.split(';').next().unwrap();
        let name = |pair: &str| pair.split('=').next().map(str::to_owned);
        jar.retain(|kept| name(kept) != name(pair));
        if !cookie.contains("Max-Age=0") {
            jar.push(pair.to_owned());
        }
    }
}

/// Signs alice in and gives the code.
async fn sign_in(server: &Server, start: &Url) -> String {
    let (client, _) = server.client(None);
    let mut jar = Vec::new();
    let page = send(&client, Method::GET, start, &[], &[]).await;
    cookies(&page, &mut jar);
    let form = [
        ("ticket", between(&page.text, "name=\"ticket\" value=\"")),
        ("username", "alice"),
        ("password", "correct horse"),
    ];
    let action = server.url(between(&page.text, "action=\""));
    let signed_in = send(
        &client,
        Method::POST,
        &action,
        &[("cookie", &jar.join("; "))],
        &form,
    )
    .await;
    assert_eq!(
        signed_in.status,
        StatusCode::SEE_OTHER,
        "{}",
        signed_in.text
    );
    cookies(&signed_in, &mut jar);
    let resume = server.url(signed_in.headers[header::LOCATION].to_str().unwrap());
    let answer = send(
        &client,
        Method::GET,
        &resume,
        &[("cookie", &jar.join("; "))],
        &[],
    )
    .await;
    let location = answer.location();
    let code = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .map(|(_, code)| code.into_owned());
    code.unwrap_or_else(|| panic!("a code in {location}"))
}

fn request() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", "portal"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid orders.read"),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn redemption(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// Posts with a proof, again with the nonce that the server asks for (RFC 9449 §8).
async fn post_with_proof(
    server: &Server,
    key: &SigningKey<DpopProof>,
    url: &Url,
    form: &[(&str, &str)],
) -> Reply {
    let (client, _) = server.client(None);
    let mut nonce: Option<String> = None;
    for _ in 0..2 {
        let mut payload = json!({"htm": "POST", "htu": url.as_str(), "jti": server.jti(), "iat": server.running.fabric().now().0});
        if let Some(nonce) = &nonce {
            payload["nonce"] = nonce.as_str().into();
        }
        let proof = sign_jwt(key, &payload).unwrap();
        let reply = send(
            &client,
            Method::POST,
            url,
            &[("authorization", &basic()), ("dpop", &proof)],
            form,
        )
        .await;
        if reply.json()["error"] != "use_dpop_nonce" {
            return reply;
        }
        nonce = Some(reply.headers["dpop-nonce"].to_str().unwrap().to_owned());
    }
    panic!("the nonce was not taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r17_r43_sign_in_over_tls_with_par_pkce_dpop_and_nonces() {
    let server = Server::start().await;
    let (client, _) = server.client(None);
    let metadata = send(
        &client,
        Method::GET,
        &server.url("/.well-known/openid-configuration"),
        &[],
        &[],
    )
    .await
    .json();
    assert_eq!(
        metadata["mtls_endpoint_aliases"]["token_endpoint"],
        server.mtls_url("/token").as_str()
    );
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, "dpop".parse().unwrap(), &pkcs8).unwrap();
    let pushed = post_with_proof(&server, &key, &server.url("/par"), &request()).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
    let mut start = server.url("/authorize");
    start
        .query_pairs_mut()
        .append_pair("client_id", "portal")
        .append_pair("request_uri", &pushed.field("request_uri"));
    let code = sign_in(&server, &start).await;
    let tokens = post_with_proof(&server, &key, &server.url("/token"), &redemption(&code)).await;
    assert_eq!(
        (tokens.status, tokens.field("token_type").as_str()),
        (StatusCode::OK, "DPoP")
    );
    let access = tokens.field("access_token");
    assert_eq!(
        claims(&access)["cnf"]["jkt"],
        key.public_jwk().thumbprint().to_string()
    );
    let reused = post_with_proof(&server, &key, &server.url("/token"), &redemption(&code)).await;
    assert_eq!(reused.field("error"), "invalid_grant");
    let refresh = tokens.field("refresh_token");
    let refused = post_with_proof(
        &server,
        &key,
        &server.url("/token"),
        &[("grant_type", "refresh_token"), ("refresh_token", &refresh)],
    )
    .await;
    assert_eq!(
        refused.field("error"),
        "invalid_grant",
        "the code's reuse ended the family"
    );
    server.running.stop("test".into()).await;
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r40_rt_2_r24_certificate_bound_tokens_are_worth_nothing_without_their_certificate() {
    let server = Server::start().await;
    let (own, thumbprint) = server.client(Some("spiffe://test/portal"));
    let (other, _) = server.client(Some("spiffe://test/other"));
    let (bare, _) = server.client(None);
    let mut start = server.url("/authorize");
    start.query_pairs_mut().extend_pairs(request());
    let code = sign_in(&server, &start).await;
    let token = server.mtls_url("/token");
    let authorization = basic();
    let auth = [("authorization", authorization.as_str())];
    let tokens = send(&own, Method::POST, &token, &auth, &redemption(&code)).await;
    let access = tokens.field("access_token");
    assert_eq!(
        claims(&access)["cnf"]["x5t#S256"].as_str(),
        thumbprint.as_deref()
    );
    let refresh = tokens.field("refresh_token");
    let issuer = server.url("").as_str().trim_end_matches('/').to_owned();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("resource", issuer.as_str()),
    ];
    assert_eq!(
        send(&other, Method::POST, &token, &auth, &form)
            .await
            .field("error"),
        "invalid_grant",
        "another certificate"
    );
    assert_eq!(
        send(&bare, Method::POST, &token, &auth, &form)
            .await
            .field("error"),
        "invalid_grant",
        "no certificate"
    );
    assert_eq!(
        send(&bare, Method::POST, &server.url("/token"), &auth, &form)
            .await
            .field("error"),
        "invalid_grant",
        "the other door"
    );
    let own_token = send(&own, Method::POST, &token, &auth, &form)
        .await
        .field("access_token");
    let bearer = format!("Bearer {own_token}");
    let ask = async |client: &HttpClient, url: Url| {
        send(
            client,
            Method::GET,
            &url,
            &[("authorization", &bearer)],
            &[],
        )
        .await
        .status
    };
    assert_eq!(
        ask(&own, server.mtls_url("/userinfo")).await,
        StatusCode::OK
    );
    assert_eq!(
        ask(&other, server.mtls_url("/userinfo")).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask(&bare, server.url("/userinfo")).await,
        StatusCode::UNAUTHORIZED
    );
    for page in ["/authorize", "/logout"] {
        assert_eq!(
            ask(&own, server.mtls_url(page)).await,
            StatusCode::NOT_FOUND,
            "people meet no certificate prompt"
        );
    }
    server.running.stop("test".into()).await;
}
