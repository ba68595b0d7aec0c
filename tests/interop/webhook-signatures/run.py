"""`standardwebhooks` and `http-message-signatures` (PyPI) verify what we sign and sign what we verify; Ed25519 of Standard Webhooks, which no library of
theirs has, by `cryptography` alone. SIGNATURES_BIN is the program of the crate that does our part. Ends with a line of counts.
"""

import base64
import datetime
import hashlib
import json
import os
import subprocess
import time

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = '{"type":"invoice.paid","data":{"name":"Zoë","amount":1200}}'
URL = "https://hooks.example.com/in?from=tests&a=b%20c"
NOW = int(time.time())

counts = {"passed": 0, "failed": 0}


def check(name, body):
    """One check: what it raises is a failure."""
    try:
        body()
    except Exception as error:  # whatever it is, it is a failed check
        counts["failed"] += 1
        print(f"FAIL {name}: {type(error).__name__}: {error}")
    else:
        counts["passed"] += 1
        print(f"ok   {name}")


def must(condition, message):
    if not condition:
        raise AssertionError(message)


def refuses(kind, body):
    """`body` ends with an error of the kind."""
    try:
        body()
    except kind:
        return
    raise AssertionError("it was accepted")


def ours(asked):
    """What our program answers."""
    run = subprocess.run(
        [os.environ["SIGNATURES_BIN"]],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(run.stdout)
    must("error" not in answer, answer.get("error"))
    return answer


class Request:
    """A request as `http-message-signatures` reads it."""

    def __init__(self, headers, method="POST", url=URL):
        self.method, self.url, self.headers = method, url, dict(headers)


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def sign(secrets, message, body=BODY, at=NOW):
    return ours({"do": "sign", "secrets": secrets, "id": message, "timestamp": at, "body": body})["headers"]


def verify(scheme, keys, headers, body=BODY, now=NOW, **more):
    return ours(
        {
            "do": "verify",
            "scheme": scheme,
            "keys": keys,
            "method": "POST",
            "url": URL,
            "headers": lower(headers),
            "body": body,
            "now": now,
            **more,
        }
    )


def standard(keys, headers, **more):
    return verify("standard-webhooks", [{"text": key} for key in keys], headers, **more)


def theirs(message, secret=SECRET, body=BODY, at=NOW):
    when = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": Webhook(secret).sign(message, when, body),
    }


def they_verify_what_we_sign():
    must(Webhook(SECRET).verify(BODY, sign([SECRET], "msg_1"))["type"] == "invoice.paid", "another body")
    both = sign([OTHER, SECRET], "msg_1")
    Webhook(SECRET).verify(BODY, both)
    Webhook(OTHER).verify(BODY, both)


def they_refuse_what_was_changed():
    wrong = WebhookVerificationError
    refuses(wrong, lambda: Webhook(SECRET).verify(BODY.replace("1200", "1201"), sign([SECRET], "msg_2")))
    refuses(wrong, lambda: Webhook(OTHER).verify(BODY, sign([SECRET], "msg_2")))
    refuses(wrong, lambda: Webhook(SECRET).verify(BODY, sign([SECRET], "msg_2", at=NOW - 600)))


def we_verify_what_they_sign():
    must(standard([SECRET], theirs("msg_3"))["event_id"] == "msg_3", "refused")
    must(standard([OTHER, SECRET], theirs("msg_3"))["event_id"] == "msg_3", "refused")


def we_refuse_what_was_changed():
    changed = standard([SECRET], theirs("msg_4"), body=BODY.replace("1200", "1201"))
    must(changed == {"refused": "signature_wrong"}, changed)
    other = standard([SECRET], theirs("msg_4", secret=OTHER))
    must(other == {"refused": "signature_wrong"}, other)
    old = standard([SECRET], theirs("msg_4", at=NOW - 301))
    must(old == {"refused": "timestamp_old"}, old)


