//! The authorization server in a whole process, over real TLS on free ports: sign-in with PAR, PKCE, DPoP and nonces, and certificate-bound tokens (RFC 8705).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod started;

use countersign::run::{Running, system_clock};
use countersign_base::Duration;
use countersign_crypto::Random;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, DpopProof, SigningKey};
use countersign_crypto::x509::PeerCertificate;
use countersign_net::TlsIdentity;
use countersign_testkit::{Answer, Caller, CookieJar, claims_of as claims};
use http::{Method, StatusCode};
use serde_json::json;
use started::{caller, parsed, started, url};
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

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("alice.password"), "correct horse").unwrap();
        std::fs::write(directory.path().join("portal.secret"), "the-portals-secret").unwrap();
        Self {
            running: started(
                directory.path(),
                parsed(directory.path(), CONFIGURATION),
                None,
                system_clock(),
            )
            .await,
            _directory: directory,
            random: Random::system(),
        }
    }

    fn url(&self, path: &str) -> Url {
        url(self.running.bound().identity.port(), path)
    }

    fn mtls_url(&self, path: &str) -> Url {
        url(self.running.bound().identity_mtls.port(), path)
    }

    /// A client of its own connections; with a certificate of the local authority, if `uri` names one.
    fn client(&self, uri: Option<&str>) -> (Caller, Option<String>) {
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
        (caller(&self.running, identity.as_ref()), thumbprint)
    }

    fn jti(&self) -> String {
        countersign_crypto::base64url::encode(&self.random.bytes::<16>())
    }
}

async fn send(
    caller: &Caller,
    method: Method,
    url: &Url,
    headers: &[(&str, &str)],
    form: &[(&str, &str)],
) -> Answer {
    match method {
        Method::POST => caller.post(url, headers, form).await,
        _ => caller.get(url, headers).await,
    }
}

fn basic() -> String {
    countersign_testkit::basic("portal", "the-portals-secret")
}

/// Signs alice in and gives the code.
async fn sign_in(server: &Server, start: &Url) -> String {
    let (client, _) = server.client(None);
    let mut jar = CookieJar::default();
    let page = send(&client, Method::GET, start, &[], &[]).await;
    jar.keep(&page);
    let form = [
        ("ticket", page.quoted("name=\"ticket\" value=\"")),
        ("username", "alice"),
        ("password", "correct horse"),
    ];
    let action = server.url(page.quoted("action=\""));
    let signed_in = send(
        &client,
        Method::POST,
        &action,
        &[("cookie", &jar.header())],
        &form,
    )
    .await;
    assert_eq!(
        signed_in.status,
        StatusCode::SEE_OTHER,
        "{}",
        signed_in.text
    );
    jar.keep(&signed_in);
    let resume = server.url(signed_in.location());
    let answer = send(
        &client,
        Method::GET,
        &resume,
        &[("cookie", &jar.header())],
        &[],
    )
    .await;
    answer.redirected("code")
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
) -> Answer {
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
    let ask = async |client: &Caller, url: Url| {
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
