//! What must not compile. A permit is made by a decision alone, for one target, once. Each file of `tests/compile_fail` misuses one
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
    decide_and_look: "no_run" "compile_pass/decide_and_look.rs";
    client_is_not_made_of_nothing: "compile_fail,E0599" "compile_fail/client_is_not_made_of_nothing.rs";
    credential_is_not_cloned: "compile_fail,E0599" "compile_fail/credential_is_not_cloned.rs";
    permit_for_another_target: "compile_fail,E0308" "compile_fail/permit_for_another_target.rs";
    permit_is_not_cloned: "compile_fail,E0599" "compile_fail/permit_is_not_cloned.rs";
    permit_is_not_made_of_nothing: "compile_fail,E0599" "compile_fail/permit_is_not_made_of_nothing.rs";
    permit_is_not_opened: "compile_fail,E0616" "compile_fail/permit_is_not_opened.rs";
    permit_is_not_read_from_text: "compile_fail,E0277" "compile_fail/permit_is_not_read_from_text.rs";
    permit_with_its_target_swapped: "compile_fail,E0451" "compile_fail/permit_with_its_target_swapped.rs";
    subject_is_not_read_from_text: "compile_fail,E0277" "compile_fail/subject_is_not_read_from_text.rs";
    target_taken_out_unrecorded: "compile_fail,E0624" "compile_fail/target_taken_out_unrecorded.rs";
    unspent_subject_is_no_principal: "compile_fail,E0308" "compile_fail/unspent_subject_is_no_principal.rs";
    unspent_subject_is_no_target: "compile_fail,E0277" "compile_fail/unspent_subject_is_no_target.rs";
    unspent_subject_is_not_opened: "compile_fail,E0616" "compile_fail/unspent_subject_is_not_opened.rs";
}
