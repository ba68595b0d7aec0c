//! What must not compile: a field that states no classification, a permit on anything but what it is for, a plaintext that is shown. Each file of
//! `tests/compile_fail` misuses one thing; the file in `tests/compile_pass` uses the same names without the flaw, so that none fails for another reason.

macro_rules! compiled {
    ($($name:ident: $fence:literal $file:literal;)*) => {
        $(
            #[doc = concat!("```", $fence, "\n", include_str!(concat!("../../tests/", $file)), "\n```")]
            mod $name {}
        )*
    };
}

compiled! {
    sealed_fields: "no_run" "compile_pass/sealed_fields.rs";
    index_bits_obey_the_rule: "compile_fail,E0080" "compile_fail/index_bits_obey_the_rule.rs";
    mask_permit_opens_nothing: "compile_fail,E0308" "compile_fail/mask_permit_opens_nothing.rs";
    opened_is_not_displayed: "compile_fail,E0599" "compile_fail/opened_is_not_displayed.rs";
    opened_is_not_serialized: "compile_fail,E0277" "compile_fail/opened_is_not_serialized.rs";
    permit_is_not_made: "compile_fail" "compile_fail/permit_is_not_made.rs";
    permit_of_another_field: "compile_fail,E0308" "compile_fail/permit_of_another_field.rs";
    permit_opens_once: "compile_fail,E0382" "compile_fail/permit_opens_once.rs";
    place_of_another_field: "compile_fail,E0308" "compile_fail/place_of_another_field.rs";
    purpose_is_not_invented: "compile_fail,E0599" "compile_fail/purpose_is_not_invented.rs";
    sealed_field_is_not_left_out: "compile_fail" "compile_fail/sealed_field_is_not_left_out.rs";
    sealed_field_states_its_classification: "compile_fail" "compile_fail/sealed_field_states_its_classification.rs";
    sealed_is_not_compared: "compile_fail,E0369" "compile_fail/sealed_is_not_compared.rs";
    tenant_field_has_no_person: "compile_fail,E0599" "compile_fail/tenant_field_has_no_person.rs";
    what_is_not_indexed_is_not_found: "compile_fail,E0277" "compile_fail/what_is_not_indexed_is_not_found.rs";
}

/// The page's examples compile.
#[doc = include_str!("../../../../docs/sealed-fields.md")]
mod page {}
