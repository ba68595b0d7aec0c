use super::*;

fn options(address: RedisAddress, names: u8) -> RedisOptions {
    RedisOptions {
        address,
        user: None,
        password: None,
        database: 0,
        timeout: Duration::from_millis(50),
        names: Secret::new([names; 32]),
        told: Box::new(|_| ()),
    }
}

fn nowhere() -> RedisAddress {
    RedisAddress::Unix(PathBuf::from("/nonexistent/redis.sock"))
}

#[tokio::test]
async fn names_are_those_of_the_key_and_of_nothing_else() {
    let start = |names| SharedCounters::start(options(nowhere(), names), Random::system());
    let (one, same, other) = (start(1), start(1), start(2));
    let parts: [&[u8]; 2] = [b"client", b"alice"];
    assert_eq!(one.name(&parts), same.name(&parts));
    assert_ne!(one.name(&parts), other.name(&parts));
    assert_ne!(one.name(&parts), one.name(&[b"clienta", b"lice"]));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away_and_asked_nothing() {
    let counters = SharedCounters::start(options(nowhere(), 1), Random::system());
    assert_eq!(counters.presence(), Presence::Away);
    let asked = counters.take(Vec::new(), CounterClock::Server).await;
    assert_eq!(asked, Err(Away::Known));
}

#[tokio::test]
async fn more_counts_than_a_request_may_have_are_not_asked() {
    let counters = SharedCounters::start(options(nowhere(), 1), Random::system());
    let ask = CounterAsk {
        name: counters.name(&[]),
        rule: counters::CounterRule::day(std::num::NonZeroU32::MIN),
    };
    let asked = counters
        .take(vec![ask; KEYS_MAX + 1], CounterClock::Server)
        .await;
    assert_eq!(asked, Err(Away::AskedTooMuch));
}
