//! What a proof is bound to, how long it counts, and what is not one.

use super::*;
use countersign_base::Secret;
use countersign_testkit::seeded;
use proptest::prelude::*;

const NOW: UnixTime = UnixTime(1_000_000);

fn key(seed: u8) -> MacKey {
    MacKey::new(Secret::new([seed; 32]))
}

fn set(name: &str) -> WorkSet {
    name.parse().unwrap()
}

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Does the work.
fn solved(challenge: &str, bits: u8) -> String {
    let mut tried = (0_u64..).map(|nonce| format!("{challenge}.{nonce}"));
    let found = tried.find(|answer| zeros(&sha256(answer.as_bytes())) >= u32::from(bits));
    found.unwrap()
}

fn fields(name: HeaderName, values: &[&str]) -> HeaderMap {
    let values = values
        .iter()
        .map(|value| (name.clone(), value.parse().unwrap()));
    values.collect()
}

fn answer(booth: &Booth<'_>, text: &str, now: UnixTime) -> Result<WorkBits, WorkRefusal> {
    booth.answered(&fields(PROOF_OF_WORK, &[text]), now)
}

#[test]
fn a_challenge_is_answered_by_work_in_its_time_and_place() {
    let (key, other_key, door, other_door) = (key(1), key(2), set("door"), set("other"));
    let booth = Booth::new(&key, &door, at("192.0.2.1"));
    let challenge = booth.pose(WorkBits::MIN, &seeded(1), NOW);
    let right = solved(&challenge, 10);
    assert_eq!(answer(&booth, &right, NOW), Ok(WorkBits::MIN));
    let last = UnixTime(NOW.0 + 299);
    assert_eq!(answer(&booth, &right, last), Ok(WorkBits::MIN));
    let late = UnixTime(NOW.0 + 300);
    assert_eq!(answer(&booth, &right, late), Err(WorkRefusal::Expired));
    // The network, not the address.
    for (from, taken) in [
        ("192.0.2.254", Ok(WorkBits::MIN)),
        ("::ffff:192.0.2.7", Ok(WorkBits::MIN)),
        ("192.0.3.1", Err(WorkRefusal::Broken)),
        ("c000:200::", Err(WorkRefusal::Broken)),
    ] {
        let elsewhere = Booth::new(&key, &door, at(from));
        assert_eq!(answer(&elsewhere, &right, NOW), taken, "{from}");
    }
    let at_other_routes = Booth::new(&key, &other_door, at("192.0.2.1"));
    let broken = Err(WorkRefusal::Broken);
    assert_eq!(answer(&at_other_routes, &right, NOW), broken);
    let of_other_tenant = Booth::new(&other_key, &door, at("192.0.2.1"));
    assert_eq!(answer(&of_other_tenant, &right, NOW), broken);
}

#[test]
fn an_answer_without_the_work_or_of_another_form_is_refused() {
    let (key, door) = (key(1), set("door"));
    let booth = Booth::new(&key, &door, at("2001:db8:1::1"));
    let challenge = booth.pose(WorkBits::MIN, &seeded(1), NOW);
    let right = solved(&challenge, 10);
    let mut lazy = (0_u64..).map(|nonce| format!("{challenge}.{nonce}"));
    let lazy = lazy
        .find(|answer| zeros(&sha256(answer.as_bytes())) < 10)
        .unwrap();
    assert_eq!(answer(&booth, &lazy, NOW), Err(WorkRefusal::TooLittle));
    // Whoever writes fewer bits, or a later end, into a challenge has none of ours.
    let mut easier: [u8; CHALLENGE_BYTES] = base64url::decode_array(&challenge).unwrap();
    easier[8] ^= 1;
    let longer = format!("{}.0", base64url::encode(&easier));
    for wrong in [
        longer.as_str(),
        "",
        ".",
        &challenge,
        &format!("{challenge}."),
        &format!("{challenge}.-1"),
        &format!("{challenge}.1a"),
        &format!("{right}.1"),
        &format!("{challenge}.{}", "1".repeat(21)),
        right.get(1..).unwrap(),
    ] {
        let refused = answer(&booth, wrong, NOW);
        assert_eq!(refused, Err(WorkRefusal::Broken), "{wrong}");
    }
    let twice = fields(PROOF_OF_WORK, &[&right, &right]);
    assert_eq!(booth.answered(&twice, NOW), Err(WorkRefusal::Broken));
    assert_eq!(answer(&booth, &right, NOW), Ok(WorkBits::MIN));
}

