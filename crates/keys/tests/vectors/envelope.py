#!/usr/bin/env python3
"""Writes envelope.json from docs/formats/envelope.md alone, with another implementation of HKDF and AES-GCM (PyPI `cryptography`).

The vectors are committed; run this only to add some: python3 envelope.py > envelope.json
"""
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


def seal(key, key_id, version, aad, plaintext, salt):
    naming = b"\xc5\x01" + key_id + version.to_bytes(4, "big")
    okm = hkdf(key, salt, b"countersign envelope" + naming, 76)
    commitment, message_key, nonce = okm[:32], okm[32:64], okm[64:]
    header = naming + commitment + salt
    return header + AESGCM(message_key).encrypt(nonce, plaintext, header + aad)


KEY_ID = bytes.fromhex("0102030405060708")
KEYS = {1: bytes(range(32)), 2: bytes(range(32, 64)), 3: bytes(range(64, 96))}
MINIMUM = 2
SALT = bytes(range(0xA0, 0xC0))
PLACE = {"tenant": "default", "table": "signing_keys", "column": "private", "row": "6b31"}


def aad(place):
    fields = [place[name].encode() for name in ("tenant", "table", "column")]
    return canonical(b"row", *fields, bytes.fromhex(place["row"]))


def flip(sealed, position):
    changed = bytearray(sealed)
    changed[position] ^= 0x01
    return bytes(changed)


def vectors():
    text = b"attack at dawn"
    good = seal(KEYS[3], KEY_ID, 3, aad(PLACE), text, SALT)

    def case(name, expect, sealed, place=PLACE, plaintext=None):
        entry = {"name": name, "expect": expect, "place": place, "sealed": sealed.hex()}
        if plaintext is not None:
            entry["plaintext"] = plaintext.hex()
            entry["salt"] = sealed[46:78].hex()
        return entry

    yield case("current version", "opens", good, plaintext=text)
    yield case("empty plaintext", "opens", seal(KEYS[3], KEY_ID, 3, aad(PLACE), b"", SALT), plaintext=b"")
    yield case("plaintext of several blocks", "opens", seal(KEYS[3], KEY_ID, 3, aad(PLACE), bytes(100), SALT), plaintext=bytes(100))
    yield case("empty row", "opens", seal(KEYS[3], KEY_ID, 3, aad({**PLACE, "row": ""}), text, SALT), {**PLACE, "row": ""}, text)
    yield case("older version above the minimum", "opens", seal(KEYS[2], KEY_ID, 2, aad(PLACE), text, bytes(32)), plaintext=text)
    yield case("version below the minimum", "key version too old", seal(KEYS[1], KEY_ID, 1, aad(PLACE), text, SALT))
    yield case("version that does not exist", "key unknown", seal(KEYS[3], KEY_ID, 4, aad(PLACE), text, SALT))
    yield case("another key id", "key unknown", seal(KEYS[3], bytes(8), 3, aad(PLACE), text, SALT))
    yield case("sealed with the key of another version", "commitment", seal(KEYS[2], KEY_ID, 3, aad(PLACE), text, SALT))
    yield case("version changed to another that exists", "commitment", good[:13] + b"\x02" + good[14:])
    yield case("commitment changed", "commitment", flip(good, 14))
    yield case("last byte of the commitment changed", "commitment", flip(good, 45))
    yield case("salt changed", "commitment", flip(good, 46))
    # The right commitment over the wrong message key: what a forger without the commitment check would look for.
    other = seal(KEYS[2], KEY_ID, 3, aad(PLACE), text, SALT)
    yield case("body of another key under the right commitment", "authentication", good[:78] + other[78:])
    yield case("ciphertext changed", "authentication", flip(good, 78))
    yield case("tag changed", "authentication", flip(good, len(good) - 1))
    yield case("tag cut by a byte", "authentication", good[:-1])
    yield case("a byte follows", "authentication", good + b"\x00")
    yield case("moved to another tenant", "authentication", good, {**PLACE, "tenant": "other"})
    yield case("moved to another table", "authentication", good, {**PLACE, "table": "users"})
    yield case("moved to another column", "authentication", good, {**PLACE, "column": "public"})
    yield case("moved to another row", "authentication", good, {**PLACE, "row": "6b32"})
    yield case("column and row shifted", "authentication", good, {**PLACE, "column": "privatek", "row": "31"})
    yield case("wrong first byte", "magic", b"\xc6" + good[1:])
    yield case("unknown suite", "suite", good[:1] + b"\x02" + good[2:])
    yield case("suite zero", "suite", good[:1] + b"\x00" + good[2:])
    yield case("nothing", "length", b"")
    yield case("header alone", "length", good[:78])
    yield case("one byte too short for an empty plaintext", "length", good[:93])


print(json.dumps({
    "about": "Envelopes of suite 1 (docs/formats/envelope.md), written by envelope.py. `expect` is `opens` or the class of the refusal.",
    "key_id": KEY_ID.hex(),
    "keys": {str(version): key.hex() for version, key in KEYS.items()},
    "minimum_version": MINIMUM,
    "vectors": list(vectors()),
}, indent=1))
