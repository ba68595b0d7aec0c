"""What joserfc, a library written by others, reads of our tokens with nothing but the published keys, and what the server reads of its own.

The one argument is a file that `tokens.mjs` writes: tokens with key sets, private keys of a client, and addresses of the running server. Ends with a line of counts.
"""

import base64
import hashlib
import json
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from joserfc import jwe, jwt
from joserfc.jwk import KeySet, import_key

from joserfc_checks import changed, check, finish, key_pair, must, refused

SEALS = [("ECDH-ES", "A128GCM"), ("ECDH-ES", "A128CBC-HS256"), ("ECDH-ES+A256KW", "A256GCM"), ("ECDH-ES+A256KW", "A128CBC-HS256")]


def set_of(jwks, use):
    return KeySet.import_key_set({"keys": [key for key in jwks["keys"] if key.get("use") == use]})


def verified(token, keys, alg, issuer, audience, at):
    decoded = jwt.decode(token, keys, algorithms=[alg])
    rules = {"iss": {"essential": True, "value": issuer}}
    if audience is not None:
        rules["aud"] = {"essential": True, "value": audience}
    # As of when it was made: some live for seconds.
    jwt.JWTClaimsRegistry(now=at, **rules).validate(decoded.claims)
    return decoded


def read(material):
    alg, issuer, keys = material["alg"], material["issuer"], set_of(material["jwks"], "sig")
    for signed in material["signed"]:

        def verify(signed=signed):
            token, at = signed["token"], signed["at"]
            decoded = verified(token, keys, alg, issuer, signed.get("audience"), at)
            if "typ" in signed:
                must(decoded.header["typ"] == signed["typ"], f"typ is {decoded.header['typ']}")
            for part in (1, 2):
                refused(lambda part=part: verified(changed(token, part), keys, alg, issuer, signed.get("audience"), at))
            # Introspection (RFC 9701 §5) and userinfo say how things stand, and have no end of their own.
            if "exp" in decoded.claims:
                refused(lambda: verified(token, keys, alg, issuer, signed.get("audience"), at + 90000))
            must("exp" in decoded.claims or signed["kind"] in ("introspection", "userinfo"), "it never expires")
            refused(lambda: jwt.decode(token, key_pair(alg), algorithms=[alg]))
            other = "ES256" if alg != "ES256" else "PS256"
            refused(lambda: jwt.decode(token, keys, algorithms=[other]))

        check(f"joserfc verifies our {signed['kind']} ({alg})", verify)
    for sealed in material["sealed"]:

        def opened(sealed=sealed):
            key, names = import_key(sealed["key"]), [sealed["alg"], sealed["enc"]]
            inner = jwe.decrypt_compact(sealed["token"], key, algorithms=names)
            must(inner.protected["cty"] == "JWT", f"header {inner.protected}")
            claims = verified(inner.plaintext.decode(), keys, alg, issuer, sealed["audience"], sealed["at"]).claims
            must(sealed["holds"] in claims, f"claims {sorted(claims)}")
            for part in (3, 4):
                refused(lambda part=part: jwe.decrypt_compact(changed(sealed["token"], part), key, algorithms=names))
            refused(lambda: jwe.decrypt_compact(sealed["token"], key_pair(sealed["alg"]), algorithms=names))

        check(f"joserfc opens our {sealed['kind']} encrypted with {sealed['alg']} and {sealed['enc']}", opened)


class Server:
    def __init__(self, metadata, ca):
        self.metadata = metadata
        context = ssl.create_default_context(cafile=ca)
        # No proxy of the environment stands between us and loopback.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def post(self, endpoint, form, headers=None):
        body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.metadata[endpoint], data=body, headers=headers or {})
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)


def erred(answer, expected):
    status, _, body = answer
    must(400 <= status < 500 and body.get("error") == expected, f"answered {status} {body} instead of {expected}")


