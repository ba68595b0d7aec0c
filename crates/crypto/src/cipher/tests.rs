use super::{CipherAlgorithm, CipherKey, TAG_BYTES};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn counting(from: u8, bytes: u8) -> Vec<u8> {
    (from..from + bytes).collect()
}

const SUNSCREEN: &[u8] = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";

struct Vector {
    algorithm: CipherAlgorithm,
    key: Vec<u8>,
    nonce: Vec<u8>,
    aad: Vec<u8>,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
}

/// GCM specification (McGrew, Viega), test cases 4 and 16; RFC 8439 §2.8.2; draft-irtf-cfrg-xchacha-03 appendix A.3.1.
fn vectors() -> Vec<Vector> {
    let gcm_plaintext = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let gcm_aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    vec![
        Vector {
            algorithm: CipherAlgorithm::Aes128Gcm,
            key: hex("feffe9928665731c6d6a8f9467308308"),
            nonce: hex("cafebabefacedbaddecaf888"),
            aad: gcm_aad.clone(),
            plaintext: gcm_plaintext.clone(),
            sealed: hex(
                "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
            ),
        },
        Vector {
            algorithm: CipherAlgorithm::Aes256Gcm,
            key: hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
            nonce: hex("cafebabefacedbaddecaf888"),
            aad: gcm_aad,
            plaintext: gcm_plaintext,
            sealed: hex(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
            ),
        },
        Vector {
            algorithm: CipherAlgorithm::ChaCha20Poly1305,
            key: counting(0x80, 32),
            nonce: hex("070000004041424344454647"),
            aad: hex("50515253c0c1c2c3c4c5c6c7"),
            plaintext: SUNSCREEN.to_vec(),
            sealed: hex(
                "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
            ),
        },
        Vector {
            algorithm: CipherAlgorithm::XChaCha20Poly1305,
            key: counting(0x80, 32),
            nonce: counting(0x40, 24),
            aad: hex("50515253c0c1c2c3c4c5c6c7"),
            plaintext: SUNSCREEN.to_vec(),
            sealed: hex(
                "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
            ),
        },
    ]
}

#[test]
fn vectors_of_others() {
    for vector in vectors() {
        let key = CipherKey::new(vector.algorithm, &vector.key).unwrap();
        let sealed = key
            .seal(&vector.nonce, &vector.aad, &vector.plaintext)
            .unwrap();
        assert_eq!(
            sealed,
            [vector.nonce.clone(), vector.sealed.clone()].concat(),
            "{:?}",
            vector.algorithm
        );
        let opened = key
            .open(&vector.nonce, &vector.aad, &vector.sealed)
            .unwrap();
        assert_eq!(*opened.expose(), vector.plaintext);
    }
}

#[test]
fn any_change_is_refused() {
    for vector in vectors() {
        let key = CipherKey::new(vector.algorithm, &vector.key).unwrap();
        let refused = |nonce: &[u8], aad: &[u8], sealed: &[u8]| {
            assert!(key.open(nonce, aad, sealed).is_err());
        };
        for position in 0..vector.sealed.len() {
            let mut changed = vector.sealed.clone();
            changed[position] ^= 1;
            refused(&vector.nonce, &vector.aad, &changed);
        }
        for position in 0..vector.nonce.len() {
            let mut changed = vector.nonce.clone();
            changed[position] ^= 1;
            refused(&changed, &vector.aad, &vector.sealed);
        }
        refused(&vector.nonce, b"", &vector.sealed);
        refused(&vector.nonce, &vector.aad, &vector.sealed[1..]);
        refused(&vector.nonce, &vector.aad, &[]);
        refused(&vector.nonce[1..], &vector.aad, &vector.sealed);
        refused(&[], &vector.aad, &vector.sealed);
        refused(
            &[&vector.nonce[..], &[0]].concat(),
            &vector.aad,
            &vector.sealed,
        );
    }
}

#[test]
fn a_key_of_another_length_is_none() {
    for algorithm in CipherAlgorithm::ALL {
        for bytes in [0, 15, 16, 17, 24, 31, 32, 33, 64] {
            assert_eq!(
                CipherKey::new(algorithm, &vec![1; bytes]).is_ok(),
                bytes == algorithm.key_bytes(),
                "{algorithm:?} {bytes}"
            );
        }
        let key = CipherKey::new(algorithm, &vec![1; algorithm.key_bytes()]).unwrap();
        assert!(key.seal(&[0; 11], b"", b"x").is_err());
        assert_eq!(format!("{key:?}"), "CipherKey");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        at in 0usize..4,
        key in proptest::collection::vec(any::<u8>(), 32),
        nonce in proptest::collection::vec(any::<u8>(), 24),
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let algorithm = CipherAlgorithm::ALL[at];
        let key = CipherKey::new(algorithm, &key[..algorithm.key_bytes()]).unwrap();
        let nonce = &nonce[..algorithm.nonce_bytes()];
        let sealed = key.seal(nonce, &aad, &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), nonce.len() + plaintext.len() + TAG_BYTES);
        let opened = key.open(nonce, &aad, &sealed[nonce.len()..]).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
    }
}
