#!/usr/bin/env python3
"""Writes signatures.json: signatures that hold and, in the manner of Wycheproof, ones that do not, made with another implementation (pyca/cryptography) and plain numbers.

Those of an RFC are cited by section. The vectors are committed; the RSA key and the salts of PSS differ from run to run: python3 signatures.py > signatures.json
"""
import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
L25519 = 2**252 + 27742317777372353535851937790883648493
MESSAGE = b"what is signed"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def big(number, size):
    return number.to_bytes(size, "big")


CASES = []


def case(algorithm, name, expect, jwk, message, signature):
    CASES.append({"algorithm": algorithm, "name": name, "expect": expect, "jwk": jwk, "message": message.hex(), "signature": signature.hex()})


def ecdsa():
    jwk = {
        "kty": "EC", "crv": "P-256",
        "x": b64(bytes.fromhex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6")),
        "y": b64(bytes.fromhex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299")),
    }
    sample = bytes.fromhex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")
    test = bytes.fromhex("F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083")
    r, s = int.from_bytes(sample[:32], "big"), int.from_bytes(sample[32:], "big")
    x = int("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", 16)
    key = ec.derive_private_key(x, ec.SECP256R1())
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    own_r, own_s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(hashes.SHA384())))

    def check(name, expect, message, signature):
        case("ES256", name, expect, jwk, message, signature)

    check("RFC 6979 A.2.5, SHA-256, sample", "holds", b"sample", sample)
    check("RFC 6979 A.2.5, SHA-256, test", "holds", b"test", test)
    check("the other s of the same signature, which FIPS 186-5 allows", "holds", b"sample", big(r, 32) + big(N256 - s, 32))
    check("another message", "refused", b"sampld", sample)
    check("r and s zero (CVE-2022-21449)", "refused", b"sample", bytes(64))
    check("r zero", "refused", b"sample", bytes(32) + big(s, 32))
    check("s zero", "refused", b"sample", big(r, 32) + bytes(32))
    check("r the order", "refused", b"sample", big(N256, 32) + big(s, 32))
    check("s the order", "refused", b"sample", big(r, 32) + big(N256, 32))
    check("both the order", "refused", b"sample", big(N256, 32) * 2)
    check("r and s one", "refused", b"sample", big(1, 32) * 2)
    check("r and s the order less one", "refused", b"sample", big(N256 - 1, 32) * 2)
    check("r and s all ones", "refused", b"sample", b"\xff" * 64)
    check("r and s exchanged", "refused", b"sample", big(s, 32) + big(r, 32))
    check("r negative", "refused", b"sample", big(N256 - r, 32) + big(s, 32))
    check("in DER", "refused", b"sample", encode_dss_signature(r, s))
    check("a byte too few", "refused", b"sample", sample[:-1])
    check("a byte too many", "refused", b"sample", sample + b"\0")
    check("a zero before r and before s", "refused", b"sample", b"\0" + big(r, 32) + b"\0" + big(s, 32))
    check("nothing", "refused", b"sample", b"")
    check("with SHA-384", "refused", MESSAGE, big(own_r, 32) + big(own_s, 32))


def eddsa():
    def check(name, expect, public, message, signature):
        case("EdDSA", name, expect, {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes.fromhex(public))}, message, signature)

    one = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    two = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    three = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    abc = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"
    of_one = bytes.fromhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
    of_two = bytes.fromhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
    of_three = bytes.fromhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
    of_abc = bytes.fromhex("dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704")
    check("RFC 8032 7.1, test 1", "holds", one, b"", of_one)
    check("RFC 8032 7.1, test 2", "holds", two, b"\x72", of_two)
    check("RFC 8032 7.1, test 3", "holds", three, b"\xaf\x82", of_three)
    check("RFC 8032 7.1, test SHA(abc)", "holds", abc, hashlib.sha512(b"abc").digest(), of_abc)
    s = int.from_bytes(of_two[32:], "little")
    check("S with the order added (RFC 8032 5.1.7)", "refused", two, b"\x72", of_two[:32] + (s + L25519).to_bytes(32, "little"))
    check("S with its highest bit set", "refused", two, b"\x72", of_two[:63] + bytes([of_two[63] | 0x80]))
    check("S the order", "refused", two, b"\x72", of_two[:32] + L25519.to_bytes(32, "little"))
    check("S zero", "refused", two, b"\x72", of_two[:32] + bytes(32))
    check("R zero", "refused", two, b"\x72", bytes(32) + of_two[32:])
    check("R and S zero", "refused", two, b"\x72", bytes(64))
    check("the sign of R changed", "refused", two, b"\x72", of_two[:31] + bytes([of_two[31] ^ 0x80]) + of_two[32:])
    check("R not on the curve", "refused", two, b"\x72", b"\xff" * 32 + of_two[32:])
    check("another message", "refused", two, b"\x73", of_two)
    check("another key", "refused", one, b"\x72", of_two)
    check("a byte too few", "refused", two, b"\x72", of_two[:-1])
    check("a byte too many", "refused", two, b"\x72", of_two + b"\0")
    check("twice", "refused", two, b"\x72", of_two * 2)
    check("nothing", "refused", two, b"\x72", b"")


