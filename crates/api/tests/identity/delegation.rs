//! Delegation over the wire: what is exchanged, what dies with it, and what services are told of it.

use super::flow::{text, tokens};
use super::harness::{SECRET, Server, claims};
use countersign_base::{Bounded, Tenant};
use countersign_oauth::client::delegation::AssertionTarget;
use countersign_oauth::{ClientRecord, GrantType};
use countersign_store::Write;
use countersign_store::tables::{clients, exchanges};
use http::StatusCode;
use serde_json::Value;

const KIND: &str = "urn:ietf:params:oauth:token-type";
const ORDERS_CLIENT: (&str, &str) = ("orders", "orders-secret");

fn exchange(token: &str, kind: &str, more: &str) -> String {
    format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}&subject_token_type={KIND}:{kind}{more}"
    )
}

/// Changes a registration, as an administrator would.
pub(crate) async fn register(server: &Server, id: &str, change: impl FnOnce(&mut ClientRecord)) {
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let id = id.parse().unwrap();
    let mut connection = fabric.store().read().await.unwrap();
    let mut record = clients::find(&mut connection, &tenant, &id)
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    change(&mut record);
    let event = countersign_audit::event::ClientChanged {
        by: countersign_audit::event::Actor::System,
        change: "delegation".into(),
        client: id.clone(),
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let writes = vec![Write::PutClient(Box::new(record))];
    let _receipt = fabric
        .store()
        .change(&tenant, writes, event, fabric.now())
        .await
        .unwrap();
    fabric.directory().client_changed(&tenant, &id);
}

fn header(token: &str) -> Value {
    let first = token.split('.').next().unwrap();
    serde_json::from_slice(&countersign_crypto::base64url::decode(first).unwrap()).unwrap()
}

#[tokio::test]
async fn tx_12_a27_r42_what_was_exchanged_from_a_clients_own_token_dies_with_its_grant() {
    let server = Server::start().await;
    let own = "grant_type=client_credentials&scope=billing:read";
    let (first, other) = (server.token(own, None).await, server.token(own, None).await);
    let exchanged = async |token: &str| {
        server
            .client_post(
                "/token",
                ORDERS_CLIENT,
                &exchange(token, "access_token", "&scope=billing:read"),
                None,
            )
            .await
    };
    let token = text(&first, "access_token");
    let child = exchanged(&token).await;
    assert_eq!(child.status, StatusCode::OK, "{child:?}");
    let child = text(&child, "access_token");
    assert!(server.is_active(&child).await);
    let gone = server
        .client_post(
            "/revoke",
            ("portal", SECRET),
            &format!("token={token}"),
            None,
        )
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    assert!(!server.is_active(&child).await, "the exchanged token too");
    assert_eq!(exchanged(&token).await.error(), "invalid_request");
    let twin = exchanged(&text(&other, "access_token")).await;
    assert_eq!(twin.status, StatusCode::OK, "another grant: {twin:?}");
}

#[tokio::test]
async fn tx_12_the_exchange_graph_remembers_each_edge() {
    let server = Server::start().await;
    let access = text(&tokens(&server, None).await, "access_token");
    let child = server
        .client_post(
            "/token",
            ORDERS_CLIENT,
            &exchange(&access, "access_token", "&scope=billing:read"),
            None,
        )
        .await;
    let (parent, child) = (claims(&access), claims(&text(&child, "access_token")));
    let grant = parent["grant_id"].as_str().unwrap().parse().unwrap();
    let mut connection = server.fabric.fabric.store().read().await.unwrap();
    let edges = exchanges::of_grant(&mut connection, &Tenant::default_tenant(), grant, 10)
        .await
        .unwrap();
    assert_eq!(edges.len(), 1);
    assert_eq!(
        (
            Some(edges[0].parent.as_str()),
            Some(edges[0].child.as_str())
        ),
        (parent["jti"].as_str(), child["jti"].as_str())
    );
    drop(connection);
    let store = server.fabric.fabric.store();
    let late = edges[0]
        .kept_until
        .plus(countersign_base::Duration::from_secs(24 * 3600 + 1));
    store.sweep_all(late).await.unwrap();
    let mut connection = store.read().await.unwrap();
    let left = exchanges::of_grant(&mut connection, &Tenant::default_tenant(), grant, 10).await;
    assert_eq!(left.unwrap(), [], "gone with the grant");
}

#[tokio::test]
async fn an_id_token_becomes_an_assertion_for_a_server_that_trusts_us_and_for_no_other() {
    let server = Server::start().await;
    register(&server, "portal", |client| {
        client.grants.insert(GrantType::TokenExchange);
        client.delegation.assertions = [(
            "https://id.partner.test".parse().unwrap(),
            AssertionTarget {
                client_id: Bounded::parse("portal-there").unwrap(),
                scopes: "chat.read".parse().unwrap(),
                resources: Default::default(),
            },
        )]
        .into();
    })
    .await;
    let first = tokens(&server, None).await;
    let (id_token, refresh) = (text(&first, "id_token"), text(&first, "refresh_token"));
    let ask = async |token: &str, kind: &str, audience: &str| {
        let more = format!("&requested_token_type={KIND}:id-jag&audience={audience}");
        server.token(&exchange(token, kind, &more), None).await
    };
    for (token, kind) in [(&id_token, "id_token"), (&refresh, "refresh_token")] {
        let answer = ask(token, kind, "https://id.partner.test").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["token_type"], "N_A");
        let assertion = text(&answer, "access_token");
        assert_eq!(header(&assertion)["typ"], "oauth-id-jag+jwt");
        assert_eq!(claims(&assertion)["client_id"], "portal-there");
        assert_eq!(claims(&assertion)["sub"], claims(&id_token)["sub"]);
        assert!(
            !server.is_active(&assertion).await,
            "jwt_6: it is no access token of ours"
        );
    }
    let elsewhere = ask(&id_token, "id_token", "https://id.elsewhere.test").await;
    assert_eq!(elsewhere.error(), "invalid_target");
    let wrong = ask(
        &text(&first, "access_token"),
        "id_token",
        "https://id.partner.test",
    )
    .await;
    assert_eq!(wrong.error(), "invalid_request", "tx_6");
    let orders = server
        .client_post(
            "/token",
            ORDERS_CLIENT,
            &exchange(&id_token, "id_token", "&scope=billing:read"),
            None,
        )
        .await;
    assert_eq!(orders.error(), "invalid_request", "tx_7: another client's");
}

