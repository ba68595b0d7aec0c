#!/usr/bin/env python3
"""Writes seal.json from docs/formats/seal.md, envelope.md and shares.md alone, with another implementation of HKDF, HMAC and AES-GCM (PyPI `cryptography`).

The vectors are committed; run this only to add some: python3 seal.py > seal.json
"""
import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf(ikm, salt, info, length):
    prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
    okm, block, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        okm, counter = okm + block, counter + 1
    return okm[:length]


def canonical(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def envelope(key, key_id, version, context, plaintext, salt):
    naming = b"\xc5\x01" + key_id + version.to_bytes(4, "big")
    okm = hkdf(key, salt, b"countersign envelope" + naming, 76)
    header = naming + okm[:32] + salt
    return header + AESGCM(okm[32:64]).encrypt(okm[64:], plaintext, header + context)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mul(a, b):
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << (bit - 8)
    return product


def line(secret, row, count):
    """Shares of threshold two."""
    return [bytes(s ^ mul(c, x) for s, c in zip(secret, row)) + bytes([x]) for x in range(1, count + 1)]


def wrapped_root(unseal, kind, numbers, root, salt):
    key_id = hkdf(unseal, b"", b"countersign unseal key id", 8)
    key = hkdf(unseal, b"", b"countersign unseal key", 32)
    return envelope(key, key_id, 1, canonical(b"root-key", kind, bytes(numbers)), root, salt)


def rows(name):
    return hashlib.sha256(name).digest()


UNSEAL, SOURCE, ROOT, RECOVERY = rows(b"unseal"), rows(b"source"), rows(b"root"), rows(b"recovery")
ROOT_ID = hkdf(ROOT, b"", b"countersign root key id", 8)
ROOT_KEY = hkdf(ROOT, b"", b"countersign root key", 32)
MAC_ROOT = rows(b"mac root")
KEK = rows(b"kek id")[:8] + (1).to_bytes(4, "big") + rows(b"kek") + MAC_ROOT

recovery_key = hkdf(MAC_ROOT, b"", b"countersign mac key\0installation\0recovery keys", 32)
recovery_parts = [b"recovery keys", RECOVERY, bytes([3, 2])]
recovery_text = b"".join(len(part).to_bytes(8, "big") + part for part in recovery_parts)
check = hmac.new(recovery_key, recovery_text, hashlib.sha256).digest()

print(json.dumps({
    "about": "Seal rows (docs/formats/seal.md) over one root key, written by seal.py.",
    "shamir": {
        "generation": 1,
        "seal": {"shamir": {"shares": 3, "threshold": 2}},
        "root": b64(wrapped_root(UNSEAL, b"shamir", [3, 2], ROOT, rows(b"salt 1"))),
    },
    "shares": [share.hex() for share in line(UNSEAL, rows(b"coefficient"), 3)[1:]],
    "file": {
        "generation": 2,
        "seal": {"auto": {"source": {"kind": "file"}, "recovery": {"rule": {"shares": 3, "threshold": 2}, "check": b64(check)}}},
        "root": b64(wrapped_root(SOURCE, b"file", [0, 0], ROOT, rows(b"salt 2"))),
    },
    "unseal_key": b64(SOURCE),
    "recovery_shares": [base64.b64encode(share).decode() for share in line(RECOVERY, rows(b"another coefficient"), 3)[:2]],
    "root_key_id": ROOT_ID.hex(),
    "kek": b64(envelope(ROOT_KEY, ROOT_ID, 1, canonical(b"key-encryption-key"), KEK, rows(b"salt 3"))),
}, indent=1))
