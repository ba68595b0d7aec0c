//! Lives of a seal, and the ways in which seals of others were abused.

use super::EarlierRoots;
use super::{
    AutoSource, CancelAuthority, CancelBy, Nonce, Operation, Otp, QUORUM_AGE_MAX, Quorum,
    QuorumHeld, QuorumRefused, QuorumStep, RekeyOutcome, RekeyRequest, Rekeyed, RootRotation,
    RootTokenRequest, Seal, SealChange, SealFault, SealPlan, SealRow, SealStatus, UnsealKey,
    UnsealRefused, UnsealStep, Unsealing, Verification, VerificationStep, WrappedKey, adopt,
    initialize, reseal, rotate_root,
};
use crate::envelope::OpenError;
use crate::hierarchy::{Kek, KekSet, PassphraseParameters, RootKey};
use crate::shamir::{Share, ShareRule, combine};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use proptest::prelude::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn random() -> Random {
    Random::system()
}

fn rule(shares: u8, threshold: u8) -> ShareRule {
    ShareRule::new(shares, threshold).unwrap()
}

fn again(share: &Share) -> Share {
    Share::parse(&share.to_hex()).unwrap()
}

/// An installation: what is stored, and what its operators hold.
struct Installation {
    row: SealRow,
    shares: Vec<Share>,
    keks: KekSet,
    wrapped_kek: crate::Sealed,
}

impl Installation {
    fn new(plan: SealPlan) -> Self {
        let keks = KekSet::generate(&random());
        let made = initialize(plan, &keks, &random()).unwrap();
        let wrapped_kek = keks.current().wrap(&made.root_key, &random()).unwrap();
        let mut shares = made.shares;
        shares.extend(made.recovery_shares);
        Self {
            row: made.row,
            shares,
            keks,
            wrapped_kek,
        }
    }

    fn shamir() -> Self {
        Self::new(SealPlan::Shamir(rule(5, 3)))
    }

    /// With recovery keys, and the source's key.
    fn auto() -> (Self, UnsealKey) {
        let bytes = *random().secret::<32>().expose();
        let plan = SealPlan::Auto {
            source: AutoSource::File,
            key: UnsealKey::from_bytes(Secret::new(bytes)),
            recovery: Some(rule(3, 2)),
        };
        (Self::new(plan), UnsealKey::from_bytes(Secret::new(bytes)))
    }

    fn has_root(&self, root: &RootKey) -> bool {
        Kek::unwrap(root, &self.wrapped_kek).is_ok()
    }

    fn quorum<O: Operation>(&self, operation: O) -> Quorum<O> {
        Quorum::start(None, self.row.clone(), operation, &random(), NOW).unwrap()
    }

    fn held<O: Operation>(&self, operation: O, shares: &[Share]) -> QuorumHeld<O> {
        match gather(self.quorum(operation), shares, &self.keks) {
            QuorumStep::Held(held) => held,
            QuorumStep::More(_) => panic!("more shares are needed"),
            QuorumStep::Refused(_, why) => panic!("{why}"),
        }
    }
}

fn gather<O: Operation>(mut quorum: Quorum<O>, shares: &[Share], keks: &KekSet) -> QuorumStep<O> {
    let nonce = quorum.progress().nonce;
    for share in shares {
        quorum = match quorum.provide(&nonce, again(share), keks, NOW) {
            QuorumStep::More(quorum) => quorum,
            end @ (QuorumStep::Held(_) | QuorumStep::Refused(..)) => return end,
        };
    }
    QuorumStep::More(quorum)
}

#[expect(clippy::result_large_err, reason = "the tests look at what is refused")]
fn unseal(row: &SealRow, shares: &[Share]) -> Result<RootKey, UnsealStep> {
    let mut unsealing = Unsealing::new(row.clone()).unwrap();
    for share in shares {
        unsealing = match unsealing.provide(again(share), &random()) {
            UnsealStep::More(unsealing) => unsealing,
            UnsealStep::Unsealed(root, _) => return Ok(root),
            refused @ UnsealStep::Refused(..) => return Err(refused),
        };
    }
    Err(UnsealStep::More(unsealing))
}

fn rekey(installation: &Installation, rule: ShareRule, verification: Verification) -> RekeyOutcome {
    let request = RekeyRequest { rule, verification };
    installation
        .held(request, &installation.shares)
        .rekey(&installation.keks, &random(), NOW)
        .unwrap()
}

