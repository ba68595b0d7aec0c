#!/usr/bin/env python3
"""Writes shares.json from docs/formats/shares.md alone, with another implementation of the field: logarithms to the base 3, Lagrange in full.

The vectors are committed; run this only to add some: python3 shares.py > shares.json
"""
import base64
import hashlib
import json

EXP, LOG = [0] * 255, [0] * 256
element = 1
for power in range(255):
    EXP[power], LOG[element] = element, power
    doubled = element << 1
    element = (doubled ^ 0x11B if doubled & 0x100 else doubled) ^ element


def mul(a, b):
    return 0 if a == 0 or b == 0 else EXP[(LOG[a] + LOG[b]) % 255]


def div(a, b):
    return 0 if a == 0 else EXP[(LOG[a] - LOG[b]) % 255]


def power(x, n):
    result = 1
    for _ in range(n):
        result = mul(result, x)
    return result


def split(secret, coefficients, count):
    shares = []
    for x in range(1, count + 1):
        values = bytearray(secret)
        for degree, row in enumerate(coefficients, start=1):
            for at in range(32):
                values[at] ^= mul(row[at], power(x, degree))
        shares.append(bytes(values) + bytes([x]))
    return shares


def combine(shares):
    secret = bytearray(32)
    for share in shares:
        weight = 1
        for other in shares:
            if other[32] != share[32]:
                weight = mul(weight, div(other[32], other[32] ^ share[32]))
        for at in range(32):
            secret[at] ^= mul(share[at], weight)
    return bytes(secret)


def rows(name, count):
    return [hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(count)]


SECRET = bytes(range(32))


def splits():
    for name, secret, threshold, count in [
        ("one share", SECRET, 1, 1),
        ("two of two", SECRET, 2, 2),
        ("three of five", SECRET, 3, 5),
        ("a secret of zeros", bytes(32), 2, 3),
        ("a secret of ones", b"\xff" * 32, 4, 6),
        ("all of 255", hashlib.sha256(b"many").digest(), 3, 255),
    ]:
        coefficients = rows(name, threshold - 1)
        shares = split(secret, coefficients, count)
        assert combine(shares[:threshold]) == secret
        yield {
            "name": name,
            "secret": secret.hex(),
            "threshold": threshold,
            "coefficients": [row.hex() for row in coefficients],
            "hex": [share.hex() for share in shares],
            "base64": [base64.b64encode(share).decode() for share in shares],
        }
    zero = [bytes(32)]
    yield {
        "name": "a leading coefficient of zero is allowed",
        "secret": SECRET.hex(),
        "threshold": 2,
        "coefficients": [bytes(32).hex()],
        "hex": [share.hex() for share in split(SECRET, zero, 2)],
        "base64": [base64.b64encode(share).decode() for share in split(SECRET, zero, 2)],
    }


def combinations():
    shares = split(SECRET, rows("three of five", 2), 5)
    other = split(bytes(32), rows("another", 2), 5)
    b64 = [base64.b64encode(share).decode() for share in shares]

    def case(name, expect, given, secret=None):
        entry = {"name": name, "expect": expect, "shares": [one if isinstance(one, str) else one.hex() for one in given]}
        if secret is not None:
            entry["secret"] = secret.hex()
        return entry

    yield case("the first three", "combines", shares[:3], SECRET)
    yield case("the last three, backwards", "combines", shares[:1:-1], SECRET)
    yield case("all five", "combines", shares, SECRET)
    yield case("upper-case digits", "combines", [share.hex().upper() for share in shares[:3]], SECRET)
    yield case("base64", "combines", b64[:3], SECRET)
    yield case("both forms", "combines", [shares[0], b64[3], shares[4]], SECRET)
    yield case("two of three", "another secret", shares[:2], SECRET)
    yield case("one of another splitting", "another secret", [shares[0], shares[1], other[2]], SECRET)
    yield case("the same share twice", "point twice", [shares[0], shares[1], shares[0]])
    yield case("another share of the same point", "point twice", [shares[0], shares[1], other[0]])
    yield case("none", "empty", [])
    yield case("point zero", "not a share", [bytes(33)])
    yield case("a digit too few", "not a share", [shares[0].hex()[:-1]])
    yield case("a byte too few", "not a share", [shares[0][:-1]])
    yield case("a byte too many", "not a share", [shares[0] + b"\x01"])
    yield case("a letter that is no digit", "not a share", ["g" + shares[0].hex()[1:]])
    yield case("the alphabet of base64url", "not a share", ["-" + b64[0][1:]])
    yield case("base64 with padding", "not a share", [b64[0][:-1] + "="])
    yield case("white space", "not a share", [" " + b64[0][1:]])
    yield case("nothing", "not a share", [""])


print(json.dumps({
    "about": "Shares (docs/formats/shares.md), written by shares.py. Coefficients are those of x, x^2, ..., 32 bytes each.",
    "splits": list(splits()),
    "combinations": list(combinations()),
}, indent=1))