#[tokio::test]
async fn a_transaction_token_is_made_and_replaced_within_its_trust_domain() {
    let server = Server::start().await;
    register(&server, "orders", |client| {
        client.delegation.trust_domains = ["https://shop.internal".parse().unwrap()].into();
    })
    .await;
    let access = text(&tokens(&server, None).await, "access_token");
    let ask = async |token: &str, kind: &str, more: &str| {
        let more = format!(
            "&requested_token_type={KIND}:txn_token&audience=https://shop.internal&scope=orders:read{more}"
        );
        server
            .client_post("/token", ORDERS_CLIENT, &exchange(token, kind, &more), None)
            .await
    };
    let details = countersign_crypto::base64url::encode(br#"{"order":4711}"#);
    let first = ask(
        &access,
        "access_token",
        &format!("&request_details={details}"),
    )
    .await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(first.json()["expires_in"], Value::Null);
    let first = text(&first, "access_token");
    assert_eq!(header(&first)["typ"], "txntoken+jwt");
    assert_eq!(claims(&first)["tctx"]["order"], 4711);
    let second = ask(&first, "txn_token", "").await;
    assert_eq!(second.status, StatusCode::OK, "{second:?}");
    let second = text(&second, "access_token");
    assert_eq!(claims(&second)["txn"], claims(&first)["txn"]);
    assert_eq!(claims(&second)["req_wl"], "orders,orders");
    assert!(!server.is_active(&first).await, "it is no access token");
    let wrong = ask(&access, "txn_token", "").await;
    assert_eq!(wrong.error(), "invalid_request", "tx_6");
}

#[tokio::test]
async fn a38_services_are_told_at_once_what_was_revoked() {
    let server = Server::start().await;
    let pull = async |after: &str| {
        let page = server
            .client_post("/revocations", ORDERS_CLIENT, after, None)
            .await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        assert_eq!(header(&page.text)["typ"], "revocations+jwt");
        claims(&page.text)
    };
    let before = pull("").await;
    assert_eq!(before["revoked"], serde_json::json!([]));
    let access = text(&tokens(&server, None).await, "access_token");
    let gone = server
        .client_post(
            "/revoke",
            ("portal", SECRET),
            &format!("token={access}"),
            None,
        )
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    let cursor = before["cursor"].as_str().unwrap();
    let after = pull(&format!("after={cursor}&wait=10")).await;
    assert_eq!(after["revoked"][0][0], "grant");
    assert_eq!(after["revoked"][0][1], claims(&access)["grant_id"]);
    assert_eq!(after["after"], cursor);
    assert_eq!(
        server
            .client_post("/revocations", ORDERS_CLIENT, "wait=11", None)
            .await
            .error(),
        "invalid_request"
    );
}

/// A cursor is a place in this process's order and no secret: whatever stands in its place shows no more than the tenant's own list.
#[tokio::test]
async fn a49_a_forged_cursor_shows_the_tenants_own_list_and_nothing_else() {
    let server = Server::start().await;
    let access = text(&tokens(&server, None).await, "access_token");
    let form = format!("token={access}");
    let _gone = server
        .client_post("/revoke", ("portal", SECRET), &form, None)
        .await;
    let fabric = &server.fabric.fabric;
    let acme: Tenant = "acme".parse().unwrap();
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::System,
        change: "disabled".into(),
        user: countersign_base::UserId::from_bytes([3; 16]),
    };
    let event = fabric.recorder().about_event(&acme, None, event);
    let other = countersign_base::GrantId::from_u64(0x0dd);
    let revoked = countersign_store::tables::revocations::Revoked::Grant(other);
    let _receipt = fabric
        .store()
        .change(&acme, vec![Write::Revoke(revoked)], event, fabric.now())
        .await
        .unwrap();
    server.advance(0).await;
    let pull = async |after: &str| {
        let form = format!("after={}", super::harness::escape(after));
        server
            .client_post("/revocations", ORDERS_CLIENT, &form, None)
            .await
    };
    let first = server
        .client_post("/revocations", ORDERS_CLIENT, "", None)
        .await;
    let whole = claims(&first.text);
    assert_eq!(whole["revoked"][0][1], claims(&access)["grant_id"]);
    let cursor = whole["cursor"].as_str().unwrap().to_owned();
    let (boot, number) = cursor.split_once('.').unwrap();
    for forged in [
        "0000000000000000.0".to_owned(),
        format!("{boot}.x"),
        format!("{boot}.-1"),
        format!("{boot}.99999999999999999999999"),
        format!("{}.{number}", boot.to_uppercase().replace('A', "0")),
        "' OR 1=1 --".to_owned(),
    ] {
        let page = pull(&forged).await;
        assert_eq!(page.status, StatusCode::OK, "{forged}: {page:?}");
        let told = claims(&page.text);
        let known = told["revoked"] == whole["revoked"] || forged.starts_with(boot);
        assert!(known, "{forged}: {told}");
        assert!(!told.to_string().contains(&other.to_string()), "{forged}");
    }
    let long = pull(&"9".repeat(65)).await;
    assert_eq!(long.error(), "invalid_request");
    let good = claims(&pull(&cursor).await.text);
    assert_eq!(
        good["revoked"],
        serde_json::json!([]),
        "the twin: nothing new"
    );
}

#[tokio::test]
async fn r42_a19_a_persons_end_is_the_end_of_all_their_grants() {
    let server = Server::start().await;
    let first = tokens(&server, None).await;
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let sub = claims(&text(&first, "access_token"))["sub"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::System,
        change: "disabled".into(),
        user: sub,
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let revoked = countersign_store::tables::revocations::Revoked::User(sub);
    let _receipt = fabric
        .store()
        .change(&tenant, vec![Write::Revoke(revoked)], event, fabric.now())
        .await
        .unwrap();
    let _clients = fabric
        .revocations()
        .refresh(fabric.store(), fabric.now())
        .await
        .unwrap();
    let refresh = format!(
        "grant_type=refresh_token&refresh_token={}",
        text(&first, "refresh_token")
    );
    assert_eq!(server.token(&refresh, None).await.error(), "invalid_grant");
    assert!(!server.is_active(&text(&first, "access_token")).await);
    server.advance(5).await;
    let again = tokens(&server, None).await;
    assert!(
        server.is_active(&text(&again, "access_token")).await,
        "the twin: a new sign-in of somebody who is enabled"
    );
}
