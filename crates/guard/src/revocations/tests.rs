use super::*;
use crate::fixtures::{self, NOW, clock, issuer};
use crate::keys::StaticKeys;
use countersign_base::{Bounded, GrantId};
use countersign_crypto::jose::{JwkSet, sign_jwt};
use countersign_crypto::signing::{RevocationList, SigningKey};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// An issuer that answers with these pages in turn.
struct Pages {
    key: SigningKey<RevocationList>,
    pages: Mutex<VecDeque<RevocationListClaims>>,
}

struct Source(Arc<Pages>);

impl RevocationSource for Source {
    fn fetch(
        &self,
        _: &Issuer,
        _: Option<&Cursor>,
    ) -> BoxFuture<'static, Result<String, FetchFailed>> {
        let page = self.0.pages.lock().unwrap().pop_front();
        let signed = page.map(|page| sign_jwt(&self.0.key, &page).unwrap());
        Box::pin(async move { signed.ok_or(FetchFailed) })
    }
}

fn page(after: Option<&str>, cursor: &str, grants: &[u64]) -> RevocationListClaims {
    RevocationListClaims {
        iss: issuer().issuer,
        iat: NOW,
        exp: NOW.plus(Duration::from_secs(30)),
        after: after.map(|after| Bounded::parse(after).unwrap()),
        cursor: Bounded::parse(cursor).unwrap(),
        more: false,
        revoked: grants
            .iter()
            .map(|grant| RevokedEntry {
                what: RevokedThing::Grant(GrantId::from_u64(*grant)),
                not_before: NOW,
                expires: NOW.plus(Duration::from_secs(7200)),
            })
            .collect(),
    }
}

fn feed(pages: Vec<RevocationListClaims>) -> (RevocationFeed, Arc<Pages>, Arc<AtomicI64>) {
    let key = fixtures::key::<RevocationList>();
    let set = JwkSet::single(key.verifying_key().unwrap()).to_json();
    let keys = StaticKeys::new([(issuer().issuer, set.to_string().into())]);
    let pages = Arc::new(Pages {
        key,
        pages: Mutex::new(pages.into()),
    });
    let (clock, seconds) = clock();
    let feed = RevocationFeed::new(issuer(), keys, Source(Arc::clone(&pages)), clock);
    (feed, pages, seconds)
}

fn is_revoked(feed: &RevocationFeed, grant: u64) -> bool {
    feed.not_before(RevocationId::Grant(GrantId::from_u64(grant)))
        .is_some()
}

#[tokio::test]
async fn a_feed_that_was_never_filled_or_grew_old_denies() {
    let (feed, pages, seconds) = feed(vec![page(None, "b.1", &[1])]);
    assert_eq!(feed.freshness(NOW), Freshness::Stale);
    feed.pull().await.unwrap();
    assert_eq!(feed.freshness(NOW), Freshness::Current);
    assert!(is_revoked(&feed, 1) && !is_revoked(&feed, 2));
    assert_eq!(feed.pull().await, Err(PullError::Fetch));
    let later = NOW.plus(Duration::from_secs(31));
    assert_eq!(feed.freshness(later), Freshness::Stale, "cut off");
    assert!(is_revoked(&feed, 1), "what is known stays known");
    seconds.store(later.0, Ordering::SeqCst);
    let mut fresh = page(Some("b.1"), "b.2", &[2]);
    (fresh.iat, fresh.exp) = (later, later.plus(Duration::from_secs(30)));
    pages.pages.lock().unwrap().push_back(fresh);
    feed.pull().await.unwrap();
    assert_eq!(feed.freshness(later), Freshness::Current);
    assert!(is_revoked(&feed, 1) && is_revoked(&feed, 2));
}

#[tokio::test]
async fn pages_follow_each_other_and_only_the_last_makes_the_feed_fresh() {
    let mut first = page(None, "b.1", &[1]);
    first.more = true;
    let (feed, pages, _) = feed(vec![first]);
    assert_eq!(feed.pull().await, Err(PullError::Fetch), "the second page");
    assert_eq!(feed.freshness(NOW), Freshness::Stale);
    pages
        .pages
        .lock()
        .unwrap()
        .push_back(page(Some("b.1"), "b.2", &[2]));
    feed.pull().await.unwrap();
    assert_eq!(feed.freshness(NOW), Freshness::Current);
    assert!(is_revoked(&feed, 1) && is_revoked(&feed, 2));
}

#[tokio::test]
async fn a_page_that_answers_another_question_or_is_over_or_of_another_issuer_is_refused() {
    let mut over = page(None, "b.1", &[1]);
    (over.iat, over.exp) = (UnixTime(NOW.0 - 100), UnixTime(NOW.0 - 70));
    let mut foreign = page(None, "b.1", &[1]);
    foreign.iss = "https://evil.example".parse().unwrap();
    for bad in [page(Some("b.0"), "b.1", &[1]), over, foreign] {
        let (feed, _, _) = feed(vec![bad]);
        assert!(matches!(feed.pull().await, Err(PullError::Page(_))));
        assert_eq!(feed.freshness(NOW), Freshness::Stale);
    }
    let (feed, _, _) = feed(vec![page(None, "b.1", &[1])]);
    assert!(feed.pull().await.is_ok());
}
