"""A caller with a key of its own (RFC 9449), written down here a second time."""

import base64
import json
import time
import uuid
from urllib.parse import urlsplit

import requests.auth
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return base64url(digest.finalize())


class Key:
    """A key that signs: P-256 unless one is given, which may be an Ed25519 key too."""

    def __init__(self, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            self.algorithm = "EdDSA"
            self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(self.key.public_key().public_bytes_raw())}
        else:
            numbers = self.key.public_key().public_numbers()
            self.algorithm = "ES256"
            self.jwk = {"crv": "P-256", "kty": "EC", "x": base64url(numbers.x.to_bytes(32, "big")), "y": base64url(numbers.y.to_bytes(32, "big"))}

    def thumbprint(self):
        """RFC 7638."""
        return sha256(json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode())

    def sign(self, head, claims):
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": self.algorithm} | head, claims))
        if self.algorithm == "EdDSA":
            return f"{text}.{base64url(self.key.sign(text.encode()))}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Holder(Key):
    """Whoever proves possession of a key, with the nonce that each server gave last."""

    def __init__(self, key=None):
        super().__init__(key)
        self.nonces = {}

    def proof(self, method, target, token=None):
        claims = {"htm": method, "htu": target, "iat": int(time.time()), "jti": str(uuid.uuid4())}
        if token:
            claims["ath"] = sha256(token.encode())
        if nonce := self.nonces.get(urlsplit(target).netloc):
            claims["nonce"] = nonce
        return self.sign({"typ": "dpop+jwt", "jwk": self.jwk}, claims)

    def learn(self, target, headers):
        """Keeps the nonce of an answer; whether there was one."""
        nonce = headers.get("DPoP-Nonce")
        if nonce:
            self.nonces[urlsplit(target).netloc] = nonce
        return nonce is not None


class Bound(requests.auth.AuthBase):
    """Signs every request with a proof of its own, and once more where the server asks for a nonce (RFC 9449 §9)."""

    def __init__(self, holder, token):
        self.holder, self.token = holder, token

    def __call__(self, request):
        self.sign(request)
        request.register_hook("response", self.again)
        return request

    def sign(self, request):
        parts = urlsplit(request.url)
        target = f"{parts.scheme}://{parts.netloc}{parts.path}"
        request.headers["Authorization"] = f"DPoP {self.token}"
        request.headers["DPoP"] = self.holder.proof(request.method, target, self.token)

    def again(self, answer, **words):
        learned = self.holder.learn(answer.request.url, answer.headers)
        if not learned or answer.status_code != 401 or "use_dpop_nonce" not in answer.headers.get("WWW-Authenticate", ""):
            return answer
        answer.content  # read, so that its connection is free again
        request = answer.request.copy()
        request.deregister_hook("response", self.again)
        self.sign(request)
        second = answer.connection.send(request, **words)
        second.history.append(answer)
        second.request = request
        return second
