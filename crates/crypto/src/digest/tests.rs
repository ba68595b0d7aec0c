use super::{sha256, sha256_base64url, sha256_parts};

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
