//! What a fresh installation permits, as text. `countersign init` writes these files out; a configuration may replace each of them.

/// The schema that every policy is checked against.
pub const SCHEMA: &str = include_str!("../policies/schema.cedarschema");

/// The policies, by file name.
pub const POLICIES: [(&str, &str); 12] = [
    ("access.cedar", include_str!("../policies/access.cedar")),
    ("account.cedar", include_str!("../policies/account.cedar")),
    (
        "administration.cedar",
        include_str!("../policies/administration.cedar"),
    ),
    ("egress.cedar", include_str!("../policies/egress.cedar")),
    ("exchange.cedar", include_str!("../policies/exchange.cedar")),
    ("issue.cedar", include_str!("../policies/issue.cedar")),
    ("register.cedar", include_str!("../policies/register.cedar")),
    ("routes.cedar", include_str!("../policies/routes.cedar")),
    ("sign_in.cedar", include_str!("../policies/sign_in.cedar")),
    ("tenants.cedar", include_str!("../policies/tenants.cedar")),
    ("vault.cedar", include_str!("../policies/vault.cedar")),
    ("webhooks.cedar", include_str!("../policies/webhooks.cedar")),
];