#[test]
fn any_three_of_five_unseal() {
    let installation = Installation::shamir();
    for (one, two, three) in [(0, 1, 2), (4, 2, 0), (3, 4, 1)] {
        let shares: Vec<Share> = [one, two, three]
            .map(|at: usize| again(&installation.shares[at]))
            .into();
        let root = unseal(&installation.row, &shares).unwrap();
        assert!(installation.has_root(&root));
    }
}

#[test]
fn one_share_is_enough_where_there_is_one() {
    let installation = Installation::new(SealPlan::Shamir(rule(1, 1)));
    assert_eq!(installation.shares.len(), 1);
    assert!(unseal(&installation.row, &installation.shares).is_ok());
}

#[test]
fn progress_shows_and_a_share_counts_once() {
    let installation = Installation::shamir();
    let sealed = Unsealing::new(installation.row.clone()).unwrap();
    let expected = SealStatus {
        kind: "shamir",
        initialized: true,
        sealed: true,
        t: 3,
        n: 5,
        progress: 0,
        nonce: String::new(),
        migration: false,
        recovery_seal: false,
    };
    assert_eq!(sealed.status(), expected);
    let mut unsealing = sealed;
    for (share, progress) in [(1, 1), (1, 1), (4, 2), (1, 2), (4, 2)] {
        let UnsealStep::More(next) =
            unsealing.provide(again(&installation.shares[share]), &random())
        else {
            panic!("share {share}");
        };
        assert_eq!(next.status().progress, progress);
        assert!(Nonce::parse(&next.status().nonce).is_ok());
        unsealing = next;
    }
    let nonce = unsealing.status().nonce;
    let reset = unsealing.reset();
    assert_eq!(reset.status(), expected);
    let UnsealStep::More(next) = reset.provide(again(&installation.shares[0]), &random()) else {
        panic!("the first share after a reset");
    };
    assert_ne!(
        next.status().nonce,
        nonce,
        "another gathering has another nonce"
    );
}

#[test]
fn a_wrong_set_is_refused_and_forgotten() {
    let (installation, other) = (Installation::shamir(), Installation::shamir());
    let mixed = [
        again(&installation.shares[0]),
        again(&installation.shares[1]),
        again(&other.shares[2]),
    ];
    let Err(UnsealStep::Refused(unsealing, why)) = unseal(&installation.row, &mixed) else {
        panic!("shares of two seals");
    };
    assert_eq!(why, UnsealRefused::WrongShares);
    assert_eq!(unsealing.status().progress, 0);
    assert_eq!(unsealing.status().nonce, "");
    let conflict = [again(&installation.shares[0]), again(&other.shares[0])];
    let Err(UnsealStep::Refused(unsealing, why)) = unseal(&installation.row, &conflict) else {
        panic!("two shares of one number");
    };
    assert_eq!(why, UnsealRefused::Conflict);
    assert_eq!(unsealing.status().progress, 0);
}

#[test]
fn every_source_opens_without_a_person_and_by_its_own_key_only() {
    let parameters = PassphraseParameters::new(Cost::for_tests(), &random());
    let passphrase = Secret::new("correct horse".to_owned());
    let wrapped = WrappedKey::new(vec![1, 2, 3]).unwrap();
    let sources = [
        (AutoSource::File, "file"),
        (
            AutoSource::Kms {
                provider: "p".to_owned(),
                key: "k".to_owned(),
                wrapped: wrapped.clone(),
            },
            "kms",
        ),
        (
            AutoSource::Passphrase {
                parameters: parameters.clone(),
            },
            "passphrase",
        ),
        (
            AutoSource::Pkcs11 {
                key: "k".to_owned(),
                wrapped,
            },
            "pkcs11",
        ),
        (
            AutoSource::Static {
                key: "k1".to_owned(),
            },
            "static",
        ),
    ];
    for (source, name) in sources {
        let key = || UnsealKey::from_passphrase(&passphrase, &parameters).unwrap();
        let installation = Installation::new(SealPlan::Auto {
            source,
            key: key(),
            recovery: None,
        });
        let root = installation.row.open(&key()).unwrap();
        assert!(installation.has_root(&root));
        let wrong = installation.row.open(&UnsealKey::generate(&random()));
        assert!(matches!(wrong, Err(OpenError::KeyUnknown { .. })), "{name}");
        let status = SealStatus::unsealed(&installation.row);
        assert_eq!((status.kind, status.t, status.n), (name, 0, 0));
        assert!(status.recovery_seal && !status.sealed);
        let none = Quorum::start(None, installation.row.clone(), RootRotation, &random(), NOW);
        assert_eq!(none.map(|_| ()), Err(SealFault::NoQuorum), "{name}");
        let none = Unsealing::new(installation.row);
        assert_eq!(none.map(|_| ()), Err(SealFault::NoQuorum), "{name}");
    }
}

