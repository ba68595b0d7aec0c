use super::{HashAlgorithm, sha256, sha256_base64url, sha256_parts};

/// FIPS 180-4, `abc`; RFC 7636 appendix B.
#[test]
fn vectors_of_others() {
    assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(sha256_parts(&[b"a", b"", b"bc"]), sha256(b"abc"));
    assert_eq!(
        sha256_base64url(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

/// FIPS 180-4 and FIPS 202, `abc`.
#[test]
fn abc_in_every_hash() {
    let cases = [
        (
            HashAlgorithm::Sha2_224,
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            HashAlgorithm::Sha2_256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            HashAlgorithm::Sha2_384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha2_512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            HashAlgorithm::Sha3_256,
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        (
            HashAlgorithm::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
        ),
        (
            HashAlgorithm::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
    ];
    assert_eq!(cases.map(|(algorithm, _)| algorithm), HashAlgorithm::ALL);
    for (algorithm, expected) in cases {
        let digest = algorithm.hash(&[b"a", b"", b"bc"]);
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected, "{}", algorithm.name());
        assert_eq!(digest.len(), algorithm.output_bytes());
        assert_eq!(HashAlgorithm::from_name(algorithm.name()), Some(algorithm));
    }
    for unknown in ["", "sha1", "SHA2-256", "sha2-256 ", "sha3-224", "none"] {
        assert_eq!(HashAlgorithm::from_name(unknown), None, "{unknown:?}");
    }
}
