use super::*;
use crate::fixture::{NOW, alice};
use AuthenticationMethod::{PasskeyUserVerified, Password, Totp};
use countersign_policy::defaults;

const HOME: &str = "203.0.113.9";
const OFFICE: &str = "192.0.2.7";

fn policies(more: &str) -> PolicySet {
    let mut sources = defaults::POLICIES.to_vec();
    sources.push(("more.cedar", more));
    PolicySet::load(defaults::SCHEMA, &sources).unwrap()
}

const ENROLLED: SecondFactors = SecondFactors {
    totp: 1,
    passkeys: 0,
    recovery_codes: 10,
};

fn attempt(
    methods: &[AuthenticationMethod],
    factors: SecondFactors,
    change: impl FnOnce(&mut Signals),
) -> SignInAttempt {
    let mut signals = Signals {
        source: HOME.parse().unwrap(),
        device: Device::Known,
        failures: 0,
        auth_time: NOW,
        now: NOW,
    };
    change(&mut signals);
    let client = Some("portal".parse().unwrap());
    SignInAttempt::new(
        alice(),
        client,
        methods.iter().copied().collect(),
        factors,
        signals,
    )
}

/// `Ok` for allowed, the remedy otherwise, and the rule's name either way.
fn judged(policies: &PolicySet, attempt: SignInAttempt) -> (Result<(), Remedy>, String) {
    let names = |decision: &countersign_policy::Decision| {
        let names: Vec<&str> = decision.policies().iter().map(|id| id.as_str()).collect();
        names.join(" ")
    };
    match judge(policies, attempt) {
        Access::Permitted(permitted) => (Ok(()), names(permitted.decision())),
        Access::Denied(denied, remedy) => (Err(remedy), names(denied.decision())),
    }
}

#[test]
fn the_default_asks_for_a_second_factor_once_there_is_one() {
    let policies = policies("");
    let none = SecondFactors::default();
    assert_eq!(
        judged(&policies, attempt(&[Password], none, |_| {})),
        (Ok(()), "sign_in.cedar#own-tenant".to_owned())
    );
    assert_eq!(
        judged(&policies, attempt(&[Password], ENROLLED, |_| {})),
        (
            Err(Remedy::Reach(Acr::TwoFactors)),
            "sign_in.cedar#second-factor-once-enrolled".to_owned()
        )
    );
    assert_eq!(
        judged(&policies, attempt(&[Password, Totp], ENROLLED, |_| {})).0,
        Ok(()),
        "the twin"
    );
}

#[test]
fn network_device_time_and_age_decide_between_allowing_asking_and_denying() {
    let policies = policies(
        r#"
        @id("office") forbid (principal, action == Action::"sign_in", resource)
        when { context.level < 2 && !context.source.isInRange(ip("192.0.2.0/24")) };
        @id("new") forbid (principal, action == Action::"sign_in", resource)
        when { context.level < 3 && context.new_device };
        @id("weekend") forbid (principal, action == Action::"sign_in", resource)
        when { context.weekday > 4 };
        @id("old") forbid (principal, action == Action::"sign_in", resource)
        when { context.level < 2 && context.age > 3600 };
        @id("guessed") forbid (principal, action == Action::"sign_in", resource)
        when { context.level < 3 && context.failures >= 3 };
    "#,
    );
    let none = SecondFactors::default();
    let office = |signals: &mut Signals| signals.source = OFFICE.parse().unwrap();
    let weekday = |signals: &mut Signals| {
        office(signals);
        // 1 January 2024 was a Monday.
        (signals.now, signals.auth_time) = (UnixTime(1_704_067_200), UnixTime(1_704_067_200));
    };
    let case = |methods: &[AuthenticationMethod], change: &dyn Fn(&mut Signals)| {
        judged(&policies, attempt(methods, none, |signals| change(signals))).0
    };
    assert_eq!(case(&[Password], &weekday), Ok(()), "the twin of each");
    let at_home = |signals: &mut Signals| {
        weekday(signals);
        signals.source = HOME.parse().unwrap();
    };
    assert_eq!(
        case(&[Password], &at_home),
        Err(Remedy::Reach(Acr::TwoFactors))
    );
    assert_eq!(case(&[Password, Totp], &at_home), Ok(()));
    let new_device = |signals: &mut Signals| {
        weekday(signals);
        signals.device = Device::New;
    };
    assert_eq!(
        case(&[Password, Totp], &new_device),
        Err(Remedy::Reach(Acr::PhishingResistant))
    );
    assert_eq!(case(&[PasskeyUserVerified], &new_device), Ok(()));
    let weekend = |signals: &mut Signals| {
        weekday(signals);
        signals.now = signals
            .now
            .plus(countersign_base::Duration::from_secs(5 * 86_400));
        signals.auth_time = signals.now;
    };
    assert_eq!(case(&[PasskeyUserVerified], &weekend), Err(Remedy::None));
    let old = |signals: &mut Signals| {
        weekday(signals);
        signals.now = signals
            .now
            .plus(countersign_base::Duration::from_secs(3601));
    };
    assert_eq!(case(&[Password], &old), Err(Remedy::Reach(Acr::TwoFactors)));
    let guessed = |signals: &mut Signals| {
        weekday(signals);
        signals.failures = 3;
    };
    assert_eq!(
        case(&[Password], &guessed),
        Err(Remedy::Reach(Acr::PhishingResistant))
    );
}

#[test]
fn nobody_gets_into_another_tenant_and_nothing_means_no() {
    let nothing = PolicySet::load(defaults::SCHEMA, &[("none.cedar", "")]).unwrap();
    assert_eq!(
        judged(
            &nothing,
            attempt(&[PasskeyUserVerified], SecondFactors::default(), |_| {})
        )
        .0,
        Err(Remedy::None)
    );
}