#[test]
fn recovery_keys_authorize_and_open_nothing() {
    let (installation, _) = Installation::auto();
    let status = SealStatus::sealed(&installation.row);
    assert_eq!((status.t, status.n, status.recovery_seal), (2, 3, true));
    let enough = &installation.shares[1..];
    let value = combine(enough).unwrap();
    let opened = installation.row.open(&UnsealKey::from_bytes(value));
    assert!(matches!(opened, Err(OpenError::KeyUnknown { .. })));
    // They are recognized all the same.
    let _ = installation.held(RootRotation, enough);
    // Those of another installation are not, and neither are too few.
    let (other, _) = Installation::auto();
    let refused = gather(
        installation.quorum(RootRotation),
        &other.shares,
        &installation.keks,
    );
    assert!(matches!(
        refused,
        QuorumStep::Refused(_, QuorumRefused::WrongShares)
    ));
    let few = gather(
        installation.quorum(RootRotation),
        &enough[..1],
        &installation.keks,
    );
    assert!(matches!(few, QuorumStep::More(_)));
}

#[test]
fn recovery_keys_outlive_rotations_of_both_keys() {
    let (mut installation, key) = Installation::auto();
    let rotated = installation
        .held(RootRotation, &installation.shares)
        .rotate(Some(&key), &[installation.wrapped_kek.clone()], &random())
        .unwrap();
    installation.row = rotated.row;
    installation.keks = installation.keks.rotate(&random()).unwrap();
    let _ = installation.held(RootRotation, &installation.shares);
}

#[test]
fn a_rekey_replaces_the_shares() {
    let installation = Installation::shamir();
    let RekeyOutcome::Done(Rekeyed { row, shares }) =
        rekey(&installation, rule(3, 2), Verification::NotRequired)
    else {
        panic!("no verification was asked for");
    };
    assert_eq!(row.generation(), installation.row.generation() + 1);
    assert_eq!(shares.len(), 3);
    // The new ones open the same root key; the old ones open the new row no more.
    assert!(installation.has_root(&unseal(&row, &shares).unwrap()));
    assert!(unseal(&row, &installation.shares).is_err());
}

#[test]
fn a_rekey_of_recovery_keys_leaves_the_source_alone() {
    let (installation, key) = Installation::auto();
    let RekeyOutcome::Done(Rekeyed { row, shares }) =
        rekey(&installation, rule(5, 4), Verification::NotRequired)
    else {
        panic!("no verification was asked for");
    };
    assert!(installation.has_root(&row.open(&key).unwrap()));
    let after = Installation {
        row,
        ..installation
    };
    let step = gather(after.quorum(RootRotation), &after.shares, &after.keks);
    assert!(
        matches!(step, QuorumStep::More(_)),
        "three old ones are no quorum of four"
    );
    let _ = after.held(RootRotation, &shares);
}

