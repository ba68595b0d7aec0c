//! Records to store, and clients that have truly authenticated.

use crate::fixture::NOW;
use countersign_audit::event::{Actor, GrantRevoked};
use countersign_audit::{Code, Record};
use countersign_authn::client::{
    self, AuthenticatedClient, ClientRequest, ClientRules, ClientState, Method, Registration,
};
use countersign_authn::trust::ClientTrust;
use countersign_authn::{Form, Unspent};
use countersign_base::{
    ClientId, Duration, EventId, GrantId, Issuer, Scopes, Secret, SessionId, Tenant, UnixMillis,
    UserId,
};
use countersign_crypto::jose::{Algorithm, JwkSet, sign_jwt};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, SigningKey, generate_pkcs8};
use countersign_oauth::client::Origin;
use countersign_oauth::{
    AuthenticationMethod, Binding, ClientAuthentication, ClientRecord, CodeRecord, FamilyId,
    GrantRecord, GroupRecord, PushedRequest, RefreshFamily, Session, TenantRecord, UserRecord,
};
use countersign_store::{HandleHash, Kind, Store, Write};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const USER: UserId = UserId::from_bytes([7; 16]);
pub(crate) const SESSION: SessionId = SessionId::from_u64(u64::MAX - 1);
pub(crate) const GRANT: GrantId = GrantId::from_u64(u64::MAX - 2);
pub(crate) const FAMILY: FamilyId = FamilyId::from_u64(u64::MAX - 3);

pub(crate) fn tenant() -> Tenant {
    "demo".parse().unwrap()
}

pub(crate) fn other_tenant() -> Tenant {
    "other".parse().unwrap()
}

pub(crate) fn portal() -> ClientId {
    "portal".parse().unwrap()
}

pub(crate) fn issuer() -> Issuer {
    "https://localhost:8443/t/demo".parse().unwrap()
}

pub(crate) fn tenant_record(name: &Tenant) -> TenantRecord {
    TenantRecord::new(name.clone(), issuer())
}

pub(crate) fn client_record() -> ClientRecord {
    ClientRecord::new(portal(), tenant(), ClientAuthentication::Public, NOW)
}

pub(crate) fn group_record() -> GroupRecord {
    GroupRecord {
        tenant: tenant(),
        name: "staff".parse().unwrap(),
        roles: BTreeSet::from(["clerk".parse().unwrap()]),
        origin: Origin::Script,
    }
}

pub(crate) fn user_record() -> UserRecord {
    UserRecord {
        id: USER,
        tenant: tenant(),
        username: "alice".parse().unwrap(),
        password: None,
        roles: BTreeSet::from(["owner".parse().unwrap()]),
        groups: BTreeSet::from(["staff".parse().unwrap()]),
        attributes: BTreeMap::new(),
        profile: countersign_oauth::Profile::default(),
        enabled: true,
        origin: Origin::Script,
        created: NOW,
    }
}

pub(crate) fn session() -> Session {
    Session::begin(
        SESSION,
        tenant(),
        USER,
        [AuthenticationMethod::Password].into(),
        NOW,
    )
}

pub(crate) fn grant() -> GrantRecord {
    GrantRecord {
        id: GRANT,
        tenant: tenant(),
        client: portal(),
        user: USER,
        session: SESSION,
        scopes: "orders:read".parse().unwrap(),
        audiences: Vec::new(),
        particulars: countersign_oauth::Particulars::default(),
        auth_time: NOW,
        created: NOW,
        expires: NOW.plus(Duration::from_secs(3600)),
        revoked: None,
        asserted_by: None,
    }
}

pub(crate) fn family() -> RefreshFamily {
    RefreshFamily {
        id: FAMILY,
        tenant: tenant(),
        grant: GRANT,
        client: portal(),
        user: USER,
        session: SESSION,
        binding: Binding::Bearer,
        generation: 0,
        scopes: Scopes::none(),
        audiences: Vec::new(),
        auth_time: NOW,
        methods: [AuthenticationMethod::Password].into(),
        created: NOW,
        expires: NOW.plus(Duration::from_secs(3600)),
        rotated: NOW,
        revoked: None,
    }
}

