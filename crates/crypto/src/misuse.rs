//! What must not compile. Secrets are not shown, keys keep to their purpose, proofs are made only beside the comparison that they stand for. Each file of `tests/compile_fail` misuses one
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
    keys_tags_and_proofs: "no_run" "compile_pass/keys_tags_and_proofs.rs";
    checkpoint_key_signs_no_token: "compile_fail,E0277" "compile_fail/checkpoint_key_signs_no_token.rs";
    password_matched_is_not_made: "compile_fail,E0423" "compile_fail/password_matched_is_not_made.rs";
    private_key_is_not_reached: "compile_fail,E0616" "compile_fail/private_key_is_not_reached.rs";
    private_key_is_not_serialized: "compile_fail,E0277" "compile_fail/private_key_is_not_serialized.rs";
    purpose_is_not_invented: "compile_fail,E0277" "compile_fail/purpose_is_not_invented.rs";
    purpose_is_not_swapped: "compile_fail,E0308" "compile_fail/purpose_is_not_swapped.rs";
    secret_is_not_cloned: "compile_fail,E0599" "compile_fail/secret_is_not_cloned.rs";
    secret_is_not_compared: "compile_fail,E0369" "compile_fail/secret_is_not_compared.rs";
    secret_is_not_displayed: "compile_fail,E0277" "compile_fail/secret_is_not_displayed.rs";
    secret_is_not_moved_out: "compile_fail,E0616" "compile_fail/secret_is_not_moved_out.rs";
    secret_is_not_serialized: "compile_fail,E0277" "compile_fail/secret_is_not_serialized.rs";
    secret_is_not_shown: "compile_fail,E0277" "compile_fail/secret_is_not_shown.rs";
    signature_holds_is_not_made: "compile_fail,E0423" "compile_fail/signature_holds_is_not_made.rs";
    tag_verified_is_not_made: "compile_fail,E0423" "compile_fail/tag_verified_is_not_made.rs";
    tags_are_not_compared: "compile_fail,E0369" "compile_fail/tags_are_not_compared.rs";
    unverified_is_not_opened: "compile_fail,E0616" "compile_fail/unverified_is_not_opened.rs";
    verified_has_no_constructor: "compile_fail,E0624" "compile_fail/verified_has_no_constructor.rs";
    verified_is_not_made: "compile_fail,E0423" "compile_fail/verified_is_not_made.rs";
}
