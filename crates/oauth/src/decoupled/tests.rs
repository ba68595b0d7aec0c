use super::*;
use crate::fixture::{NOW, ORDERS, after, audience};

pub(crate) fn request(flow: Flow) -> DecoupledRequest {
    DecoupledRequest {
        flow,
        tenant: Tenant::default_tenant(),
        client: "portal".parse().unwrap(),
        grant: GrantId::from_u64(31),
        scopes: "openid orders:read".parse().unwrap(),
        audiences: vec![audience(ORDERS)],
        particulars: Particulars::default(),
        dpop_jkt: None,
        user: None,
        binding_message: None,
        source: Bounded::parse("203.0.113.7").unwrap(),
        notification: None,
        issued: NOW,
        expires: after(600),
    }
}

pub(crate) fn allowance() -> Allowance {
    Allowance {
        user: UserId::from_bytes([1; 16]),
        session: SessionId::from_u64(5),
        auth_time: NOW,
        methods: [crate::AuthenticationMethod::Password].into(),
    }
}

#[test]
fn a_stored_request_and_answer_read_back_as_they_were() {
    for flow in [Flow::Ciba, Flow::Device] {
        let mut stored = request(flow);
        stored.binding_message = Some("W4-SCT".parse().unwrap());
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(
            serde_json::from_str::<DecoupledRequest>(&text).unwrap(),
            stored
        );
    }
    for answer in [
        Answer::Allowed(allowance()),
        Answer::Denied(UserId::from_bytes([2; 16])),
    ] {
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }
}
