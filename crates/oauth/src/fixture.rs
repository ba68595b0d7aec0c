//! The people, clients and keys that this crate's tests speak of.

use crate::authentication::AuthenticationMethod;
use crate::binding::Binding;
use crate::change::{ClientGrant, Standing};
use crate::client::{
    Application, ClientAuthentication, ClientRecord, ConsentRule, GrantType, Origin,
};
use crate::grant::GrantRecord;
use crate::session::Session;
use crate::tenant::TenantRecord;
use crate::token::{Fresh, Requester};
use crate::user::{ResolvedUser, UserRecord};
use crate::{FamilyId, RefreshFamily};
use countersign_authn::Form;
use countersign_authn::client::{
    self, AuthenticatedClient, ClientRequest, ClientRules, ClientState, Method, Registration,
};
use countersign_authn::replay::{ReplayLimits, ReplayMemory};
use countersign_authn::trust::ClientTrust;
use countersign_base::{Audience, Bounded, GrantId, Secret, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::jose::JwkThumbprint;
use countersign_crypto::mac::MacKey;
use http::HeaderMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);
pub(crate) const ORDERS: &str = "https://orders.example";
pub(crate) const BILLING: &str = "https://billing.example";
pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const CALLBACK: &str = "https://portal.example/callback";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn after(seconds: u64) -> UnixTime {
    NOW.plus(std::time::Duration::from_secs(seconds))
}

pub(crate) fn form(text: &str) -> Form {
    Form::parse(text.as_bytes()).unwrap()
}

pub(crate) fn audience(text: &str) -> Audience {
    text.parse().unwrap()
}

pub(crate) fn tenant() -> TenantRecord {
    let mut tenant = TenantRecord::new(Tenant::default_tenant(), ISSUER.parse().unwrap());
    tenant.detail_types = detail_types();
    tenant
}

/// The key of pairwise subjects.
pub(crate) fn pairwise_key() -> MacKey {
    MacKey::new(Secret::new([77; 32]))
}

/// Detail types as the shell registers them: `account` with a schema that wants `actions`, `payment` for billing alone, and `broken`, whose schema did not
/// compile. The stand-in for the compiler looks at `required` only.
pub(crate) fn detail_types() -> crate::authorization_details::DetailTypes {
    use crate::authorization_details::{CompiledSchema, DetailTypes, Fit, RegisteredType};
    let mut types = DetailTypes::none();
    let mut register = |name: &str, schema: serde_json::Value, audiences: &[&str]| {
        types.register(
            name.parse().unwrap(),
            RegisteredType::new(
                schema,
                bounded(name),
                audiences.iter().map(|text| audience(text)).collect(),
            ),
        );
    };
    register("account", serde_json::json!({"required": ["actions"]}), &[]);
    register("payment", serde_json::json!({"required": []}), &[BILLING]);
    register("broken", serde_json::json!({}), &[]);
    let broken = types.compile(|schema| {
        let required: Vec<String> = schema["required"]
            .as_array()
            .ok_or(())?
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        Ok::<_, ()>(CompiledSchema::new(move |value| {
            if required.iter().all(|name| value.get(name).is_some()) {
                Fit::Fits
            } else {
                Fit::Unfit
            }
        }))
    });
    assert_eq!(broken.len(), 1);
    types
}

pub(crate) fn key(number: u8) -> Binding {
    Binding::Dpop(thumbprint(number))
}

pub(crate) fn thumbprint(number: u8) -> JwkThumbprint {
    let text = countersign_crypto::base64url::encode(&[number; 32]);
    text.parse().unwrap()
}

/// A confidential client with every grant.
pub(crate) fn portal() -> ClientRecord {
    let authentication = ClientAuthentication::Secret { tag: vec![0; 32] };
    let mut client = ClientRecord::new(
        "portal".parse().unwrap(),
        Tenant::default_tenant(),
        authentication,
        NOW,
    );
    client.grants = GrantType::ALL.into_iter().collect();
    client.redirect_uris = [CALLBACK.parse().unwrap()].into();
    client.scopes = "openid orders:read orders:write profile".parse().unwrap();
    client.audiences = [audience(ORDERS)].into();
    client.consent = ConsentRule::Implied;
    client
}

/// A native public client.
pub(crate) fn app() -> ClientRecord {
    let mut client = ClientRecord::new(
        "app".parse().unwrap(),
        Tenant::default_tenant(),
        ClientAuthentication::Public,
        NOW,
    );
    client.application = Application::Native;
    client.grants = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
    client.redirect_uris = ["http://127.0.0.1/done".parse().unwrap()].into();
    client.scopes = "openid orders:read".parse().unwrap();
    client.audiences = [audience(ORDERS)].into();
    client
}

