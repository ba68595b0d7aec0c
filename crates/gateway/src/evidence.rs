//! The order of the pipeline is in its types: what skips a step does not compile. Each file in `tests/compile_fail` skips one; those in
//! `tests/compile_pass` are the same without the flaw, so that none fails for another reason.

macro_rules! compiled {
    ($($name:ident: $fence:literal $file:literal;)*) => {
        $(
            #[doc = concat!("```", $fence, "\n", include_str!(concat!("../tests/", $file)), "\n```")]
            mod $name {}
        )*
    };
}

compiled! {
    caller_of_unverified_claims: "compile_fail,E0308" "compile_fail/caller_of_unverified_claims.rs";
    caller_passes: "no_run" "compile_pass/caller.rs";
    caller_with_unspent_subject: "compile_fail,E0308" "compile_fail/caller_with_unspent_subject.rs";
    caller_without_scopes: "compile_fail,E0308" "compile_fail/caller_without_scopes.rs";
    forward_a_denial: "compile_fail,E0308" "compile_fail/forward_a_denial.rs";
    forward_passes: "no_run" "compile_pass/forward.rs";
    forward_twice: "compile_fail,E0382" "compile_fail/forward_twice.rs";
    forward_with_anothers_permit: "compile_fail,E0594" "compile_fail/forward_with_anothers_permit.rs";
    forward_without_permit: "compile_fail,E0308" "compile_fail/forward_without_permit.rs";
    forward_without_record: "compile_fail,E0308" "compile_fail/forward_without_record.rs";
    principal_of_unverified_claims: "compile_fail,E0308" "compile_fail/principal_of_unverified_claims.rs";
    permit_for_another_target: "compile_fail,E0308" "compile_fail/permit_for_another_target.rs";
}