#[test]
fn new_shares_count_only_when_they_were_shown() {
    let (auto, _) = Installation::auto();
    for installation in [Installation::shamir(), auto] {
        let RekeyOutcome::ToVerify(verification, shares) =
            rekey(&installation, rule(4, 3), Verification::Required)
        else {
            panic!("verification was asked for");
        };
        let nonce = verification.nonce().clone();
        // The old shares are not what was asked for.
        let mut verification = verification;
        let mut olds = installation.shares.iter().chain(&shares);
        let refused = loop {
            let share = again(olds.next().unwrap());
            match verification.provide(&nonce, share, &installation.keks, NOW) {
                VerificationStep::More(next) => verification = next,
                VerificationStep::Refused(next, why) => break (next, why),
                VerificationStep::Verified(_) => panic!("old shares were taken"),
            }
        };
        assert!(matches!(
            refused.1,
            QuorumRefused::Conflict | QuorumRefused::WrongShares
        ));
        verification = refused.0;
        assert_eq!(verification.progress(), (0, 3));
        for share in &shares[1..3] {
            let step = verification.provide(&nonce, again(share), &installation.keks, NOW);
            let VerificationStep::More(next) = step else {
                panic!("two of three");
            };
            verification = next;
        }
        let step = verification.provide(&nonce, again(&shares[0]), &installation.keks, NOW);
        let VerificationStep::Verified(row) = step else {
            panic!("three of three");
        };
        assert_eq!(row.generation(), 2);
        assert_eq!(row.seal().rule(), Some(rule(4, 3)));
    }
}

#[test]
fn a_new_root_key_keeps_the_key_encryption_keys_and_the_shares() {
    let installation = Installation::shamir();
    let wrapped = [installation.wrapped_kek.clone()];
    let rotated = installation
        .held(RootRotation, &installation.shares)
        .rotate(None, &wrapped, &random())
        .unwrap();
    assert_eq!(rotated.row.generation(), 2);
    let root = unseal(&rotated.row, &installation.shares).unwrap();
    assert!(!installation.has_root(&root), "the root key is another one");
    let kek = Kek::unwrap(&root, &rotated.keks[0]).unwrap();
    assert_eq!(kek.id(), installation.keks.current().id());
    assert!(Kek::unwrap(&rotated.root_key, &rotated.keks[0]).is_ok());
    // A damaged version stops the rotation before anything is given out.
    let mut damaged = wrapped[0].clone().into_bytes();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = [crate::Sealed::from_bytes(damaged)];
    let refused = installation
        .held(RootRotation, &installation.shares)
        .rotate(None, &damaged, &random());
    assert_eq!(
        refused.map(|_| ()),
        Err(SealFault::Open(OpenError::Authentication))
    );
}

#[test]
fn recovery_keys_alone_do_not_rotate() {
    let (installation, key) = Installation::auto();
    let refused = installation
        .held(RootRotation, &installation.shares)
        .rotate(None, &[], &random());
    assert_eq!(refused.map(|_| ()), Err(SealFault::SourceMissing));
    assert!(rotate_root(&installation.row, &key, &[], &random()).is_ok());
}

#[test]
fn a_seal_changes_from_shares_to_a_source_and_back() {
    let installation = Installation::shamir();
    let key = UnsealKey::from_shares(&installation.shares).unwrap();
    let plan = SealPlan::Auto {
        source: AutoSource::File,
        key: UnsealKey::from_bytes(Secret::new([7; 32])),
        recovery: Some(rule(3, 2)),
    };
    let auto = reseal(&installation.row, &key, plan, &installation.keks, &random()).unwrap();
    assert!(installation.has_root(&auto.root_key));
    let source = UnsealKey::from_bytes(Secret::new([7; 32]));
    assert!(installation.has_root(&auto.row.open(&source).unwrap()));
    assert!(auto.row.open(&key).is_err());
    let plan = SealPlan::Shamir(rule(2, 2));
    let back = reseal(&auto.row, &source, plan, &installation.keks, &random()).unwrap();
    assert_eq!(back.row.generation(), 3);
    assert!(installation.has_root(&unseal(&back.row, &back.shares).unwrap()));
    let plan = SealPlan::Shamir(rule(2, 2));
    let wrong = UnsealKey::generate(&random());
    assert!(reseal(&auto.row, &wrong, plan, &installation.keks, &random()).is_err());
}

#[test]
fn a_quorum_changes_the_seal_and_the_source_has_its_say() {
    let file = || UnsealKey::from_bytes(Secret::new([7; 32]));
    let installation = Installation::shamir();
    let plan = SealPlan::Auto {
        source: AutoSource::File,
        key: file(),
        recovery: Some(rule(3, 2)),
    };
    let auto = installation
        .held(SealChange { plan }, &installation.shares)
        .change(None, &installation.keks, &random())
        .unwrap();
    assert!(installation.has_root(&auto.row.open(&file()).unwrap()));
    let installation = Installation {
        row: auto.row,
        shares: auto.recovery_shares,
        ..installation
    };
    let back = || SealChange {
        plan: SealPlan::Shamir(rule(2, 2)),
    };
    let refused =
        installation
            .held(back(), &installation.shares)
            .change(None, &installation.keks, &random());
    assert_eq!(refused.map(|_| ()), Err(SealFault::SourceMissing));
    let shamir = installation
        .held(back(), &installation.shares)
        .change(Some(&file()), &installation.keks, &random())
        .unwrap();
    assert_eq!(shamir.row.generation(), 3);
    assert!(installation.has_root(&unseal(&shamir.row, &shamir.shares).unwrap()));
}