pub(crate) fn code() -> CodeRecord {
    let record = json!({
        "tenant": tenant(), "client": portal(), "user": USER, "session": SESSION, "grant": GRANT,
        "redirect_uri": "https://portal.example/cb", "redirect_uri_sent": true,
        "challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "nonce": null, "scopes": "orders:read",
        "audiences": [], "dpop_jkt": null, "auth_time": NOW, "issued": NOW, "expires": NOW.plus(Duration::from_secs(60)),
    });
    serde_json::from_value(record).unwrap()
}

pub(crate) fn pushed_request() -> PushedRequest {
    let request = json!({
        "client": portal(), "redirect_uri": "https://portal.example/cb", "redirect_uri_sent": true,
        "challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "nonce": null, "state": null, "scopes": "orders:read",
        "audiences": [], "dpop_jkt": null, "prompt": [], "max_age": null,
    });
    PushedRequest::new(
        tenant(),
        portal(),
        serde_json::from_value(request).unwrap(),
        NOW,
    )
}

pub(crate) fn handle<K: Kind>(value: &str) -> HandleHash<K> {
    HandleHash::of(&MacKey::new(Secret::new([3; 32])), &tenant(), value)
}

pub(crate) fn tag(byte: u8) -> Tag {
    Tag::from_bytes([byte; 32])
}

pub(crate) fn event() -> Record {
    let event = GrantRevoked {
        by: Actor::System,
        grant: GRANT,
        reason: Code::of("administrator"),
    };
    Record {
        id: event_id(),
        time: UnixMillis(NOW.0 * 1000),
        tenant: tenant(),
        request: None,
        event: event.into(),
    }
}

pub(crate) fn event_id() -> EventId {
    Random::system().event_id()
}

/// Tenant, client, group, person, session and grant: what a token request depends on.
pub(crate) async fn populate(store: &Store) {
    let writes = vec![
        Write::PutTenant(Box::new(tenant_record(&tenant()))),
        Write::PutClient(Box::new(client_record())),
        Write::PutGroup(Box::new(group_record())),
        Write::PutUser(Box::new(user_record())),
        Write::AddSession(tag(9), Box::new(session())),
    ];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
}

/// The public client of [`client_record`], as `authn` proves it.
pub(crate) fn public_client() -> Unspent<AuthenticatedClient> {
    let form = Form::parse(b"client_id=portal").unwrap();
    prove(&form, Method::Public)
}

fn prove(form: &Form, method: Method) -> Unspent<AuthenticatedClient> {
    let (headers, trust) = (http::HeaderMap::new(), ClientTrust::default());
    let request = ClientRequest::without_certificate(&headers, form);
    let demand = client::demand(&request, &trust).unwrap();
    let registration = Registration {
        id: portal(),
        tenant: tenant(),
        method,
        state: ClientState::Enabled,
    };
    let (audience, secrets) = (issuer(), MacKey::new(Secret::new([4; 32])));
    let rules = ClientRules {
        audience: &audience,
        secrets: &secrets,
        trust: &trust,
    };
    client::prove(demand, Some(&registration), &rules, NOW).unwrap()
}

/// A client that authenticates with assertions it signs.
pub(crate) struct AssertingClient {
    key: SigningKey<ClientAssertion>,
}

impl AssertingClient {
    pub(crate) fn new() -> Self {
        let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
        Self {
            key: SigningKey::from_pkcs8(Algorithm::Es256, "key-1".parse().unwrap(), &pkcs8)
                .unwrap(),
        }
    }

    /// Authenticates with an assertion of this `jti`: the same one again and again gives the same one-time value.
    pub(crate) fn authenticate(&self, jti: &str) -> Unspent<AuthenticatedClient> {
        let claims = json!({
            "iss": "portal", "sub": "portal", "aud": issuer(), "jti": jti, "iat": NOW, "exp": NOW.plus(Duration::from_secs(60)),
        });
        let assertion = sign_jwt(&self.key, &claims).unwrap();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let form = format!("client_assertion={assertion}&client_assertion_type={kind}");
        let mut jwk = self.key.public_jwk().to_json();
        jwk.as_object_mut()
            .unwrap()
            .insert("kid".to_owned(), json!("key-1"));
        let set = json!({ "keys": [jwk] });
        let (keys, _) = JwkSet::parse(set.to_string().as_bytes()).unwrap();
        prove(&Form::parse(form.as_bytes()).unwrap(), Method::Keys(keys))
    }
}
