//! What must not compile: permits that were not decided, decisions about credentials that are not spent, copies of either.

#[test]
fn evidence_cannot_be_forged_copied_or_swapped() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
