use super::{HmacKey, TagJudged};
use crate::digest::HashAlgorithm;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4231 §4.3 (`Jefe`) for SHA-2; the same key and message for SHA-3, computed with Python's `hmac`.
#[test]
fn jefe() {
    for (hash, expected) in [
        (
            HashAlgorithm::Sha2_224,
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
        ),
        (
            HashAlgorithm::Sha2_256,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            HashAlgorithm::Sha2_384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            HashAlgorithm::Sha2_512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            HashAlgorithm::Sha3_256,
            "c7d4072e788877ae3596bbb0da73b887c9171f93095b294ae857fbe2645e1ba5",
        ),
        (
            HashAlgorithm::Sha3_384,
            "f1101f8cbf9766fd6764d2ed61903f21ca9b18f57cf3e1a23ca13508a93243ce48c045dc007f26a21b3f5e0e9df4c20a",
        ),
        (
            HashAlgorithm::Sha3_512,
            "5a4bfeab6166427c7a3647b747292b8384537cdb89afb3bf5665e4c5e709350b287baec921fd7ca0ee7a0c31d022a95e1fc92ba9d77df883960275beb4e62024",
        ),
    ] {
        let tag = HmacKey::new(hash, b"Jefe").tag(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&tag), expected, "{}", hash.name());
    }
}

/// RFC 4231 §4.7: a key longer than the block is hashed first.
#[test]
fn a_long_key_is_hashed() {
    let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
    for (hash, expected) in [
        (
            HashAlgorithm::Sha2_224,
            "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e",
        ),
        (
            HashAlgorithm::Sha2_256,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            HashAlgorithm::Sha2_384,
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        ),
        (
            HashAlgorithm::Sha2_512,
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
        (
            HashAlgorithm::Sha3_256,
            "a6072f86de52b38bb349fe84cd6d97fb6a37c4c0f62aae93981193a7229d3467",
        ),
        (
            HashAlgorithm::Sha3_384,
            "713dff0302c85086ec5ad0768dd65a13ddd79068d8d4c6212b712e41649449111480230044185a99103ed82004ddbfcc",
        ),
        (
            HashAlgorithm::Sha3_512,
            "b14835c819a290efb010ace6d8568dc6b84de60bc49b004c3b13eda763589451e5dd74292884d1bdce64e6b919dd61dc9c56a282a81c0bd14f1f365b49b83a5b",
        ),
    ] {
        // One of 131 bytes is longer than every block of SHA-2; the block of SHA3-256 has 136.
        let bytes = match hash {
            HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_384 | HashAlgorithm::Sha3_512 => 147,
            _ => 131,
        };
        let tag = HmacKey::new(hash, &vec![0xaa; bytes]).tag(&[message]);
        assert_eq!(hex(&tag), expected, "{}", hash.name());
    }
}

#[test]
fn only_the_whole_tag_holds() {
    for hash in HashAlgorithm::ALL {
        let key = HmacKey::new(hash, b"key");
        let tag = key.tag(&[b"message"]);
        assert_eq!(key.verify(&[b"message"], &tag), TagJudged::Holds);
        assert_eq!(key.verify(&[b"messagf"], &tag), TagJudged::Differs);
        assert_eq!(key.verify(&[b"message"], &tag[..16]), TagJudged::Differs);
        assert_eq!(key.verify(&[b"message"], &[]), TagJudged::Differs);
        for position in 0..tag.len() {
            let mut changed = tag.clone();
            changed[position] ^= 1;
            assert_eq!(key.verify(&[b"message"], &changed), TagJudged::Differs);
        }
        assert_eq!(
            HmacKey::new(hash, b"kez").verify(&[b"message"], &tag),
            TagJudged::Differs
        );
    }
    assert_eq!(
        format!("{:?}", HmacKey::new(HashAlgorithm::Sha2_256, b"key")),
        "HmacKey"
    );
}
