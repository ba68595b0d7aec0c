use super::{Around, COUNT_STEP, count, open, seal};
use crate::Cx;
use crate::transit::kind::KeyType;
use crate::transit::row::{Derivation, KeyRow, Options};
use countersign_base::{Duration, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use proptest::prelude::*;

fn row(key_type: KeyType, derivation: Derivation, random: &Random) -> KeyRow {
    let tenant = Tenant::default_tenant();
    let mac = MacKey::new(Secret::new([7; 32]));
    let cx = Cx {
        tenant: &tenant,
        mac: &mac,
        random,
        now: UnixTime(0),
    };
    let options = Options {
        key_type,
        derivation,
        size: None,
        exportable: false,
        allow_plaintext_backup: false,
        auto_rotate: Duration::ZERO,
    };
    KeyRow::create(&options, &cx).unwrap()
}

const CIPHERS: [KeyType; 4] = [
    KeyType::Aes128Gcm96,
    KeyType::Aes256Gcm96,
    KeyType::ChaCha20Poly1305,
    KeyType::XChaCha20Poly1305,
];
const DERIVATIONS: [Derivation; 3] = [
    Derivation::None,
    Derivation::Context,
    Derivation::Convergent,
];

fn around<'a>(context: &'a [u8], associated_data: &'a [u8]) -> Around<'a> {
    Around {
        context,
        associated_data,
    }
}

#[test]
fn one_nonce_in_a_million_counts_for_a_million() {
    for (end, expected) in [
        ([0, 0, 0, 0], COUNT_STEP),
        ([0xff, 0xf0, 0, 0], COUNT_STEP),
        ([0, 0x10, 0, 0], COUNT_STEP),
        ([0, 0x08, 0, 0], 0),
        ([0, 0, 0, 1], 0),
        ([0xff; 4], 0),
    ] {
        assert_eq!(count(&[&[0; 8], &end[..]].concat()), expected, "{end:?}");
    }
    // Nonces that always end in zeros: every message counts, where nonces are random ones of 96 bits.
    let zeros = Random::from_fn(|buffer| buffer.fill(0));
    for key_type in CIPHERS {
        for derivation in DERIVATIONS {
            let row = row(key_type, derivation, &Random::system());
            let version = row.version(1).unwrap();
            let sealed = seal(&row, version, around(b"c", b""), b"x", &zeros).unwrap();
            let counts =
                key_type != KeyType::XChaCha20Poly1305 && derivation != Derivation::Convergent;
            let expected = if counts { COUNT_STEP } else { 0 };
            assert_eq!(sealed.counted, expected, "{key_type} {derivation:?}");
        }
    }
}

/// A nonce under two associated data would give the authentication key away.
#[test]
fn convergent_nonces_depend_on_associated_data() {
    for key_type in CIPHERS {
        let row = row(key_type, Derivation::Convergent, &Random::system());
        let version = row.version(1).unwrap();
        let nonce = |context: &[u8], data: &[u8], plaintext: &[u8]| {
            let sealed = seal(
                &row,
                version,
                around(context, data),
                plaintext,
                &Random::system(),
            );
            sealed.unwrap().bytes[..12].to_vec()
        };
        let mut nonces = vec![
            nonce(b"c", b"", b"x"),
            nonce(b"c", b"a", b"x"),
            nonce(b"c", b"b", b"x"),
            nonce(b"d", b"", b"x"),
            nonce(b"c", b"", b"y"),
            // The same bytes, parted elsewhere.
            nonce(b"c", b"ax", b""),
            nonce(b"c", b"", b"ax"),
        ];
        assert_eq!(nonce(b"c", b"a", b"x"), nonces[1]);
        nonces.sort();
        nonces.dedup();
        assert_eq!(nonces.len(), 7, "{key_type}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_and_only_so(
        at in 0usize..12,
        context in proptest::collection::vec(any::<u8>(), 1..40),
        data in proptest::collection::vec(any::<u8>(), 0..40),
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        position in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        let row = row(CIPHERS[at / 3], DERIVATIONS[at % 3], &Random::system());
        let version = row.version(1).unwrap();
        let mut sealed = seal(&row, version, around(&context, &data), &plaintext, &Random::system())
            .unwrap()
            .bytes;
        let opened = open(&row, version, around(&context, &data), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
        let other_data = [&data[..], b"x"].concat();
        prop_assert!(open(&row, version, around(&context, &other_data), &sealed).is_err());
        if row.derivation != Derivation::None {
            let other = [&context[..], b"x"].concat();
            prop_assert!(open(&row, version, around(&other, &data), &sealed).is_err());
            prop_assert!(open(&row, version, around(b"", &data), &sealed).is_err());
        }
        let position = position.index(sealed.len());
        sealed[position] ^= change;
        prop_assert!(open(&row, version, around(&context, &data), &sealed).is_err());
        prop_assert!(open(&row, version, around(&context, &data), &sealed[..position]).is_err());
    }
}