def raw_public(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def whsk(key):
    seed = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    return "whsk_" + base64.b64encode(seed + raw_public(key)).decode()


def ed25519_both_ways():
    key = ed25519.Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(raw_public(key)).decode()
    must(ours({"do": "verifying-text", "secret": whsk(key)})["text"] == public, "another public key")
    headers = sign([whsk(key)], "msg_5")
    version, signature = headers["webhook-signature"].split(",")
    must(version == "v1a", version)
    signed = f"msg_5.{NOW}.{BODY}".encode()
    key.public_key().verify(base64.b64decode(signature), signed)
    refuses(WrongSignature, lambda: key.public_key().verify(base64.b64decode(signature), signed + b" "))
    made = {**headers, "webhook-signature": "v1a," + base64.b64encode(key.sign(signed)).decode()}
    must(standard([public], made)["event_id"] == "msg_5", "refused")
    other = standard([public], made, body=BODY + " ")
    must(other == {"refused": "signature_wrong"}, other)


class Resolver(HTTPSignatureKeyResolver):
    def __init__(self, private, public):
        self.private, self.public = private, public

    def resolve_private_key(self, key_id):
        must(key_id == "key-1", key_id)
        return self.private

    def resolve_public_key(self, key_id):
        must(key_id == "key-1", key_id)
        return self.public


HMAC_KEY = hashlib.sha256(b"a secret of these tests").digest()
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
# Name, their algorithm, what they sign and verify with, and what we verify with.
KINDS = [
    (
        "hmac-sha256",
        algorithms.HMAC_SHA256,
        Resolver(HMAC_KEY, HMAC_KEY),
        "base64:" + base64.b64encode(HMAC_KEY).decode(),
    ),
    ("ed25519", algorithms.ED25519, Resolver(ED_KEY, ED_KEY.public_key()), pem(ED_KEY)),
    ("ecdsa-p256-sha256", algorithms.ECDSA_P256_SHA256, Resolver(EC_KEY, EC_KEY.public_key()), pem(EC_KEY)),
    ("rsa-pss-sha512", algorithms.RSA_PSS_SHA512, Resolver(RSA_KEY, RSA_KEY.public_key()), pem(RSA_KEY)),
]
PROFILE = ("@method", "@target-uri", "content-digest", "content-type", "webhook-id")
DERIVED = (
    "@authority",
    "@method",
    "@path",
    "@query",
    '"@query-param";name="a"',
    "@request-target",
    "@scheme",
    "@target-uri",
    "content-digest",
    '"content-digest";key="sha-256"',
    '"content-type";bs',
)


def digest(body):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() + ":"


def plain():
    return {"Content-Type": "application/json", "webhook-id": "msg_9", "Content-Digest": digest(BODY)}


def signed_by_them(algorithm, resolver, components, **more):
    request = Request(plain())
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver)
    signer.sign(request, key_id="key-1", covered_component_ids=components, use_existing_digest=True, **more)
    return request.headers


def when(seconds):
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)


def profile_of_theirs(algorithm, resolver, key):
    """They sign by our profile; we verify, and refuse what was changed."""
    times = {"created": when(NOW), "expires": when(NOW + 300)}
    for named in (True, False):
        headers = signed_by_them(
            algorithm, resolver, PROFILE, tag="webhook", nonce="n-1", include_alg=named, **times
        )
        keys = [{"id": "key-1", "text": key}]
        taken = verify("http-signature", keys, headers)
        must(taken == {"event_id": "msg_9"}, taken)
        for changed, why in [
            ({"body": BODY + " "}, "digest_wrong"),
            ({"body": BODY + " ", "headers": {**headers, "Content-Digest": digest(BODY + " ")}}, "signature_wrong"),
            ({"headers": {**headers, "webhook-id": "msg_8"}}, "signature_wrong"),
            ({"now": NOW + 301}, "timestamp_old"),
        ]:
            judged = verify("http-signature", keys, **{"headers": headers, **changed})
            must(judged == {"refused": why}, f"{changed}: {judged}")
    uncovered = signed_by_them(algorithm, resolver, PROFILE[:2], tag="webhook", **times)
    judged = verify("http-signature", keys, uncovered)
    must(judged == {"refused": "components_missing"}, judged)


