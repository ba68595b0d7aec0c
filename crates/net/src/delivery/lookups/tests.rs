use super::*;
use crate::Network;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names that begin with `hangs` are looked up for ever; who is asked and never answered is counted.
fn network(hanging: &Arc<AtomicUsize>) -> Network {
    let hanging = Arc::clone(hanging);
    Network::new(
        move |host, port| {
            let hanging = Arc::clone(&hanging);
            Box::pin(async move {
                if host.starts_with("hangs") {
                    hanging.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
                Ok(vec![SocketAddr::from(([93, 184, 215, 14], port))])
            })
        },
        |address| Box::pin(tokio::net::TcpStream::connect(address)),
    )
}

/// As a delivery does, which gives up before a name that hangs does.
async fn impatient(lookups: &Lookups, egress: &EgressPolicy, host: &str) -> Option<Judged> {
    let looked_up = lookups.resolve(egress, host, 443);
    tokio::time::timeout(Duration::from_millis(20), looked_up)
        .await
        .ok()?
        .ok()
}

#[tokio::test]
async fn names_that_hang_take_nothing_from_those_that_were_found() {
    let hanging = Arc::default();
    let egress = EgressPolicy::public_only().over(network(&hanging));
    let lookups = Lookups::new();
    assert!(impatient(&lookups, &egress, "good.test").await.is_some());
    let names: Vec<String> = (0..OTHERS_AT_ONCE_MAX * 2)
        .map(|number| format!("hangs{number}.test"))
        .collect();
    let all = names.iter().map(|name| impatient(&lookups, &egress, name));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(Option::is_none));
    // Nobody waits for them any more, and they still are as many.
    assert_eq!(hanging.load(Ordering::SeqCst), OTHERS_AT_ONCE_MAX);
    assert!(impatient(&lookups, &egress, "good.test").await.is_some());
    assert!(impatient(&lookups, &egress, "192.0.2.1").await.is_none());
    assert!(
        impatient(&lookups, &egress, "93.184.215.14")
            .await
            .is_some()
    );
    assert!(impatient(&lookups, &egress, "new.test").await.is_none());
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let found = Found::default();
    for number in 0..=REMEMBERED_MAX {
        found.remember(format!("{number}.test"));
    }
    assert_eq!(found.lock().len(), 1);
    found.forget(&format!("{REMEMBERED_MAX}.test"));
    assert!(!found.has(&format!("{REMEMBERED_MAX}.test")));
}