#[test]
fn an_installation_without_a_seal_gets_one_over_its_root_key() {
    let parameters = PassphraseParameters::new(Cost::for_tests(), &random());
    let passphrase = Secret::new("correct horse".to_owned());
    let before = RootKey::from_passphrase(&passphrase, &parameters).unwrap();
    let keks = KekSet::generate(&random());
    let wrapped = keks.current().wrap(&before, &random()).unwrap();
    let bytes = UnsealKey::from_passphrase(&passphrase, &parameters).unwrap();
    let plan = SealPlan::Shamir(rule(3, 2));
    let made = adopt(plan, bytes.bytes_for_source(), &keks, &random()).unwrap();
    let root = unseal(&made.row, &made.shares).unwrap();
    assert!(Kek::unwrap(&root, &wrapped).is_ok());
    assert!(Kek::unwrap(&made.root_key, &wrapped).is_ok());
}

#[test]
fn an_operation_does_not_wait_for_ever() {
    let installation = Installation::shamir();
    let quorum = installation.quorum(RootRotation);
    let nonce = quorum.progress().nonce;
    let (last, over) = (
        NOW.plus(QUORUM_AGE_MAX),
        NOW.plus(QUORUM_AGE_MAX + Duration::from_secs(1)),
    );
    let step = quorum.provide(
        &nonce,
        again(&installation.shares[0]),
        &installation.keks,
        last,
    );
    let QuorumStep::More(quorum) = step else {
        panic!("in time");
    };
    let restart = |quorum: &Quorum<RootRotation>, now| {
        Quorum::start(
            Some(quorum),
            installation.row.clone(),
            RootRotation,
            &random(),
            now,
        )
        .map(|_| ())
    };
    assert_eq!(restart(&quorum, last), Err(SealFault::UnderWay));
    assert_eq!(restart(&quorum, over), Ok(()));
    let step = quorum.provide(
        &nonce,
        again(&installation.shares[1]),
        &installation.keks,
        over,
    );
    let QuorumStep::Refused(quorum, QuorumRefused::Expired) = step else {
        panic!("too late");
    };
    assert_eq!(quorum.progress().progress, 0, "its shares are gone");
    let RekeyOutcome::ToVerify(verification, shares) =
        rekey(&installation, rule(3, 2), Verification::Required)
    else {
        panic!("verification was asked for");
    };
    let nonce = verification.nonce().clone();
    let step = verification.provide(&nonce, again(&shares[0]), &installation.keks, over);
    assert!(matches!(
        step,
        VerificationStep::Refused(_, QuorumRefused::Expired)
    ));
}

#[test]
fn a_root_token_is_given_out_under_the_pad() {
    let installation = Installation::shamir();
    let otp = Otp::generate(28, &random());
    let pad = otp.text().expose().clone();
    assert_eq!(pad.len(), 28);
    let permit = installation
        .held(root_token(otp), &installation.shares)
        .permit();
    let token = "hvs.abcdefghijklmnopqrstuvwx";
    let encoded = permit.encode(&Secret::new(token.to_owned())).unwrap();
    assert!(!encoded.ends_with('='));
    let url = encoded.replace('+', "-").replace('/', "_");
    let bytes = countersign_crypto::base64url::decode(&url).unwrap();
    let decoded: Vec<u8> = bytes
        .iter()
        .zip(pad.as_bytes())
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(decoded, token.as_bytes());
    let request = RootTokenRequest {
        earlier: EarlierRoots::Stay,
        otp: Otp::parse(Secret::new("x".repeat(16))).unwrap(),
    };
    let permit = installation.held(request, &installation.shares).permit();
    assert_eq!(
        permit.encode(&Secret::new(token.to_owned())).map(|_| ()),
        Err(SealFault::OtpLength)
    );
    assert!(Otp::parse(Secret::new("x".repeat(15))).is_err());
    assert!(Otp::parse(Secret::new("é".repeat(16))).is_err());
}