def taken(server, key_data, alg, jwks):
    key, kid, issuer = import_key(key_data), key_data["kid"], server.metadata["issuer"]

    def sign(header, claims):
        return jwt.encode({"alg": alg, **header}, claims, key, algorithms=[alg])

    def assertion():
        now = int(time.time())
        claims = {"iss": "signer", "sub": "signer", "aud": issuer, "jti": secrets.token_urlsafe(), "iat": now, "exp": now + 60}
        return sign({"kid": kid, "typ": "JWT"}, claims)

    def form(more, signed=None):
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return {"client_assertion_type": kind, "client_assertion": signed or assertion(), **more}

    credentials = {"grant_type": "client_credentials", "scope": "orders:read"}

    def assertions():
        signed = assertion()
        for part in (1, 2):
            erred(server.post("token_endpoint", form(credentials, changed(signed, part))), "invalid_client")
        status, _, body = server.post("token_endpoint", form(credentials, signed))
        must(status == 200, f"answered {status} {body}")
        erred(server.post("token_endpoint", form(credentials, signed)), "invalid_client")

    check(f"the server takes a client assertion by joserfc ({alg})", assertions)

    def proofs():
        jwk = {name: value for name, value in key.as_dict(private=False).items() if name in ("kty", "crv", "x", "y", "n", "e")}

        def proof(nonce=None):
            claims = {"htm": "POST", "htu": server.metadata["token_endpoint"], "iat": int(time.time()), "jti": secrets.token_urlsafe()}
            return sign({"typ": "dpop+jwt", "jwk": jwk}, {**claims, **({"nonce": nonce} if nonce else {})})

        _, headers, _ = server.post("token_endpoint", form(credentials), {"DPoP": proof()})
        dpop = proof(headers.get("DPoP-Nonce"))
        erred(server.post("token_endpoint", form(credentials), {"DPoP": changed(dpop, 2)}), "invalid_dpop_proof")
        status, _, body = server.post("token_endpoint", form(credentials), {"DPoP": dpop})
        must(status == 200 and body["token_type"] == "DPoP", f"answered {status} {body}")
        bound = json.loads(base64.urlsafe_b64decode(body["access_token"].split(".")[1] + "=="))["cnf"]["jkt"]
        must(bound == key.thumbprint(), "bound to another key")

    check(f"the server takes a DPoP proof by joserfc ({alg})", proofs)

    def request():
        now = int(time.time())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"a verifier of which nothing becomes of in the end").digest()).rstrip(b"=").decode()
        claims = {
            "iss": "signer", "aud": issuer, "nbf": now, "exp": now + 60, "client_id": "signer", "response_type": "code",
            "redirect_uri": "https://signer.example/callback", "scope": "openid orders:read", "state": "s",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }
        return sign({"kid": kid, "typ": "oauth-authz-req+jwt"}, claims)

    def push(request):
        return server.post("pushed_authorization_request_endpoint", form({"client_id": "signer", "request": request}))

    def requests():
        signed = request()
        for part in (1, 2):
            erred(push(changed(signed, part)), "invalid_request_object")
        status, _, body = push(signed)
        must(status == 201, f"answered {status} {body}")

    check(f"the server takes a request object by joserfc ({alg})", requests)
    for management, enc in SEALS:

        def sealed(management=management, enc=enc):
            data = next(key for key in jwks["keys"] if key.get("use") == "enc")
            header = {"alg": management, "enc": enc, "cty": "JWT", "kid": data["kid"]}
            token = jwe.encrypt_compact(header, request().encode(), import_key(data), algorithms=[management, enc])
            for part in (3, 4):
                erred(push(changed(token, part)), "invalid_request_object")
            status, _, body = push(token)
            must(status == 201, f"answered {status} {body}")

        check(f"the server opens what joserfc encrypts with {management} and {enc} ({alg})", sealed)


def main(path):
    with open(path, encoding="utf-8") as file:
        material = json.load(file)
    for one in material["read"]:
        read(one)
    server = Server(material["as"], material["ca"])
    for alg, key in material["keys"].items():
        taken(server, key, alg, material["jwks"])


finish(main, sys.argv[1])
