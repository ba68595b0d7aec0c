"""What authlib, a client written by others, sees: client credentials with a secret and with a key, introspection, revocation.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN), adds two clients by its command line, and ends with a line of counts.
"""

import base64
import json
import os

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from fabric import check, finish, must, serve

AUDIENCE = "https://orders.example"
SCOPE = "orders:read"


def number(value):
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


def claims(token):
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def use(session, metadata, label):
    """A token, what introspection says of it, and that revoking it has an effect."""

    def issue():
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope=SCOPE, resource=AUDIENCE)
        must(token["token_type"].lower() == "bearer", f"token_type is {token['token_type']}")
        must("refresh_token" not in token, "client credentials gave a refresh token")
        inside = claims(token["access_token"])
        must(inside["aud"] == AUDIENCE, f"aud is {inside['aud']}")
        must(inside["scope"] == SCOPE, f"scope is {inside['scope']}")
        return token

    token = check(f"{label}: client credentials give a token for one audience", issue)
    if token is None:
        return

    def introspect():
        answer = session.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
        must(answer.status_code == 200, f"status {answer.status_code}: {answer.text}")
        return answer.json()

    def active():
        answer = introspect()
        must(answer["active"] is True, f"answer {answer}")
        must(answer["aud"] in (AUDIENCE, [AUDIENCE]), f"aud {answer.get('aud')}")

    def revoke():
        answer = session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
        must(answer.status_code == 200, f"status {answer.status_code}: {answer.text}")

    def inactive():
        answer = introspect()
        must(answer == {"active": False}, f"answer {answer}")

    check(f"{label}: introspection says active", active)
    check(f"{label}: revocation is accepted", revoke)
    check(f"int_4_introspection says inactive after revocation ({label})", inactive)


def main(fabric):
    addresses, home = fabric.addresses, fabric.home
    issuer = addresses["identity"]
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": number(public.x), "y": number(public.y), "kid": "robot-1", "alg": "ES256", "use": "sig"}
    with open(os.path.join(home, "robot.jwks"), "w", encoding="utf-8") as file:
        json.dump({"keys": [jwk]}, file)
    secret = fabric.client("batch", "--scope", SCOPE, "--audience", AUDIENCE)
    registration = ["--grant", "client_credentials", "--scope", SCOPE, "--audience", AUDIENCE]
    fabric.administer("client", "add", "robot", "--jwks", os.path.join(home, "robot.jwks"), *registration)

    with_secret = OAuth2Session("batch", secret, token_endpoint_auth_method="client_secret_basic")
    with_secret.verify = addresses["ca"]
    # An authority named by the environment would win over the one set here.
    with_secret.trust_env = False
    metadata = with_secret.request("GET", f"{issuer}/.well-known/oauth-authorization-server", withhold_token=True).json()
    check("metadata name the issuer", lambda: must(metadata["issuer"] == issuer, f"issuer is {metadata['issuer']}"))
    use(with_secret, metadata, "client_secret_basic")

    def wrong_secret():
        form = {"grant_type": "client_credentials"}
        answer = requests.post(metadata["token_endpoint"], auth=("batch", "wrong"), data=form, verify=addresses["ca"], timeout=30)
        must(answer.status_code == 401, f"status {answer.status_code}")
        must(answer.json()["error"] == "invalid_client", f"answer {answer.text}")
        must("www-authenticate" in answer.headers, "no challenge")

    check("r28_a wrong secret is refused with a challenge", wrong_secret)

    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    with_key = OAuth2Session(
        "robot",
        ECKey.import_key(pem),
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
    )
    # The audience of an assertion is the issuer; authlib calls its argument after the older habit.
    with_key.register_client_auth_method(PrivateKeyJWT(token_endpoint=issuer, headers={"kid": "robot-1"}, alg="ES256"))
    with_key.verify = addresses["ca"]
    with_key.trust_env = False
    use(with_key, metadata, "private_key_jwt")


serve("authlib", {}, main)
finish("authlib")
