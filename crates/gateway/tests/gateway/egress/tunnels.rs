//! How tunnels end: by their sides, by limits, and when what permitted them does so no longer.

use super::{Out, get, usual};
use crate::world::World;
use countersign_gateway::egress::EgressRules;
use countersign_net::Drained;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Waits until the tunnel has ended.
async fn ends(tunnel: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tunnel.read_to_end(&mut rest));
    // A reset is an end as well.
    let _ended = read.await.unwrap();
}

#[tokio::test]
async fn a_tunnel_ends_when_its_grant_is_revoked() {
    let out = Out::start();
    let bearer = out.bearer(|_| {});
    let mut tunnel = out.tunnel_with("partner.test:443", &bearer).await.unwrap();
    let other = out.bearer(|claims| claims["grant_id"] = json!("0000000000000008"));
    let twin = out.tunnel_with("partner.test:443", &other).await.unwrap();
    let grant = "0000000000000007".parse().unwrap();
    out.world
        .planes
        .revoked
        .grants
        .lock()
        .unwrap()
        .insert(grant);
    ends(&mut tunnel).await;
    assert!(stands(&out, twin).await, "the twin");
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"revoked\"");
}

/// Whether a tunnel still leads to its destination.
async fn stands(out: &Out, tunnel: TcpStream) -> bool {
    let tls = super::internet_tls(&out.internet).connector();
    let Ok(mut session) = tls
        .connect("partner.test".try_into().unwrap(), tunnel)
        .await
    else {
        return false;
    };
    get(&mut session, "partner.test", "/").await.contains("200")
}

#[tokio::test]
async fn a_tunnel_ends_when_its_token_expires() {
    let out = Out::start();
    let soon = out.world.now().0 + 2;
    let bearer = out.bearer(|claims| claims["exp"] = json!(soon));
    let mut tunnel = out.tunnel_with("partner.test:443", &bearer).await.unwrap();
    ends(&mut tunnel).await;
    assert!(out.world.now().0 >= soon);
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"token_expired\"");
}

#[tokio::test]
async fn a_tunnel_ends_when_its_rule_or_its_workload_is_gone() {
    for (reason, keep_rule) in [("host_not_listed", false), ("workload_withdrawn", true)] {
        let out = Out::start();
        let mut tunnel = out.tunnel("partner.test:443").await;
        let mut spec = usual(&out.internet);
        if keep_rule {
            spec.workloads.clear();
        } else {
            spec.rules.retain(|rule| rule.id.as_str() != "partner");
        }
        out.proxy.replace_rules(EgressRules::new(spec));
        ends(&mut tunnel).await;
        let log = out.log().await;
        World::assert_logged(&log, &format!("\"reason\":\"{reason}\""));
    }
    // The twin: other rules that still list it.
    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    let asked = out.internet.looked_up("partner.test");
    out.proxy
        .replace_rules(EgressRules::new(usual(&out.internet)));
    assert!(stands(&out, tunnel).await);
    assert_eq!(out.internet.looked_up("partner.test"), asked);
}

#[tokio::test]
async fn a_tunnel_has_so_many_bytes_and_so_much_patience() {
    let out = Out::with(|spec| spec.limits.bytes_max = 64);
    let mut tunnel = out.tunnel("partner.test:443").await;
    tunnel.write_all(&[0x16; 65]).await.unwrap();
    ends(&mut tunnel).await;

    let out = Out::with(|spec| spec.limits.idle = Duration::from_secs(1));
    let mut tunnel = out.tunnel("partner.test:443").await;
    ends(&mut tunnel).await;

    let out = Out::with(|spec| spec.limits.total = Duration::from_secs(1));
    let mut tunnel = out.tunnel("partner.test:443").await;
    ends(&mut tunnel).await;

    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    assert!(stands(&out, tunnel).await, "the twin");
}

#[tokio::test]
async fn a_workload_has_so_many_tunnels_at_once() {
    let out = Out::with(|spec| spec.limits.per_workload = 2);
    let first = out.tunnel("partner.test:443").await;
    let _second = out.tunnel("partner.test:443").await;
    assert_eq!(out.verdict("partner.test:443").await, "429 workload_busy");
    let other = out.bearer(|_| {});
    assert_eq!(
        out.verdict_with("partner.test:443", &other).await,
        "200",
        "another workload has its own"
    );
    assert!(stands(&out, first).await);
    // Its end frees its place, as soon as the proxy has seen it.
    let freed = tokio::time::timeout(Duration::from_secs(20), async {
        while out.verdict("partner.test:443").await != "200" {
            tokio::task::yield_now().await;
        }
    });
    freed.await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_tunnels_finish_and_closes_them_at_the_deadline() {
    let out = Out::start();
    let mut tunnel = out.tunnel("partner.test:443").await;
    let Out {
        running,
        world,
        internet,
        ..
    } = out;
    let drained = running.stop(Duration::from_millis(50)).await;
    assert_eq!(drained, Drained::DeadlinePassed);
    ends(&mut tunnel).await;
    let log = world.log_text().await;
    World::assert_logged(&log, "\"status\":200");
    drop(internet);

    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    assert!(stands(&out, tunnel).await);
    let drained = out.running.stop(Duration::from_secs(20)).await;
    assert_eq!(drained, Drained::Clean, "the twin: nothing was under way");
}
