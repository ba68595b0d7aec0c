//! What must not compile: a receipt of a webhook and a verified signature are made beside the comparison alone, and what was looked at is verified once. Each file of
//! `tests/compile_fail` misuses one thing; the file in `tests/compile_pass` uses the same names without the flaw, so that none fails for another reason.

macro_rules! compiled {
    ($($name:ident: $fence:literal $file:literal;)*) => {
        $(
            #[doc = concat!("```", $fence, "\n", include_str!(concat!("../tests/", $file)), "\n```")]
            mod $name {}
        )*
    };
}

compiled! {
    receipts_and_proofs: "no_run" "compile_pass/receipts_and_proofs.rs";
    digest_matches_is_not_made: "compile_fail,E0423" "compile_fail/digest_matches_is_not_made.rs";
    looked_is_verified_once: "compile_fail,E0382" "compile_fail/looked_is_verified_once.rs";
    receipt_is_not_cloned: "compile_fail,E0599" "compile_fail/receipt_is_not_cloned.rs";
    receipt_is_not_made: "compile_fail,E0451" "compile_fail/receipt_is_not_made.rs";
    signature_verified_is_not_made: "compile_fail,E0451" "compile_fail/signature_verified_is_not_made.rs";
    signing_secret_is_not_reached: "compile_fail,E0616" "compile_fail/signing_secret_is_not_reached.rs";
}
