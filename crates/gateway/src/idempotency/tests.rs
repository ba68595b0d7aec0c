use super::*;
use http::HeaderValue;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const KEEP: Duration = Duration::from_secs(60);

fn answer(bytes: usize) -> Ended {
    Ended::Answered(Answer {
        status: StatusCode::CREATED,
        headers: HeaderMap::new(),
        body: vec![b'x'; bytes].into(),
    })
}

/// What a caller meets, in a word.
fn word(begun: &Begun) -> &'static str {
    match begun {
        Begun::Replay(_) => "replay",
        Begun::Run(_) => "run",
        Begun::Wait(_) => "wait",
        Begun::Refused(KeyError::Mismatch) => "mismatch",
        Begun::Refused(KeyError::NoRoom) => "no room",
        Begun::Refused(KeyError::NotKept) => "not kept",
        Begun::Refused(KeyError::Unknown) => "unknown",
        Begun::Refused(_) => "other",
    }
}

fn begin(keys: &Arc<Keys>, named: Named, now: u64) -> Begun {
    keys.begin(named, KEEP, now)
}

fn run(keys: &Arc<Keys>, named: Named, now: u64, ended: Ended) {
    match begin(keys, named, now) {
        Begun::Run(mut running) => _ = running.over(ended),
        other => panic!("{}", word(&other)),
    }
}

#[test]
fn a_key_is_passed_on_once_and_then_answered() {
    let keys = Arc::new(Keys::default());
    let named = Named::test(1, 1, 1);
    let Begun::Run(running) = begin(&keys, named, 0) else {
        panic!("not the first")
    };
    let Begun::Wait(ends) = begin(&keys, named, 0) else {
        panic!("nothing to wait for")
    };
    assert!(ends.has_changed().is_ok());
    assert_eq!(word(&begin(&keys, Named::test(1, 1, 2), 0)), "mismatch");
    let mut running = running;
    let _kept = running.over(answer(3));
    drop(running);
    assert!(ends.has_changed().is_err(), "whoever waited looks again");
    assert_eq!(word(&begin(&keys, named, 0)), "replay");
    assert_eq!(word(&begin(&keys, Named::test(1, 1, 2), 0)), "mismatch");
    assert_eq!(word(&begin(&keys, Named::test(1, 2, 1), 0)), "run");
    // Its time is over: the key is new, also for another request.
    assert_eq!(word(&begin(&keys, named, 60 * SECOND - 1)), "replay");
    assert_eq!(
        word(&begin(&keys, Named::test(1, 1, 2), 60 * SECOND)),
        "run"
    );
}

#[test]
fn who_waited_is_answered_here_and_who_comes_later_asks_elsewhere() {
    let keys = Arc::new(Keys::default());
    let named = Named::test(1, 1, 1);
    let Begun::Run(mut running) = begin(&keys, named, 0) else {
        panic!("not the first")
    };
    let Ended::Answered(kept) = answer(3) else {
        unreachable!()
    };
    let _kept = running.over(Ended::Relayed(kept));
    assert_eq!(word(&begin(&keys, named, SECOND)), "replay");
    assert_eq!(
        word(&begin(&keys, Named::test(1, 1, 2), SECOND)),
        "mismatch"
    );
    // A little more than the two seconds passed while this test ran.
    assert_eq!(word(&begin(&keys, named, 40 * SECOND)), "run");
}

#[test]
fn what_may_have_taken_effect_is_not_done_again() {
    let keys = Arc::new(Keys::default());
    let Begun::Run(mut running) = begin(&keys, Named::test(1, 1, 1), 0) else {
        panic!("not the first")
    };
    running.passes_on();
    drop(running);
    assert_eq!(word(&begin(&keys, Named::test(1, 1, 1), 0)), "unknown");
    // One that was never passed on leaves nothing behind.
    drop(begin(&keys, Named::test(1, 4, 1), 0));
    assert_eq!(word(&begin(&keys, Named::test(1, 4, 1), 0)), "run");
    run(&keys, Named::test(1, 2, 1), 0, Ended::TooLarge);
    assert_eq!(word(&begin(&keys, Named::test(1, 2, 1), 0)), "not kept");
    run(&keys, Named::test(1, 3, 1), 0, Ended::NotCarriedOut);
    assert_eq!(word(&begin(&keys, Named::test(1, 3, 1), 0)), "run");
}

#[test]
fn one_caller_cannot_take_all_the_room_and_nothing_is_forgotten_early() {
    let keys = Arc::new(Keys::default());
    let of = |caller: u8, number: usize| {
        let mut named = Named::test(caller, 0, 1);
        named.name[..8].copy_from_slice(&number.to_be_bytes());
        named.name[8] = caller;
        named
    };
    let most = KEYS_MAX / CALLER_PART;
    for number in 0..most {
        run(&keys, of(1, number), 0, answer(0));
    }
    assert_eq!(word(&begin(&keys, of(1, most), 2 * SECOND)), "no room");
    run(&keys, of(2, 0), 2 * SECOND, answer(0));
    assert_eq!(word(&begin(&keys, of(1, 0), 2 * SECOND)), "replay");
    // Time makes room.
    assert_eq!(word(&begin(&keys, of(1, most), 70 * SECOND)), "run");
    assert!(keys.0.lock().unwrap().all.keys <= 2);
    // Bytes are bounded as well: past them an answer is not kept, and still not given twice.
    let big = BYTES_MAX / CALLER_PART / 2 + 1;
    run(&keys, of(3, 0), 70 * SECOND, answer(big));
    run(&keys, of(3, 1), 70 * SECOND, answer(big));
    assert_eq!(word(&begin(&keys, of(3, 0), 70 * SECOND)), "replay");
    assert_eq!(word(&begin(&keys, of(3, 1), 70 * SECOND)), "not kept");
}