/// CVE-2025-4656, CVE-2025-52894, CVE-2026-5807: anybody on the network could cancel a rekey or the making of a root token.
#[test]
fn cve_2025_4656_cancelling_takes_the_nonce_or_an_authorization() {
    struct Permit;
    impl CancelAuthority for Permit {}
    let installation = Installation::shamir();
    let request = || RekeyRequest {
        rule: rule(3, 2),
        verification: Verification::Required,
    };
    let quorum = installation.quorum(request());
    let nonce = quorum.progress().nonce;
    let QuorumStep::More(quorum) = quorum.provide(
        &nonce,
        again(&installation.shares[0]),
        &installation.keks,
        NOW,
    ) else {
        panic!("one of three");
    };
    let strange = installation.quorum(request()).progress().nonce;
    let quorum = quorum.cancel(CancelBy::Nonce(&strange)).unwrap_err();
    assert_eq!(
        quorum.progress().progress,
        1,
        "the operation goes on as it was"
    );
    assert!(quorum.cancel(CancelBy::Nonce(&nonce)).is_ok());
    let other = installation.quorum(request());
    assert!(other.cancel(CancelBy::Authority(&Permit)).is_ok());
    let RekeyOutcome::ToVerify(verification, _) =
        rekey(&installation, rule(3, 2), Verification::Required)
    else {
        panic!("verification was asked for");
    };
    let verification = verification.cancel(CancelBy::Nonce(&strange)).unwrap_err();
    let verification = verification
        .restart(CancelBy::Nonce(&strange), &random())
        .unwrap_err();
    let before = verification.nonce().clone();
    let verification = verification
        .restart(CancelBy::Nonce(&before), &random())
        .unwrap();
    assert!(!verification.nonce().is_same(&before));
    assert!(verification.cancel(CancelBy::Authority(&Permit)).is_ok());
}

/// CVE-2025-52894: the same for the rekey of recovery keys.
#[test]
fn cve_2025_52894_strangers_cancel_no_rekey_of_recovery_keys() {
    let (installation, _) = Installation::auto();
    let request = || RekeyRequest {
        rule: rule(3, 2),
        verification: Verification::NotRequired,
    };
    let (quorum, strange) = (
        installation.quorum(request()),
        installation.quorum(request()).progress().nonce,
    );
    let quorum = quorum.cancel(CancelBy::Nonce(&strange)).unwrap_err();
    assert!(matches!(
        gather(quorum, &installation.shares, &installation.keks),
        QuorumStep::Held(_)
    ));
}

/// CVE-2026-5807: the same for the making of a root token; starting another one cancelled the first, too.
#[test]
fn cve_2026_5807_a_second_start_does_not_replace_the_first() {
    let installation = Installation::shamir();
    let request = || RootTokenRequest {
        earlier: EarlierRoots::Stay,
        otp: Otp::generate(28, &random()),
    };
    let quorum = installation.quorum(request());
    let second = Quorum::start(
        Some(&quorum),
        installation.row.clone(),
        request(),
        &random(),
        NOW,
    );
    assert_eq!(second.map(|_| ()), Err(SealFault::UnderWay));
    let strange = installation.quorum(request()).progress().nonce;
    assert!(quorum.cancel(CancelBy::Nonce(&strange)).is_err());
}

#[test]
fn a_share_for_one_operation_does_not_count_for_another() {
    let installation = Installation::shamir();
    let quorum = installation.quorum(RootRotation);
    let other = installation.quorum(RootRotation).progress().nonce;
    let step = quorum.provide(
        &other,
        again(&installation.shares[0]),
        &installation.keks,
        NOW,
    );
    let QuorumStep::Refused(quorum, QuorumRefused::NonceDiffers) = step else {
        panic!("the nonce of another operation");
    };
    assert_eq!(quorum.progress().progress, 0);
}