#[test]
fn a_cookie_vouches_for_a_quarter_of_an_hour_in_its_place() {
    let (key, door, other) = (key(1), set("door"), set("door-2"));
    let booth = Booth::new(&key, &door, at("2001:db8:1::1"));
    let cookie = booth.cookie(WorkBits::USUAL, NOW);
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-work-door="));
    assert_eq!(
        attributes,
        "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=900"
    );
    let shown = |booth: &Booth<'_>, values: &[&str], now: i64| {
        booth.shown(&fields(header::COOKIE, values), UnixTime(now))
    };
    let some = Some(WorkBits::USUAL);
    let (begin, end) = (NOW.0, NOW.0 + 900);
    assert_eq!(shown(&booth, &[pair], begin), some);
    assert_eq!(
        shown(&booth, &[&format!("a=b; {pair}; c=d")], end - 1),
        some
    );
    assert_eq!(shown(&booth, &[pair], end), None);
    assert_eq!(shown(&booth, &[pair, pair], begin), None, "two of them");
    assert_eq!(shown(&booth, &[], begin), None);
    let elsewhere = Booth::new(&key, &door, at("2001:db8:2::1"));
    assert_eq!(shown(&elsewhere, &[pair], begin), None);
    let near = Booth::new(&key, &door, at("2001:db8:1:ffff::1"));
    assert_eq!(shown(&near, &[pair], begin), some);
    let at_other_routes = Booth::new(&key, &other, at("2001:db8:1::1"));
    let renamed = pair.replacen("work-door", "work-door-2", 1);
    assert_eq!(shown(&at_other_routes, &[&renamed], begin), None);
    // A challenge is no cookie, whatever it is called.
    let challenge = booth.pose(WorkBits::USUAL, &seeded(1), NOW);
    let dressed = format!("__Host-work-door={}", challenge.get(..55).unwrap());
    assert_eq!(shown(&booth, &[&dressed], begin), None);
}

#[test]
fn names_of_sets_fit_into_names_of_cookies() {
    for name in ["a", "door-2", &"x".repeat(32)] {
        assert!(name.parse::<WorkSet>().is_ok(), "{name}");
    }
    for name in ["", "Door", "a b", "a=b", "a;b", "a.b", &"x".repeat(33)] {
        assert!(name.parse::<WorkSet>().is_err(), "{name}");
    }
}

#[test]
fn zero_bits_are_counted_from_the_front() {
    let mut digest = [0_u8; 32];
    assert_eq!(zeros(&digest), 256);
    digest[2] = 0b0001_0000;
    assert_eq!(zeros(&digest), 19);
    digest[0] = 0x80;
    assert_eq!(zeros(&digest), 0);
}

#[test]
fn the_page_runs_its_own_script_and_nothing_else() {
    let (key, door) = (key(1), set("door"));
    let booth = Booth::new(&key, &door, at("192.0.2.1"));
    let posed = |form| Posed {
        challenge: booth.pose(WorkBits::USUAL, &seeded(1), NOW),
        bits: WorkBits::USUAL,
        form,
    };
    let request = countersign_base::RequestId::from_bytes([7; 16]);
    let told = page::told(&posed(Form::Page), request);
    let policy = told.policy.unwrap();
    let policy = policy.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
    assert!(
        !policy.contains("unsafe") && !policy.contains("*"),
        "{policy}"
    );
    // What stands between the tags is what the digests are of, and nothing of the frame is left open.
    let within = |begin: &str, end: &str| {
        let (_, rest) = told.text.split_once(begin).unwrap();
        rest.split_once(end).unwrap().0.to_owned()
    };
    for element in [
        within("<script>", "</script>"),
        within("<style>", "</style>"),
    ] {
        let digest = base64url::encode(&sha256(element.as_bytes()));
        let digest = digest.replace('-', "+").replace('_', "/");
        assert!(policy.contains(&format!("'sha256-{digest}='")), "{policy}");
    }
    assert_eq!(within("<script>", "</script>"), page::SCRIPT);
    for part in ["{{", "http://", "https://", " src=", " onclick", " style="] {
        assert!(!told.text.contains(part), "{part}");
    }
    for part in [
        "lang=\"en\"",
        "role=\"status\"",
        "<noscript>",
        "data-bits=\"18\"",
    ] {
        assert!(told.text.contains(part), "{part}");
    }
    let told = page::told(&posed(Form::Document), request);
    assert_eq!(told.media_type, "application/problem+json");
    let document: serde_json::Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(document["bits"], 18);
    assert_eq!(document["field"], "proof-of-work");
    let challenge = document["challenge"].as_str().unwrap();
    assert!(Answer::parse(&format!("{challenge}.1")).is_some());
}

proptest! {
    #[test]
    fn nothing_but_work_is_taken(text in ".{0,120}", nonce in "[0-9]{1,20}") {
        let (key, door) = (key(1), set("door"));
        let booth = Booth::new(&key, &door, at("192.0.2.1"));
        let parsed = Answer::parse(&text);
        prop_assert!(parsed.is_none() || text.contains('.'));
        let challenge = booth.pose(WorkBits::MAX, &seeded(1), NOW);
        let answered = answer(&booth, &format!("{challenge}.{nonce}"), NOW);
        let digest = sha256(format!("{challenge}.{nonce}").as_bytes());
        prop_assert_eq!(answered.is_ok(), zeros(&digest) >= 22);
    }
}
