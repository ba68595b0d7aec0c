//! One largest example of every kind; the list and the examples must agree.

use super::*;
use crate::text::{Code, Count, Digest, Names, Text};
use countersign_base::{
    ClientId, EndpointId, EventId, GrantId, Kid, MessageId, RouteId, SessionId, Tenant, UnixMillis,
    UserId, WebhookSecretId,
};

const CODE: &str = "a-code-of-sixty-four-characters-which-is-as-long-as-one-may-be!!";

fn client() -> ClientId {
    "c".repeat(128).parse().unwrap()
}

fn user() -> UserId {
    UserId::from_bytes([0xff; 16])
}

/// Quotes double when they are escaped: the worst that a kept text can be.
fn text<const N: usize>() -> Text<N> {
    Text::of(&"\"".repeat(N))
}

fn token() -> Token {
    Token {
        actor: Some(text()),
        aud: Some(text()),
        binding: Some(text()),
        client: Some(client()),
        commitment: Some(Digest::of(b"")),
        error: Some(CODE.into()),
        grant: Some(GrantId::from_u64(u64::MAX)),
        jti: Some(text()),
        policies: names(),
        reason: Some(CODE.into()),
        scopes: text(),
        user: Some(user()),
        ..Token::new(Verdict::Allowed, CODE.into())
    }
}

fn names() -> Names {
    Names::of(std::iter::repeat_n("\"".repeat(32).as_str(), 16))
}

fn decision() -> Decision {
    Decision {
        action: text(),
        bundle: Some(Digest::of(b"")),
        client: Some(client()),
        commitment: Some(Digest::of(b"")),
        detail: Some(text()),
        grant: Some(GrantId::from_u64(u64::MAX)),
        policies: names(),
        resource: text(),
        route: Some("r".repeat(64).parse::<RouteId>().unwrap()),
        user: Some(user()),
        ..Decision::new(CODE.into(), Verdict::Denied, CODE.into())
    }
}

fn sign_in_events() -> Vec<Event> {
    let (session, grant, scopes) = (
        SessionId::from_u64(u64::MAX),
        GrantId::from_u64(u64::MAX),
        text::<512>(),
    );
    let code = || Code::of(CODE);
    vec![
        SignIn {
            client: Some(client()),
            method: code(),
            outcome: SignInOutcome::Throttled,
            reason: Some(code()),
            session: Some(session),
            user: Some(user()),
        }
        .into(),
        AuthenticatorChanged {
            change: code(),
            decision: Verdict::Allowed,
            kind: code(),
            reason: Some(code()),
            user: user(),
        }
        .into(),
        SignOut {
            reason: code(),
            session,
            user: user(),
        }
        .into(),
        Consent {
            answer: ConsentAnswer::Granted,
            client: client(),
            grant: Some(grant),
            scopes: scopes.clone(),
            user: user(),
        }
        .into(),
        AuthorizationRequested {
            aud: Some(text()),
            client: client(),
            method: code(),
            scopes: scopes.clone(),
        }
        .into(),
        AuthorizationRefused {
            client: Some(client()),
            error: code(),
            reason: code(),
            user: Some(user()),
        }
        .into(),
        CodeIssued {
            aud: Some(text()),
            client: client(),
            grant,
            scopes,
            user: user(),
        }
        .into(),
    ]
}

fn upstream_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    vec![
        ProviderChanged {
            by: Actor::LocalAdministrator,
            change: code(),
            provider: text(),
        }
        .into(),
        UpstreamLink {
            change: code(),
            decision: Verdict::Denied,
            provider: text(),
            reason: Some(code()),
            user: user(),
        }
        .into(),
        UpstreamReturned { provider: text() }.into(),
        UpstreamSignIn {
            decision: Verdict::Denied,
            provider: Some(text()),
            reason: Some(code()),
            session: Some(SessionId::from_u64(u64::MAX)),
            user: Some(user()),
        }
        .into(),
    ]
}

/// The largest event of each kind.
pub(crate) fn examples() -> Vec<Event> {
    let mut events = administration_events();
    events.extend(upstream_events());
    events.extend(key_and_lifecycle_events());
    events.extend(token_events());
    events.extend(sign_in_events());
    events.extend(decoupled_events());
    events.extend(message_events());
    events.extend(webhook_events());
    events
}

