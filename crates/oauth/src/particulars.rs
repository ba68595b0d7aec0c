//! What a request asks for beside scopes and audiences, and a grant holds: authorization details and single claims.

use crate::claims_request::ClaimsRequest;
use countersign_authn::access_token::AuthorizationDetails;
use serde::{Deserialize, Serialize};

/// Both, as the request, the code and the grant carry them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// RFC 9396.
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
    /// OpenID Connect Core §5.5.
    pub claims: ClaimsRequest,
}
