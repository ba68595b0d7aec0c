#!/usr/bin/env python3
"""Writes stream.json from docs/formats/stream.md alone, with another implementation of HKDF and AES-GCM (PyPI `cryptography`).

The vectors are committed; run this only to add some: python3 stream.py > stream.json
"""
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 65536


def hkdf(ikm, salt, info, length):
    prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
    okm, block, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        okm, counter = okm + block, counter + 1
    return okm[:length]


def canonical(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def seal(key, key_id, version, context, plaintext, salt):
    naming = b"\xc5\x02" + key_id + version.to_bytes(4, "big")
    okm = hkdf(key, salt, b"countersign stream" + naming, 71)
    header = naming + okm[:32] + salt
    gcm, prefix = AESGCM(okm[32:64]), okm[64:]
    chunks = [plaintext[at:at + CHUNK] for at in range(0, len(plaintext), CHUNK)] or [b""]
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        nonce = prefix + number.to_bytes(4, "big") + bytes([last])
        header_or_more = gcm.encrypt(nonce, chunk, header + context)
        yield header + header_or_more if number == 0 else header_or_more


KEY, KEY_ID, VERSION = b"\x40" * 32, bytes(range(1, 9)), 3
CONTEXT = canonical(b"row", b"default", b"files", b"body", b"1")
SALT = bytes(range(0xA0, 0xC0))


def body(length):
    return bytes(at % 251 for at in range(length))


def stream(plaintext, key=KEY, key_id=KEY_ID, version=VERSION, context=CONTEXT, salt=SALT):
    return b"".join(seal(key, key_id, version, context, plaintext, salt))


def streams():
    for length in [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]:
        sealed = stream(body(length))
        yield {"length": length, "salt": SALT.hex(), "header": sealed[:78].hex(), "sha256": hashlib.sha256(sealed).hexdigest()}


def flip(sealed, position):
    changed = bytearray(sealed)
    changed[position] ^= 0x01
    return bytes(changed)


def refused():
    good = stream(b"attack at dawn")
    other = stream(b"attack at dusk", salt=bytes(32))

    def case(name, expect, sealed):
        return {"name": name, "expect": expect, "sealed": sealed.hex()}

    yield case("as it was sealed", "opens", good)
    yield case("an empty body", "opens", stream(b""))
    yield case("another place", "authentication", stream(b"x", context=canonical(b"row", b"default", b"files", b"body", b"2")))
    yield case("sealed with another key", "commitment", stream(b"x", key=bytes(32)))
    yield case("another key id", "key unknown", stream(b"x", key_id=bytes(8)))
    yield case("another version", "key unknown", stream(b"x", version=4))
    yield case("commitment changed", "commitment", flip(good, 14))
    yield case("salt changed", "commitment", flip(good, 77))
    yield case("ciphertext changed", "authentication", flip(good, 78))
    yield case("tag changed", "authentication", flip(good, len(good) - 1))
    yield case("chunk of another stream", "authentication", good[:78] + other[78:])
    yield case("cut by a byte", "authentication", good[:-1])
    yield case("a byte follows", "authentication", good + b"\0")
    yield case("header alone", "truncated", good[:78])
    yield case("a tag cut short", "truncated", good[:78 + 15])
    yield case("a header cut short", "truncated", good[:77])
    yield case("nothing", "truncated", b"")
    yield case("wrong first byte", "magic", b"\xc6" + good[1:])
    yield case("suite of whole messages", "suite", good[:1] + b"\x01" + good[2:])
    yield case("unknown suite", "suite", good[:1] + b"\x03" + good[2:])


print(json.dumps({
    "about": "Streams (docs/formats/stream.md), written by stream.py. Byte i of a body is i mod 251. The key is 0x40 32 times, its id 0102030405060708, its version 3.",
    "streams": list(streams()),
    "refused": list(refused()),
}, indent=1))
