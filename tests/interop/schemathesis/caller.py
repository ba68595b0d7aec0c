"""Who sends what schemathesis thinks of (its hooks): somebody with a bound token and the key to it, named in CALLER; and what it looks at besides."""

import json
import os

import schemathesis
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from schemathesis.specs.openapi import _auth_retry

from dpop import Bound, Holder

# A credential that is wrong and still one of our scheme. Without a scheme it is no credential at all but a malformed request, which RFC 6750 §3.1 answers with 400.
_auth_retry.INVALID_CREDENTIAL = "DPoP SCHEMATHESIS-INVALID-VALUE"

with open(os.environ["CALLER"], encoding="utf-8") as file:
    CALLER = json.load(file)

schemathesis.auth.set_from_requests(Bound(Holder(load_pem_private_key(CALLER["key"].encode(), None)), CALLER["token"]))


@schemathesis.check
def nothing_kept_back(ctx, response, case):
    """What services say beyond the document does not leave the gateway, whatever was asked."""
    for secret in CALLER["secrets"]:
        assert secret.encode() not in response.content, "the answer holds what is nobody's to see"
