//! What must not compile: each file of `compile_fail/` misuses one thing, and the compiler's message is kept beside it.

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
