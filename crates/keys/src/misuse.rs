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
    quorum_is_not_invented: "compile_fail,E0451" "compile_fail/quorum_is_not_invented.rs";
    quorum_is_not_swapped: "compile_fail,E0599" "compile_fail/quorum_is_not_swapped.rs";
    quorum_is_used_once: "compile_fail,E0382" "compile_fail/quorum_is_used_once.rs";
    use_a_quorum: "no_run" "compile_pass/use_a_quorum.rs";
    unseal_key_seals_no_row: "compile_fail,E0277" "compile_fail/unseal_key_seals_no_row.rs";
    root_key_seals_no_row: "compile_fail,E0277" "compile_fail/root_key_seals_no_row.rs";
}