def components_of_theirs(algorithm, resolver, key):
    """They cover what can be covered; we see the same values."""
    headers = signed_by_them(algorithm, resolver, DERIVED, created=when(NOW))
    taken = verify("http-message", [{"id": "key-1", "text": key}], headers, components=list(DERIVED))
    must("event_id" in taken, taken)


def judged_by_them(algorithm, resolver, headers, components, **more):
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=resolver)
    return verifier.verify(
        Request(headers), require_components=components, body=more.pop("body", BODY).encode(), **more
    )


def profile_of_ours(algorithm, resolver, secret):
    """We sign by our profile; they verify, and refuse what was changed."""
    base = {"content-type": "application/json", "webhook-id": "msg_9"}
    signed = ours(
        {
            "do": "sign-profile",
            "keys": [{"id": "key-1", "text": secret}],
            "method": "POST",
            "url": URL,
            "headers": base,
            "body": BODY,
            "now": NOW,
        }
    )["headers"]
    headers = {**base, **signed}
    (result,) = judged_by_them(algorithm, resolver, headers, PROFILE, expect_tag="webhook")
    must(result.parameters["keyid"] == "key-1" and len(result.parameters["nonce"]) == 22, result.parameters)
    for changed, body in [
        (headers, BODY + " "),
        ({**headers, "webhook-id": "msg_8"}, BODY),
        ({**headers, "content-type": "text/plain"}, BODY),
    ]:
        refuses(
            InvalidSignature,
            lambda changed=changed, body=body: judged_by_them(
                algorithm, resolver, changed, PROFILE, expect_tag="webhook", body=body
            ),
        )


def message_of_ours(name, algorithm, resolver):
    """We cover what can be covered; they see the same values."""
    pkcs8 = resolver.private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed = ours(
        {
            "do": "sign-message",
            "key": {"id": "key-1", "algorithm": name, "pkcs8": base64.b64encode(pkcs8).decode()},
            "components": list(DERIVED),
            "method": "POST",
            "url": URL,
            "headers": lower(plain()),
            "now": NOW,
        }
    )["headers"]
    judged_by_them(algorithm, resolver, {**plain(), **signed}, DERIVED)
    other = {**plain(), **signed, "Content-Type": "text/plain"}
    refuses(InvalidSignature, lambda: judged_by_them(algorithm, resolver, other, DERIVED))


check("standardwebhooks verifies what we sign", they_verify_what_we_sign)
check("standardwebhooks refuses what was changed", they_refuse_what_was_changed)
check("we verify what standardwebhooks signs", we_verify_what_they_sign)
check("we refuse what was changed of standardwebhooks", we_refuse_what_was_changed)
check("Ed25519 of Standard Webhooks holds both ways", ed25519_both_ways)
for name, algorithm, resolver, key in KINDS:
    check(f"{name}: we verify the profile of theirs", lambda: profile_of_theirs(algorithm, resolver, key))
    check(f"{name}: we see the components of theirs", lambda: components_of_theirs(algorithm, resolver, key))
    if name != "hmac-sha256":
        check(f"{name}: they see the components of ours", lambda: message_of_ours(name, algorithm, resolver))
for name, algorithm, resolver, secret in [
    ("hmac-sha256", algorithms.HMAC_SHA256, Resolver(HMAC_KEY, HMAC_KEY), "whsec_" + base64.b64encode(HMAC_KEY).decode()),
    ("ed25519", algorithms.ED25519, Resolver(ED_KEY, ED_KEY.public_key()), whsk(ED_KEY)),
]:
    check(f"{name}: they verify the profile of ours", lambda: profile_of_ours(algorithm, resolver, secret))

print(f"webhook signatures (PyPI): {counts['passed']} passed, {counts['failed']} failed, 0 skipped")
raise SystemExit(0 if counts["failed"] == 0 and counts["passed"] > 0 else 1)
