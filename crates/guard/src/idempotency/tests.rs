use super::*;
use crate::fixtures::clock;

fn options() -> IdempotencyOptions {
    let (clock, _) = clock();
    IdempotencyOptions::new("https://docs.example/keys", clock, Random::system())
}

fn checked(change: impl FnOnce(&mut IdempotencyOptions)) -> Result<(), OptionsError> {
    let mut options = options();
    change(&mut options);
    IdempotencyLayer::new(options, MemoryKeys::default()).map(drop)
}

#[test]
fn rules_have_bounds() {
    assert_eq!(checked(|_| {}), Ok(()));
    assert_eq!(checked(|options| options.keep = KEEP_MAX), Ok(()));
    let longer = KEEP_MAX + Duration::from_secs(1);
    assert_eq!(
        checked(|options| options.keep = longer),
        Err(OptionsError::Keep)
    );
    assert_eq!(
        checked(|options| options.keep = Duration::ZERO),
        Err(OptionsError::Keep)
    );
    assert_eq!(
        checked(|options| options.lease = Duration::ZERO),
        Err(OptionsError::Lease)
    );
    for length in [0, 256] {
        assert_eq!(
            checked(|options| options.key_bytes_min = length),
            Err(OptionsError::KeyBytesMin)
        );
    }
    for page in [
        "",
        "https://docs.example/<keys>",
        "https://docs.example/ keys",
        "/keys#a",
    ] {
        assert_eq!(
            checked(|options| options.described_by = page.to_owned()),
            Err(OptionsError::DescribedBy),
            "{page}"
        );
    }
}

#[test]
fn the_policy_that_is_published_is_the_one_that_holds() {
    let mut options = options();
    options.need = KeyNeed::Required;
    options.keep = Duration::from_secs(1_234);
    options.key_bytes_min = 22;
    let policy = options.policy();
    for told in [
        "must carry",
        "1234 seconds",
        "22 to 255",
        "idempotency_outcome_unknown",
        "262144",
    ] {
        assert!(policy.contains(told), "{told} in {policy}");
    }
    options.need = KeyNeed::Optional;
    options.after_lease = AfterLease::RunAgain;
    let policy = options.policy();
    assert!(policy.contains("may carry") && policy.contains("executed again"));
}
