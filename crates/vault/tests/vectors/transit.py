#!/usr/bin/env python3
"""Writes transit.json from docs/transit.md alone, with other implementations of the ciphers (PyPI `cryptography`; HChaCha20 from its draft).

The vectors are committed; run this only to add some: python3 transit.py > transit.json
"""
import base64
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

PLAINTEXT, CONTEXT, AAD = b"made elsewhere", b"tenant 7", b"row 12"


def b64(data):
    return base64.b64encode(data).decode()


def hkdf(ikm, info, length):
    prk = hmac.new(bytes(32), ikm, hashlib.sha256).digest()
    okm, block, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        okm, counter = okm + block, counter + 1
    return okm[:length]


def hchacha20(key, nonce):
    state = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def quarter(a, b, c, d):
        for x, y, z, turn in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for diagonal in range(4):
            quarter(diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4)
    return struct.pack("<8I", *(state[:4] + state[12:]))


def seal(kind, key, nonce, plaintext, aad):
    if kind == "xchacha20-poly1305":
        return nonce + ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plaintext, aad)
    cipher = ChaCha20Poly1305 if kind == "chacha20-poly1305" else AESGCM
    return nonce + cipher(key).encrypt(nonce, plaintext, aad)


TYPES = [("aes128-gcm96", 16, 12), ("aes256-gcm96", 32, 12), ("chacha20-poly1305", 32, 12), ("xchacha20-poly1305", 32, 24)]
ciphertexts = []
for kind, key_bytes, nonce_bytes in TYPES:
    key, nonce = bytes(range(1, 1 + key_bytes)), bytes(range(100, 100 + nonce_bytes))
    derived = hkdf(key, CONTEXT, 96)
    cipher_key, bare, bound = derived[:key_bytes], derived[key_bytes:key_bytes + 32], derived[key_bytes + 32:key_bytes + 64]
    for aad in [b"", AAD]:
        ciphertexts.append({"type": kind, "derivation": "none", "key": b64(key), "aad": b64(aad),
                            "ciphertext": "vault:v1:" + b64(seal(kind, key, nonce, PLAINTEXT, aad))})
        ciphertexts.append({"type": kind, "derivation": "context", "key": b64(key), "aad": b64(aad),
                            "ciphertext": "vault:v1:" + b64(seal(kind, cipher_key, nonce, PLAINTEXT, aad))})
        if aad:
            tag = hmac.new(bound, struct.pack(">Q", len(aad)) + aad + PLAINTEXT, hashlib.sha256).digest()
        else:
            tag = hmac.new(bare, PLAINTEXT, hashlib.sha256).digest()
        ciphertexts.append({"type": kind, "derivation": "convergent", "key": b64(key), "aad": b64(aad),
                            "ciphertext": "vault:v1:" + b64(seal(kind, cipher_key, tag[:nonce_bytes], PLAINTEXT, aad))})

hmac_key = bytes(range(32))
names = {"sha2-224": "sha224", "sha2-256": "sha256", "sha2-384": "sha384", "sha2-512": "sha512",
         "sha3-256": "sha3_256", "sha3-384": "sha3_384", "sha3-512": "sha3_512"}
hmacs = [{"hash": name, "hmac": "vault:v1:" + b64(hmac.new(hmac_key, PLAINTEXT, native).digest())} for name, native in names.items()]

pair = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
public = pair.public_key().public_bytes(ser.Encoding.Raw, ser.PublicFormat.Raw)
derived = ed25519.Ed25519PrivateKey.from_private_bytes(hkdf(bytes(range(32)) + public, CONTEXT, 32))
derived_public = derived.public_key().public_bytes(ser.Encoding.Raw, ser.PublicFormat.Raw)

print(json.dumps({
    "plaintext": b64(PLAINTEXT), "context": b64(CONTEXT), "hmac_key": b64(hmac_key), "ciphertexts": ciphertexts, "hmacs": hmacs,
    "ed25519": {
        "pkcs8": b64(pair.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())),
        "public": b64(public), "signature": "vault:v1:" + b64(pair.sign(PLAINTEXT)),
        "derived_public": b64(derived_public), "derived_signature": "vault:v1:" + b64(derived.sign(PLAINTEXT)),
    },
}, indent=1))