fn message_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    let digest = Digest::of(b"");
    vec![
        MessageReceived {
            content_sha256: Some(digest),
            decision: Verdict::Denied,
            form: code(),
            key: Some(text()),
            message: Some(text()),
            message_sha256: Some(digest),
            partner: text(),
            reason: Some(code()),
            receipt_sha256: Some(digest),
            route: text(),
        }
        .into(),
        MessageSent {
            content_sha256: digest,
            form: code(),
            key: text(),
            message: text(),
            message_sha256: digest,
            partner: text(),
            route: text(),
        }
        .into(),
    ]
}

fn webhook_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    vec![
        WebhookEndpointChanged {
            by: Actor::Client(client()),
            change: code(),
            endpoint: EndpointId::from_bytes([0xff; 16]),
            partner: Some("p".repeat(64).parse().unwrap()),
        }
        .into(),
        WebhookEventTypeChanged {
            by: Actor::Client(client()),
            change: code(),
            name: "e".repeat(128).parse().unwrap(),
            version: Some(Count::of(u64::MAX)),
        }
        .into(),
        WebhookPublished {
            by: Actor::Client(client()),
            event_type: "e".repeat(128).parse().unwrap(),
            message: MessageId::from_bytes([0xff; 16]),
            partner: Some("p".repeat(64).parse().unwrap()),
        }
        .into(),
        WebhookReplayAsked {
            by: Actor::Client(client()),
            endpoint: EndpointId::from_bytes([0xff; 16]),
            message: Some(MessageId::from_bytes([0xff; 16])),
            since: Count::of(u64::MAX),
            until: Count::of(u64::MAX),
            which: code(),
        }
        .into(),
        WebhookSecretRotated {
            by: Actor::Client(client()),
            endpoint: EndpointId::from_bytes([0xff; 16]),
            others_end: Count::of(u64::MAX),
            secret: WebhookSecretId::from_bytes([0xff; 16]),
        }
        .into(),
    ]
}

fn decoupled_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    let grant = GrantId::from_u64(u64::MAX);
    vec![
        DecoupledAnswered {
            answer: DecoupledAnswer::Refused,
            client: client(),
            flow: code(),
            grant,
            policies: names(),
            reason: Some(code()),
            scopes: text(),
            user: user(),
        }
        .into(),
        DecoupledRequested {
            aud: Some(text()),
            client: client(),
            flow: code(),
            grant,
            scopes: text(),
            user: Some(user()),
        }
        .into(),
        UserCodeRefused {
            reason: code(),
            user: user(),
        }
        .into(),
        WebhookEndpointDisabled {
            endpoint: Text::of(&"e".repeat(32)),
            reason: code(),
        }
        .into(),
        WebhookRefused {
            detail: Some(text()),
            reason: code(),
            route: "r".repeat(64).parse::<RouteId>().unwrap(),
            source: text(),
        }
        .into(),
        WebhookRepeated {
            reason: code(),
            route: "r".repeat(64).parse::<RouteId>().unwrap(),
            source: text(),
        }
        .into(),
    ]
}

#[expect(clippy::too_many_lines, reason = "one of each")]
fn administration_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    let by = || Actor::Client(client());
    let many = Count::of(u64::MAX);
    vec![
        AdminAction {
            action: text(),
            by: by(),
            decision: Verdict::Allowed,
            reason: code(),
            resource: text(),
        }
        .into(),
        ApiKeyAdded {
            by: by(),
            client: client(),
            expires: many,
            key: GrantId::from_u64(u64::MAX),
            networks: many,
            replaces: Some(GrantId::from_u64(u64::MAX)),
        }
        .into(),
        ApiKeyEnded {
            by: by(),
            client: client(),
            key: GrantId::from_u64(u64::MAX),
            reason: code(),
        }
        .into(),
        BrowserSessionBegan {
            client: client(),
            session: text(),
            user: Some(user()),
        }
        .into(),
        BrowserSessionEnded {
            reason: code(),
            session: text(),
        }
        .into(),
        ClientAdded {
            by: by(),
            client: client(),
            method: code(),
        }
        .into(),
        ClientChanged {
            by: by(),
            change: code(),
            client: client(),
        }
        .into(),
        PoliciesOverdue {
            bundle: Digest::of(b""),
            expired: many,
            standing: code(),
            version: many,
        }
        .into(),
        ConfigurationApplied {
            changes: many,
            configuration: Digest::of(b""),
            decision: Verdict::Denied,
            reason: Some(code()),
        }
        .into(),
        DeliveryEnded {
            attempts: many,
            delivery: text(),
            destination: text(),
            kind: code(),
            outcome: code(),
            reason: Some(code()),
        }
        .into(),
        RegistrationRefused {
            client: Some(client()),
            error: code(),
            reason: code(),
        }
        .into(),
        RegistrationTokenMade {
            by: by(),
            lifetime: many,
        }
        .into(),
        TenantAdded {
            by: by(),
            name: "t".repeat(32).parse::<Tenant>().unwrap(),
        }
        .into(),
        UserAdded {
            by: by(),
            user: user(),
        }
        .into(),
        SubjectErased {
            by: by(),
            epoch: Digest::of(b""),
            subject: Digest::of(b""),
        }
        .into(),
        Restored {
            backup: Digest::of(b""),
            made: Count::of(u64::MAX),
            size: Count::of(u64::MAX),
        }
        .into(),
        UserChanged {
            by: by(),
            change: code(),
            user: user(),
        }
        .into(),
    ]
}

