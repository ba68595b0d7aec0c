use super::*;
use crate::fixture::{NOW, after, family, key};
use proptest::prelude::*;

fn mac(byte: u8) -> MacKey {
    MacKey::new(Secret::new([byte; 32]))
}

const GRACE: Duration = Duration::from_secs(10);

#[test]
fn a_token_is_derived_and_read_back_and_forged_ones_are_not_tokens() {
    let order = RefreshOrder {
        family: FamilyId::from_u64(0x0102_0304_0506_0708),
        generation: 7,
    };
    let token = order.derive(&mac(1));
    assert_eq!(
        token.expose(),
        order.derive(&mac(1)).expose(),
        "the same order and key give the same token"
    );
    let handle = RefreshHandle::parse(token.expose(), &mac(1)).unwrap();
    assert_eq!((handle.family(), handle.generation()), (order.family, 7));
    assert_eq!(
        RefreshHandle::parse(token.expose(), &mac(2)),
        Err(NotARefreshToken),
        "another tenant's key"
    );
    for position in 0..token.expose().len() {
        let mut bytes = token.expose().clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        assert_eq!(
            RefreshHandle::parse(&forged, &mac(1)),
            Err(NotARefreshToken),
            "byte {position}"
        );
    }
    for text in [
        "",
        "x",
        &format!("{}=", token.expose()),
        &format!("{}A", token.expose()),
    ] {
        assert_eq!(RefreshHandle::parse(text, &mac(1)), Err(NotARefreshToken));
    }
}

#[test]
fn r36_code_12_a_refresh_token_carries_a_tag_of_256_bits() {
    let token = RefreshOrder {
        family: FamilyId::from_u64(1),
        generation: 0,
    }
    .derive(&mac(1));
    assert_eq!(
        URL_SAFE_NO_PAD.decode(token.expose()).unwrap().len(),
        8 + 4 + 32
    );
}

#[test]
fn rt_4_rt_18_a_generation_is_judged_by_its_distance_and_its_time() {
    let family = family(key(1));
    let cases = [
        (3, Assurance::Proven, 0, Turn::Rotate),
        (3, Assurance::Claimed, 5000, Turn::Rotate),
        (2, Assurance::Proven, 0, Turn::Repeat),
        (2, Assurance::Proven, 9, Turn::Repeat),
        (2, Assurance::Proven, 10, Turn::Reused),
        (2, Assurance::Claimed, 0, Turn::Reused),
        (1, Assurance::Proven, 0, Turn::Reused),
        (0, Assurance::Proven, 0, Turn::Reused),
        (4, Assurance::Proven, 0, Turn::Reused),
        (u32::MAX, Assurance::Proven, 0, Turn::Reused),
    ];
    for (generation, assurance, seconds, turn) in cases {
        assert_eq!(
            family.turn(generation, assurance, GRACE, after(seconds)),
            turn,
            "generation {generation} after {seconds} s"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Somebody presents the token of this generation, counted back from the newest that was ever handed out.
    Present {
        back: u32,
        assurance: bool,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u32, any::<bool>()).prop_map(|(back, assurance)| Step::Present { back, assurance }),
        (0..15_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// However rotations, replays and repetitions follow each other, there is never a second live token: every answer carries the one live generation, and after a
    /// reuse nothing is answered any more.
    #[test]
    fn rt_5_a16_r38_never_two_live_successors(steps in proptest::collection::vec(step(), 1..60)) {
        let mut family = family(key(1));
        let (mut now, mut newest) = (NOW, family.generation);
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Step::Present { back, assurance } => {
                    let presented = newest.saturating_sub(back);
                    let assurance = if assurance { Assurance::Proven } else { Assurance::Claimed };
                    let turn = family.turn(presented, assurance, GRACE, now);
                    if family.revoked.is_some() {
                        continue;
                    }
                    match turn {
                        Turn::Rotate => {
                            prop_assert_eq!(presented, family.generation);
                            family.generation += 1;
                            family.rotated = now;
                            newest = family.generation;
                        }
                        Turn::Repeat => prop_assert!(presented + 1 == family.generation && now < family.rotated.plus(GRACE)),
                        Turn::Reused => family.revoked = Some(now),
                    }
                    prop_assert_eq!(newest, family.generation, "what was handed out last is the only live token");
                }
            }
        }
    }
}