/// Evidence that `record`'s client authenticated, made the way the server makes it.
pub(crate) fn authenticated(record: &ClientRecord) -> AuthenticatedClient {
    let secrets = MacKey::new(Secret::new([7; 32]));
    let mut headers = HeaderMap::new();
    let (method, body) = match record.authentication {
        ClientAuthentication::Public => (Method::Public, format!("client_id={}", record.id)),
        ClientAuthentication::Certificates { .. }
        | ClientAuthentication::Keys { .. }
        | ClientAuthentication::PostedSecret { .. }
        | ClientAuthentication::Secret { .. }
        | ClientAuthentication::TlsSubject { .. }
        | ClientAuthentication::Workload { .. } => {
            let basic = countersign_authn_basic(record.id.as_str(), "secret");
            headers.insert("authorization", basic.parse().unwrap());
            let tag = client::secret_tag(
                &secrets,
                &record.tenant,
                &record.id,
                &Secret::new("secret".to_owned()),
            );
            (Method::Secret(tag), String::new())
        }
    };
    let registration = Registration {
        id: record.id.clone(),
        tenant: record.tenant.clone(),
        method,
        state: ClientState::Enabled,
    };
    let (form, trust) = (form(&body), ClientTrust::default());
    let request = ClientRequest::without_certificate(&headers, &form);
    let demand = client::demand(&request, &trust).unwrap();
    let issuer = ISSUER.parse().unwrap();
    let unspent = client::prove(
        demand,
        Some(&registration),
        &ClientRules {
            audience: &issuer,
            secrets: &secrets,
            trust: &trust,
        },
        NOW,
    )
    .unwrap();
    ReplayMemory::new(ReplayLimits::default())
        .spend(unspent, NOW)
        .unwrap()
}

fn countersign_authn_basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"))
    )
}

pub(crate) fn alice() -> ResolvedUser {
    let user = UserRecord {
        id: UserId::from_bytes([1; 16]),
        tenant: Tenant::default_tenant(),
        username: "alice".parse().unwrap(),
        password: None,
        roles: ["customer".parse().unwrap(), "auditor".parse().unwrap()].into(),
        groups: BTreeSet::new(),
        attributes: BTreeMap::from([
            (bounded("region"), bounded("eu")),
            (bounded("tier"), bounded("gold")),
        ]),
        profile: crate::Profile::default(),
        enabled: true,
        origin: Origin::Script,
        created: NOW,
    };
    ResolvedUser::new(user, &[])
}

pub(crate) fn bounded<const N: usize>(text: &str) -> Bounded<N> {
    Bounded::parse(text).unwrap()
}

pub(crate) fn session() -> Session {
    Session::begin(
        SessionId::from_u64(5),
        Tenant::default_tenant(),
        UserId::from_bytes([1; 16]),
        [AuthenticationMethod::Password].into(),
        NOW,
    )
}

pub(crate) fn grant() -> GrantRecord {
    GrantRecord {
        id: GrantId::from_u64(9),
        tenant: Tenant::default_tenant(),
        client: "portal".parse().unwrap(),
        user: UserId::from_bytes([1; 16]),
        session: SessionId::from_u64(5),
        scopes: "openid orders:read orders:write".parse().unwrap(),
        audiences: vec![audience(ORDERS), audience(ISSUER)],
        particulars: crate::Particulars::default(),
        auth_time: NOW,
        created: NOW,
        expires: after(8 * 3600),
        revoked: None,
        asserted_by: None,
    }
}

pub(crate) fn family(binding: Binding) -> RefreshFamily {
    let grant = grant();
    RefreshFamily {
        id: FamilyId::from_u64(11),
        tenant: grant.tenant,
        grant: grant.id,
        client: grant.client,
        user: grant.user,
        session: grant.session,
        binding,
        generation: 3,
        scopes: grant.scopes,
        audiences: grant.audiences,
        auth_time: NOW,
        methods: [AuthenticationMethod::Password].into(),
        created: NOW,
        expires: grant.expires,
        rotated: NOW,
        revoked: None,
    }
}

pub(crate) fn standing(client: &ClientRecord) -> Standing {
    Standing {
        client: Some(Arc::new(client.clone())),
        user: Some(alice()),
        grant: Some(grant()),
        session: Some(session()),
        subject: None,
        client_grant: ClientGrant::Ended,
    }
}

/// The client of a standing, to be changed.
pub(crate) fn registered(client: &mut Option<Arc<ClientRecord>>) -> &mut ClientRecord {
    Arc::make_mut(client.as_mut().unwrap())
}

pub(crate) const fn fresh() -> Fresh {
    Fresh {
        grant: GrantId::from_u64(21),
        family: FamilyId::from_u64(22),
        session: SessionId::from_u64(24),
        token_id: [23; 16],
    }
}

/// Calls `judge` with the requester that `client` and `binding` make.
pub(crate) fn asking<R>(
    client: &ClientRecord,
    binding: &Binding,
    judge: impl FnOnce(&Requester<'_>) -> R,
) -> R {
    let tenant = tenant();
    judge(&Requester {
        client: &authenticated(client),
        binding,
        tenant: &tenant,
    })
}