#[test]
fn a_quorum_of_wrong_shares_is_forgotten() {
    let (installation, other) = (Installation::shamir(), Installation::shamir());
    let step = gather(
        installation.quorum(RootRotation),
        &other.shares,
        &installation.keks,
    );
    let QuorumStep::Refused(quorum, QuorumRefused::WrongShares) = step else {
        panic!("shares of another seal");
    };
    assert_eq!(quorum.progress().progress, 0);
    let conflict = [again(&installation.shares[0]), again(&other.shares[0])];
    let step = gather(quorum, &conflict, &installation.keks);
    let QuorumStep::Refused(quorum, QuorumRefused::Conflict) = step else {
        panic!("two shares of one number");
    };
    assert!(matches!(
        gather(quorum, &installation.shares, &installation.keks),
        QuorumStep::Held(_)
    ));
}

/// GHSA-34fc-gh42-pj53: recovery tokens were compared in variable time. What recovery keys give is compared as a tag, and nothing here has `==`.
#[test]
fn ghsa_34fc_gh42_pj53_recovery_keys_are_compared_as_tags() {
    let (installation, _) = Installation::auto();
    let Seal::Auto { recovery, .. } = installation.row.seal() else {
        panic!("a source unseals");
    };
    let recovery = recovery.as_ref().unwrap();
    let evidence = recovery.verify(&installation.shares, &installation.keks);
    assert!(
        evidence.is_some(),
        "the evidence is made beside the constant-time comparison"
    );
    assert!(
        recovery
            .verify(&installation.shares[..1], &installation.keks)
            .is_none()
    );
    assert!(recovery.verify(&[], &installation.keks).is_none());
}

/// The rows and shares were written by another implementation from the documentation.
#[test]
fn the_row_of_the_vectors_opens() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        shamir: SealRow,
        shares: Vec<String>,
        file: SealRow,
        unseal_key: String,
        recovery_shares: Vec<String>,
        root_key_id: String,
        kek: crate::Sealed,
    }
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../tests/vectors/seal.json")).unwrap();
    let parse = |texts: &[String]| -> Vec<Share> {
        let share = |text: &String| Share::parse(&Secret::new(text.clone())).unwrap();
        texts.iter().map(share).collect()
    };
    let root = unseal(&vectors.shamir, &parse(&vectors.shares)).unwrap();
    let bytes = countersign_crypto::base64url::decode_array(&vectors.unseal_key).unwrap();
    let by_file = vectors
        .file
        .open(&UnsealKey::from_bytes(Secret::new(bytes)))
        .unwrap();
    for root in [&root, &by_file] {
        let kek = Kek::unwrap(root, &vectors.kek).unwrap();
        assert_eq!(
            vectors.kek.key().unwrap().0.to_string(),
            vectors.root_key_id
        );
        let keks = KekSet::new(vec![kek], crate::KeyVersion(1)).unwrap();
        let Seal::Auto { recovery, .. } = vectors.file.seal() else {
            panic!("a source unseals");
        };
        let shares = parse(&vectors.recovery_shares);
        assert!(recovery.as_ref().unwrap().verify(&shares, &keks).is_some());
    }
}