fn key_and_lifecycle_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    let kid = "k".repeat(128).parse::<Kid>().unwrap();
    let many = Count::of(u64::MAX);
    vec![
        KeyCreated {
            algorithm: code(),
            kid: kid.clone(),
            purpose: code(),
        }
        .into(),
        KeyRotated {
            from: code(),
            kid,
            purpose: code(),
            reason: code(),
            to: code(),
        }
        .into(),
        KeyRotationBegan {
            by: Actor::System,
            key: code(),
            reason: code(),
            version: many,
        }
        .into(),
        KeyRotationEnded {
            destroyed: many,
            key: code(),
            rewrapped: many,
            version: many,
        }
        .into(),
        Outcome {
            bytes: many,
            detail: Some(text()),
            micros: many,
            of: EventId::from_bytes([0xff; 16]),
            status: u16::MAX,
        }
        .into(),
        RefusalsCounted {
            count: many,
            from: UnixMillis(1 << 52),
            kind: code(),
            source: Digest::of(b""),
        }
        .into(),
        SealOperation {
            generation: Some(many),
            operation: code(),
            reason: Some(code()),
            refused: Some(many),
            seal: Some(code()),
            step: code(),
        }
        .into(),
        Started {
            configuration: Some(Digest::of(b"")),
            version: text(),
        }
        .into(),
        Stopped { reason: code() }.into(),
    ]
}

fn token_events() -> Vec<Event> {
    let code = || Code::of(CODE);
    let grant = GrantId::from_u64(u64::MAX);
    vec![
        ClientAuthentication {
            client: Some(client()),
            decision: Verdict::Denied,
            method: code(),
            reason: Some(code()),
        }
        .into(),
        decision().into(),
        GrantRevoked {
            by: Actor::Client(client()),
            grant,
            reason: code(),
        }
        .into(),
        Introspected {
            activity: Activity::Inactive,
            client: client(),
            grant: Some(grant),
            reason: Some(code()),
        }
        .into(),
        RefreshReused {
            client: client(),
            grant,
            user: Some(user()),
        }
        .into(),
        token().into(),
    ]
}

#[test]
fn every_kind_has_an_example() {
    let mut kinds: Vec<&str> = examples().iter().map(Event::kind).collect();
    kinds.sort_unstable();
    let mut listed = Event::KINDS.to_vec();
    listed.sort_unstable();
    assert_eq!(kinds, listed);
}

#[test]
fn what_changes_rights_has_reserved_space() {
    use crate::record::Class;
    let mut data: Vec<&str> = examples()
        .iter()
        .filter(|event| event.class() == Class::Data)
        .map(Event::kind)
        .collect();
    data.sort_unstable();
    let expected = [
        "authorization.refused",
        "authorization.requested",
        "client.authentication",
        "decision",
        "decoupled.requested",
        "introspected",
        "message.received",
        "message.sent",
        "outcome",
        "refusals.counted",
        "registration.refused",
        "upstream.returned",
        "user_code.refused",
        "webhook.published",
        "webhook.refused",
        "webhook.repeated",
    ];
    assert_eq!(data, expected);
}
