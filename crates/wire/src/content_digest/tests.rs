use super::{ContentDigest, DigestAlgorithm, DigestError, value};

/// RFC 9530 appendix B.1 and B.2: the body with its line end, and the empty one.
const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
const SHA256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
const SHA256_EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
/// RFC 9421 appendix B.2: the body of `test-request`.
const SHA512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

#[test]
fn the_published_digests_are_written_and_hold() {
    for (algorithm, body, expected) in [
        (DigestAlgorithm::Sha256, BODY, SHA256),
        (DigestAlgorithm::Sha256, b"", SHA256_EMPTY),
        (DigestAlgorithm::Sha512, br#"{"hello": "world"}"#, SHA512),
    ] {
        assert_eq!(value(algorithm, body), expected);
        assert!(ContentDigest::parse(expected).unwrap().check(body).is_ok());
        let other = [body, b"x"].concat();
        assert_eq!(
            ContentDigest::parse(expected)
                .unwrap()
                .check(&other)
                .map(|_| ()),
            Err(DigestError::Differs)
        );
    }
}

#[test]
fn every_digest_that_is_known_has_to_hold() {
    let check = |field: &str| {
        ContentDigest::parse(field)
            .and_then(|digest| digest.check(BODY))
            .map(|_| ())
    };
    let sha512 = value(DigestAlgorithm::Sha512, BODY);
    assert_eq!(check(&format!("{SHA256}, {sha512}")), Ok(()));
    assert_eq!(
        check(&format!("{SHA256}, {SHA512}")),
        Err(DigestError::Differs)
    );
    assert_eq!(check(&format!("md5=:AAAA:, {SHA256}")), Ok(()));
    assert_eq!(check("md5=:AAAA:"), Err(DigestError::AlgorithmUnknown));
    assert_eq!(check(""), Err(DigestError::AlgorithmUnknown));
    for malformed in [
        "sha-256",
        "sha-256=47DEQpj8HBSa",
        "SHA-256=:AAAA:",
        "sha-256=(:AAAA:)",
        "sha-256=:AAAA:, sha-256=:AAAA:",
    ] {
        assert_eq!(check(malformed), Err(DigestError::Malformed), "{malformed}");
    }
    // A digest that is cut short is another one.
    assert_eq!(check("sha-256=:RK/0qw==:"), Err(DigestError::Differs));
}