#[test]
fn numbers_changed_in_storage_open_nothing() {
    let installation = Installation::shamir();
    let text = serde_json::to_string(&installation.row).unwrap();
    for (from, to) in [
        ("\"threshold\":3", "\"threshold\":2"),
        ("\"shares\":5", "\"shares\":9"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let row: SealRow = serde_json::from_str(&changed).unwrap();
        assert!(unseal(&row, &installation.shares).is_err(), "{to}");
    }
    let (auto, key) = Installation::auto();
    let text = serde_json::to_string(&auto.row).unwrap();
    let changed = text.replace("\"file\"", "\"static\",\"key\":\"k\"");
    let row: SealRow = serde_json::from_str(&changed).unwrap();
    assert!(row.open(&key).is_err());
}

#[test]
fn a_row_is_stored_as_json() {
    let installation = Installation::shamir();
    let text = serde_json::to_string(&installation.row).unwrap();
    let start = r#"{"generation":1,"seal":{"shamir":{"shares":5,"threshold":3}},"root":"xQ"#;
    assert!(text.starts_with(start), "{text}");
    let row: SealRow = serde_json::from_str(&text).unwrap();
    assert!(unseal(&row, &installation.shares).is_ok());
    let (auto, key) = Installation::auto();
    let text = serde_json::to_string(&auto.row).unwrap();
    let start = r#"{"generation":1,"seal":{"auto":{"source":{"kind":"file"},"recovery":{"rule":{"shares":3,"threshold":2},"check":""#;
    assert!(text.starts_with(start), "{text}");
    let row: SealRow = serde_json::from_str(&text).unwrap();
    assert!(row.open(&key).is_ok());
    for bad in [
        text.replace("\"generation\":1", "\"generation\":0"),
        text.replace("\"generation\":1", "\"generation\":-1"),
        text.replace("\"file\"", "\"unknown\""),
        text.replace("\"threshold\":2", "\"threshold\":1"),
        text.replace("\"seal\"", "\"extra\":1,\"seal\""),
    ] {
        assert_ne!(bad, text);
        assert!(serde_json::from_str::<SealRow>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn the_generations_end() {
    let installation = Installation::shamir();
    let text = serde_json::to_string(&installation.row).unwrap();
    let last = text.replace("\"generation\":1", &format!("\"generation\":{}", u64::MAX));
    let row: SealRow = serde_json::from_str(&last).unwrap();
    let installation = Installation {
        row,
        ..installation
    };
    let request = RekeyRequest {
        rule: rule(2, 2),
        verification: Verification::NotRequired,
    };
    let refused =
        installation
            .held(request, &installation.shares)
            .rekey(&installation.keks, &random(), NOW);
    assert_eq!(refused.map(|_| ()), Err(SealFault::GenerationsSpent));
}

#[test]
fn nothing_secret_is_shown() {
    let (installation, key) = Installation::auto();
    let quorum = installation.quorum(RootTokenRequest {
        earlier: EarlierRoots::Stay,
        otp: Otp::generate(28, &random()),
    });
    let shown = format!("{quorum:?} {key:?} {:?}", installation.shares[0]);
    let otp = quorum.operation().otp.text().expose();
    assert!(!shown.contains(otp.as_str()));
    assert!(!shown.contains(&quorum.progress().nonce.to_string()));
    assert!(shown.ends_with("UnsealKey Share"), "{shown}");
}

#[test]
fn nonces_are_uuids() {
    let nonce = Nonce::generate(&Random::from_fn(|buffer| buffer.fill(0xff)));
    let text = nonce.to_string();
    assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert!(Nonce::parse(&text).unwrap().is_same(&nonce));
    for bad in [
        "",
        "ffffffff-ffff-4fff-bfff-fffffffffff",
        "ffffffff-ffff-4fff-bfff-fffffffffffg",
        "ffffffffffff4fffbfffffffffffffff",
        "fffffff\u{e9}-ffff-4fff-bfff-ffffffffffff",
    ] {
        assert!(Nonce::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever shares are given in whatever order, the seal opens exactly when the last one made three different right ones with no wrong one among them.
    #[test]
    fn unsealing_counts_different_right_shares(given in proptest::collection::vec((0_usize..5, any::<bool>()), 1..12)) {
        let (installation, other) = (Installation::shamir(), Installation::shamir());
        let mut unsealing = Unsealing::new(installation.row.clone()).unwrap();
        let mut model: Vec<(usize, bool)> = Vec::new();
        for (at, right) in given {
            let share = again(if right { &installation.shares[at] } else { &other.shares[at] });
            let conflict = model.iter().any(|(known, was)| *known == at && *was != right);
            if !model.contains(&(at, right)) {
                model.push((at, right));
            }
            match unsealing.provide(share, &random()) {
                UnsealStep::More(next) => {
                    prop_assert!(!conflict && model.len() < 3);
                    prop_assert_eq!(usize::from(next.status().progress), model.len());
                    unsealing = next;
                }
                UnsealStep::Refused(next, why) => {
                    prop_assert_eq!(why == UnsealRefused::Conflict, conflict);
                    prop_assert!(conflict || model.len() == 3 && model.iter().any(|(_, right)| !right));
                    prop_assert_eq!(next.status().progress, 0);
                    model.clear();
                    unsealing = next;
                }
                UnsealStep::Unsealed(..) => {
                    prop_assert!(model.len() == 3 && model.iter().all(|(_, right)| *right));
                    return Ok(());
                }
            }
        }
    }
}

fn root_token(otp: Otp) -> RootTokenRequest {
    RootTokenRequest {
        earlier: EarlierRoots::End,
        otp,
    }
}