#[test]
fn one_tenant_cannot_take_all_the_room() {
    let keys = Arc::new(Keys::default());
    let of = |tenant: u8, caller: u8, number: usize| {
        let mut named = Named::test(caller, 0, 1);
        named.tenant = [tenant; 32];
        named.name[..8].copy_from_slice(&number.to_be_bytes());
        named.name[8] = caller;
        named
    };
    let callers = u8::try_from(CALLER_PART / TENANT_PART).unwrap();
    for caller in 0..callers {
        for number in 0..KEYS_MAX / CALLER_PART {
            run(&keys, of(1, caller, number), 0, answer(0));
        }
    }
    // Another caller of the same tenant, and the same one of another.
    let fresh = callers;
    assert_eq!(word(&begin(&keys, of(1, fresh, 0), 0)), "no room");
    assert_eq!(word(&begin(&keys, of(2, fresh, 0), 0)), "run");
    // The same with bytes.
    let keys = Arc::new(Keys::default());
    for caller in 0..callers {
        run(&keys, of(1, caller, 0), 0, answer(BYTES_MAX / CALLER_PART));
        assert_eq!(word(&begin(&keys, of(1, caller, 0), 0)), "replay");
    }
    run(&keys, of(1, fresh, 0), 0, answer(1));
    assert_eq!(word(&begin(&keys, of(1, fresh, 0), 0)), "not kept");
    run(&keys, of(2, fresh, 1), 0, answer(1));
    assert_eq!(word(&begin(&keys, of(2, fresh, 1), 0)), "replay");
}

#[test]
fn keys_are_one_field_of_visible_characters() {
    let with = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        }
        key_of(&headers)
    };
    assert_eq!(with(&[]), Ok(None));
    // Quoted and bare it is the same key.
    assert_eq!(with(&["\"8e03978e\""]), Ok(Some("8e03978e".to_owned())));
    assert_eq!(with(&["8e03978e"]), Ok(Some("8e03978e".to_owned())));
    let longest = "k".repeat(KEY_BYTES_MAX);
    assert_eq!(with(&[&longest]), Ok(Some(longest.clone())));
    for broken in [
        &["a", "a"][..],
        &[""],
        &["a b"],
        &["\"a\", \"b\""],
        &["\"a\";p"],
        &["\u{e4}"],
        &[&format!("{longest}k")],
    ] {
        assert_eq!(with(broken), Err(KeyError::Broken), "{broken:?}");
    }
}

#[test]
fn an_upstream_that_did_nothing_says_so() {
    let mut headers = HeaderMap::new();
    assert!(is_not_carried_out(
        StatusCode::TOO_MANY_REQUESTS,
        &headers,
        TokenSeen::Callers
    ));
    assert!(!is_not_carried_out(
        StatusCode::SERVICE_UNAVAILABLE,
        &headers,
        TokenSeen::Callers
    ));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    assert!(is_not_carried_out(
        StatusCode::SERVICE_UNAVAILABLE,
        &headers,
        TokenSeen::Callers
    ));
    assert!(!is_not_carried_out(
        StatusCode::INTERNAL_SERVER_ERROR,
        &headers,
        TokenSeen::Callers
    ));
}

#[test]
fn a_refused_token_is_no_answer_where_the_next_try_brings_another() {
    let free = |token| is_not_carried_out(StatusCode::UNAUTHORIZED, &HeaderMap::new(), token);
    assert!(free(TokenSeen::Exchanged));
    assert!(!free(TokenSeen::Callers));
}

proptest! {
    /// Whatever comes in whatever order, the books agree with what is kept, and a key runs once at a time.
    #[test]
    fn the_books_are_right(steps in prop::collection::vec((0_u8..3, 0_u8..4, 0_u8..2, 0_u8..6, 0..20 * SECOND), 1..120)) {
        let keys = Arc::new(Keys::default());
        let (mut now, mut running) = (0, HashMap::new());
        for (caller, key, body, what, gap) in steps {
            now += gap;
            let named = Named { name: digest([&[caller], &[key]]), caller: [caller; 32], tenant: [caller / 2; 32], fingerprint: [body; 32] };
            if let Begun::Run(begun) = begin(&keys, named, now) {
                let earlier: Option<Running> = running.insert((caller, key), begun);
                prop_assert!(earlier.is_none());
                if what == 0
                    && let Some(begun) = running.get_mut(&(caller, key))
                {
                    begun.passes_on();
                }
            }
            let ended = match what {
                0 => None,
                1 => Some(answer(7)),
                2 => Some(Ended::NotCarriedOut),
                3 => Some(Ended::TooLarge),
                _ => continue,
            };
            if let Some(begun) = running.remove(&(caller, key)) {
                match ended { Some(ended) => { let mut begun = begun; let _kept = begun.over(ended); } None => drop(begun) }
            }
            let map = keys.0.lock().unwrap();
            prop_assert_eq!(map.all.keys, map.entries.len());
            prop_assert_eq!(map.all.bytes, map.entries.values().map(|entry| entry.bytes).sum::<usize>());
            prop_assert_eq!(map.tenants.0.values().map(|share| share.keys).sum::<usize>(), map.entries.len());
            prop_assert_eq!(map.tenants.0.values().map(|share| share.bytes).sum::<usize>(), map.all.bytes);
            prop_assert_eq!(map.callers.0.values().map(|share| share.keys).sum::<usize>(), map.entries.len());
        }
    }
}