def rsa_both():
    key = rsa.generate_private_key(65537, 2048)
    numbers, size = key.private_numbers(), 256
    n, d = numbers.public_numbers.n, numbers.d
    jwk = {"kty": "RSA", "n": b64(big(n, size)), "e": "AQAB"}

    def raw(block):
        return big(pow(int.from_bytes(block, "big"), d, n), size)

    digest = hashlib.sha256(MESSAGE).digest()
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")

    def padded(info, first=b"\0\x01", fill=b"\xff", after=b""):
        return first + fill * (size - len(first) - 1 - len(info) - len(after)) + b"\0" + info + after

    def pkcs1(name, expect, signature, message=MESSAGE):
        case("RS256", name, expect, jwk, message, signature)

    good = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    assert good == raw(padded(prefix + digest))
    pkcs1("RFC 8017 8.2, of another implementation", "holds", good)
    pkcs1("another message", "refused", good, MESSAGE + b".")
    pkcs1("the modulus added", "refused", big(int.from_bytes(good, "big") + n, size + 1))
    pkcs1("a zero before it", "refused", b"\0" + good)
    pkcs1("a byte too few", "refused", good[:-1])
    pkcs1("zero", "refused", bytes(size))
    pkcs1("one", "refused", big(1, size))
    pkcs1("the modulus", "refused", big(n, size))
    pkcs1("nothing", "refused", b"")
    pkcs1("block type 2", "refused", raw(padded(prefix + digest, first=b"\0\x02")))
    pkcs1("padding of zeros", "refused", raw(padded(prefix + digest, fill=b"\0")))
    pkcs1("short padding and something behind it (Bleichenbacher 2006)", "refused", raw(b"\0\x01" + b"\xff" * 8 + b"\0" + prefix + digest + b"\0" * (size - 11 - 51)))
    pkcs1("something behind the digest", "refused", raw(padded(prefix + digest, after=b"\0")))
    pkcs1("the digest without its name", "refused", raw(padded(digest)))
    pkcs1("the name of SHA-1 before it", "refused", raw(padded(bytes.fromhex("3021300906052b0e03021a05000414") + digest)))
    pkcs1("a length in the long form", "refused", raw(padded(bytes.fromhex("308131300d060960864801650304020105000420") + digest)))
    pkcs1("with SHA-512", "refused", key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA512()))

    def pss(name, expect, signature, message=MESSAGE):
        case("PS256", name, expect, jwk, message, signature)

    def sign(salt, mask=hashes.SHA256(), algorithm=hashes.SHA256()):
        return key.sign(MESSAGE, padding.PSS(padding.MGF1(mask), salt), algorithm)

    good_pss = sign(32)
    pss("RFC 7518 3.5, of another implementation", "holds", good_pss)
    pss("another message", "refused", good_pss, MESSAGE + b".")
    pss("no salt", "refused", sign(0))
    pss("a salt of 20 bytes", "refused", sign(20))
    pss("a salt of 31 bytes", "refused", sign(31))
    pss("the longest salt", "refused", sign(padding.PSS.MAX_LENGTH))
    pss("the mask with SHA-1", "refused", sign(32, mask=hashes.SHA1()))
    pss("the mask with SHA-512", "refused", sign(32, mask=hashes.SHA512()))
    pss("with SHA-384", "refused", sign(32, algorithm=hashes.SHA384(), mask=hashes.SHA384()))
    pss("the padding of PKCS #1 v1.5", "refused", good)
    pss("a byte too few", "refused", good_pss[:-1])
    pss("a zero before it", "refused", b"\0" + good_pss)
    pss("the modulus added", "refused", big(int.from_bytes(good_pss, "big") + n, size + 1))
    pss("zero", "refused", bytes(size))
    pss("nothing", "refused", b"")
    pkcs1("the padding of PSS", "refused", good_pss)


ecdsa()
eddsa()
rsa_both()
print(json.dumps({"about": "Signatures that hold and that do not, written by signatures.py.", "cases": CASES}, indent=1))
