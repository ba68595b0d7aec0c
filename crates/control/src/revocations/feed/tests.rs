use super::*;
use countersign_authn::revocation_list::RevokedThing;
use countersign_base::GrantId;

fn entry(grant: u64) -> RevokedEntry {
    RevokedEntry {
        what: RevokedThing::Grant(GrantId::from_u64(grant)),
        not_before: UnixTime(1_000),
        expires: UnixTime(2_000),
    }
}

fn tenant() -> Tenant {
    Tenant::default_tenant()
}

#[test]
fn a_cursor_goes_on_where_the_page_ended() {
    let feed = Feed::new(1);
    feed.add(&tenant(), entry(1));
    let first = feed.page(&tenant(), None);
    assert_eq!(
        (first.entries.as_slice(), first.more),
        ([entry(1)].as_slice(), false)
    );
    assert_eq!(feed.page(&tenant(), Some(&first.cursor)).entries, []);
    feed.add(&tenant(), entry(2));
    assert_eq!(
        feed.page(&tenant(), Some(&first.cursor)).entries,
        [entry(2)]
    );
}

#[test]
fn another_tenants_revocations_are_not_told() {
    let feed = Feed::new(1);
    feed.add(&"other".parse().unwrap(), entry(1));
    feed.add(&tenant(), entry(2));
    assert_eq!(feed.page(&tenant(), None).entries, [entry(2)]);
}

#[test]
fn a_cursor_of_another_process_gets_everything() {
    let (feed, restarted) = (Feed::new(1), Feed::new(2));
    feed.add(&tenant(), entry(1));
    let cursor = feed.page(&tenant(), None).cursor;
    restarted.add(&tenant(), entry(1));
    assert_eq!(restarted.page(&tenant(), Some(&cursor)).entries, [entry(1)]);
    for strange in ["", "x", "0000000000000001.x"] {
        let strange = Bounded::parse(strange).unwrap();
        assert_eq!(feed.page(&tenant(), Some(&strange)).entries, [entry(1)]);
    }
}

#[test]
fn a_long_list_comes_in_pages_that_miss_nothing() {
    let feed = Feed::new(1);
    for number in 0..500 {
        feed.add(&tenant(), entry(number));
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = feed.page(&tenant(), cursor.as_ref());
        assert!(page.entries.iter().map(RevokedEntry::bytes).sum::<usize>() <= PAGE_BYTES_MAX);
        seen.extend(page.entries);
        cursor = Some(page.cursor);
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (0..500).map(entry).collect::<Vec<_>>());
    assert!(pages > 1);
}

#[test]
fn what_expired_is_forgotten() {
    let feed = Feed::new(1);
    feed.add(&tenant(), entry(1));
    feed.forget(UnixTime(1_999));
    assert_eq!(feed.page(&tenant(), None).entries.len(), 1);
    feed.forget(UnixTime(2_000));
    assert_eq!(feed.page(&tenant(), None).entries.len(), 0);
}

#[tokio::test]
async fn a_question_waits_for_news_of_its_tenant_and_no_longer_than_it_may() {
    let feed = std::sync::Arc::new(Feed::new(1));
    let cursor = feed.page(&tenant(), None).cursor;
    let limit = Duration::from_secs(10);
    let nothing = feed
        .next_page(&tenant(), Some(&cursor), Duration::ZERO)
        .await;
    assert_eq!(nothing.entries, []);
    let waiting = {
        let (feed, cursor) = (feed.clone(), cursor.clone());
        tokio::spawn(async move { feed.next_page(&tenant(), Some(&cursor), limit).await })
    };
    tokio::task::yield_now().await;
    feed.add(&"other".parse().unwrap(), entry(1));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "not its tenant's");
    feed.add(&tenant(), entry(2));
    assert_eq!(waiting.await.unwrap().entries, [entry(2)]);
}
