//! What must not compile. Key bytes stay inside, and each key of the hierarchy seals only what is below it. Each file of `tests/compile_fail` misuses one
//! thing; the file in `tests/compile_pass` uses the same names without the flaw, so that none fails for another reason.

macro_rules! compiled {
    ($($name:ident: $fence:literal $file:literal;)*) => {
        $(
            #[doc = concat!("```", $fence, "\n", include_str!(concat!("../tests/", $file)), "\n```")]
            mod $name {}
        )*
    };
}

compiled! {
    seal_a_row: "no_run" "compile_pass/seal_a_row.rs";
    key_bytes_are_not_reached: "compile_fail,E0624" "compile_fail/key_bytes_are_not_reached.rs";
    key_encryption_context_is_not_public: "compile_fail,E0624" "compile_fail/key_encryption_context_is_not_public.rs";
    root_key_seals_no_row: "compile_fail,E0277" "compile_fail/root_key_seals_no_row.rs";
}
