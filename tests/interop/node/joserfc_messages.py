"""What joserfc, a library written by others, reads of our messages, and what the command line reads of its own.

The one argument is a directory for files. Here are the attacks too that only this library still makes for real: compressed content and RSA 1.5. Ends with a line of counts.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import uuid

from joserfc import jwe, jws, jwt
from joserfc.jwk import import_key
from joserfc.registry import HeaderParameter

from joserfc_checks import changed, check, finish, key_pair, must, refused

HOME = sys.argv[1]
ALICE, BOB = "https://alice.example", "https://bob.example"
PARTIES = ["--from", ALICE, "--to", BOB]
CONTENT = b'{"order":1,"amount":"10.00"}'
SEALS = [("ECDH-ES", "ECDH-P256"), ("ECDH-ES", "ECDH-X25519"), ("ECDH-ES+A256KW", "ECDH-P256"), ("ECDH-ES+A256KW", "ECDH-X25519"), ("RSA-OAEP-256", "RSA-OAEP-256")]


def path(name):
    return os.path.join(HOME, f"joserfc-{name}")


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path(name)


def countersign(arguments, content=b""):
    ended = subprocess.run([os.environ["COUNTERSIGN_BIN"], "--json", "message", *arguments], input=content, capture_output=True, timeout=60)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout.startswith(b"{") else None, ended.stderr.decode()


def done(arguments, content=b""):
    status, answer, said = countersign(arguments, content)
    must(status == 0, f"ended with {status}: {said}")
    return answer


def refused_as(reason, arguments, content):
    status, answer, said = countersign(arguments, content.encode())
    must(status == 1 and answer == {"refused": reason}, f"ended with {status}, {answer} instead of {reason}: {said}")


def sha256(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def ours(alg, kid):
    file = path(f"{kid}.jwk")
    keys = done(["key", "--alg", alg, "--kid", kid, "--out", file])
    with open(file, encoding="utf-8") as private:
        return {"file": file, "set": write(f"{kid}.jwks", keys), "public": keys["keys"][0], "private": json.load(private), "kid": kid}


def theirs(key, kid, use):
    named = {"kid": kid, "use": use}
    shown = {**key.as_dict(private=False), **named}
    hidden = {**key.as_dict(private=True), **named}
    return {"file": write(f"{kid}.jwk", hidden), "set": write(f"{kid}.jwks", {"keys": [shown]}), "public": shown, "private": hidden, "kid": kid}


def statements(alg, kid, change):
    now = int(time.time())
    header = {
        "alg": alg, "kid": kid, "typ": "message+jws", "iss": ALICE, "aud": BOB, "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60,
        "cty": "application/json", "content_sha256": sha256(CONTENT),
    }
    return {**header, **change}


# What the library is told that is to read or make answers (RFC 7515 §4.1.11).
ANSWERS = {"answer_to": HeaderParameter("Answer to", "str")}


def registry(alg, critical=None):
    """Names in the header that both sides agreed on (RFC 7515 §4.3), and room for them: it stops at 512 bytes unless told otherwise."""
    made = jws.JWSRegistry(header_registry=critical, algorithms=[alg], strict_check_header=False)
    made.max_header_length = 4096
    return made


def signed(key, alg, change=None, content=CONTENT):
    header = statements(alg, key["kid"], change or {})
    return jws.serialize_compact(header, content, import_key(key["private"]), registry=registry(alg, ANSWERS if "crit" in header else None))


def sealed(receiver, alg, content, change=None):
    header = {"alg": alg, "enc": "A256GCM", "typ": "message+jwe", "cty": "message+jws", "kid": receiver["kid"], **(change or {})}
    public = {name: value for name, value in receiver["public"].items() if name not in ("use", "alg")}
    names = [header["alg"], header["enc"], "DEF"]
    return jwe.encrypt_compact(header, content, import_key(public), algorithms=names)


def sign(key, more=()):
    return done(["sign", "--key", key["file"], *PARTIES, "--type", "application/json", *more], CONTENT)["message"]


def seal(key, receiver, alg):
    return done(["seal", "--key", key["file"], "--receiver", receiver["set"], "--alg", alg, *PARTIES, "--type", "application/json"], CONTENT)["message"]


def verify(key):
    return ["verify", "--keys", key["set"], *PARTIES, "--again"]


def open_with(key, receiver):
    return ["open", "--key", receiver["file"], "--keys", key["set"], *PARTIES, "--again"]


def arrived(facts):
    content = facts["content_base64url"]
    must(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)) == CONTENT, "another content")
    must((facts["issuer"], facts["audience"], facts["content_type"]) == (ALICE, BOB, "application/json"), "other statements")


def read(token, key, alg, payload=None):
    public = import_key(key["public"])
    message = jws.deserialize_compact(token, public, registry=registry(alg), payload=payload)
    must(message.payload == CONTENT, "another content")
    header = message.headers()
    must(header["typ"] == "message+jws" and header["kid"] == key["kid"] and header["content_sha256"] == sha256(CONTENT), f"header {header}")
    refused(lambda: jws.deserialize_compact(changed(token, 2), public, registry=registry(alg), payload=payload))


def signatures(alg):
    key, other = ours(alg, f"ours-{alg}"), theirs(key_pair(alg), f"theirs-{alg}", "sig")

    def reads():
        read(sign(key), key, alg)
        read(sign(key, ["--detached"]), key, alg, CONTENT)
        refused(lambda: read(sign(key, ["--detached"]), key, alg, CONTENT.replace(b"10", b"99")))

    check(f"joserfc verifies what we sign, with its content and beside it ({alg})", reads)

    def takes():
        token = signed(other, alg)
        arrived(done(verify(other), token.encode()))
        for part in (1, 2):
            refused_as("signature_wrong", verify(other), changed(token, part))
        detached = jws.detach_content(token)
        beside = [*verify(other), "--content", write("content", CONTENT)]
        arrived(done(beside, detached.encode()))
        swapped = [*verify(other), "--content", write("swapped", CONTENT.replace(b"10", b"99"))]
        refused_as("signature_wrong", swapped, detached)

    check(f"we verify what joserfc signs, with its content and beside it ({alg})", takes)

    def answers():
        asked, public = str(uuid.uuid4()), import_key(key["public"])
        token = sign(key, ["--answer-to", asked])
        header = jws.deserialize_compact(token, public, registry=registry(alg, ANSWERS)).headers()
        must(header["answer_to"] == asked and header["crit"] == ["answer_to"], f"header {header}")
        refused(lambda: jws.deserialize_compact(token, public, registry=registry(alg)))
        ignorable = jws.deserialize_compact(sign(key, ["--answer-to", asked, "--ignorable"]), public, registry=registry(alg)).headers()
        must(ignorable["answer_to"] == asked and "crit" not in ignorable, f"header {ignorable}")
        for mark in ({"crit": ["answer_to"]}, {}):
            made = signed(other, alg, {**mark, "answer_to": asked})
            arrived(done([*verify(other), "--answer-to", asked], made.encode()))
            refused_as("answer_unasked", verify(other), made)
            refused_as("answer_other", [*verify(other), "--answer-to", str(uuid.uuid4())], made)
        refused_as("answer_missing", [*verify(other), "--answer-to", asked], signed(other, alg))

    check(f"joserfc reads our answers where it knows of them, and we joserfc's ({alg})", answers)

    def receipts():
        kept, receipt = path(f"{alg}.sent"), path(f"{alg}.receipt")
        message = sign(key, ["--keep", kept])
        done(["verify", "--keys", key["set"], *PARTIES, "--seen", path(f"{alg}.seen"), "--receipt-key", key["file"], "--receipt", receipt], message.encode())
        with open(receipt, encoding="utf-8") as file:
            decoded = jwt.decode(file.read(), import_key(key["public"]), algorithms=[alg])
        must(decoded.header["typ"] == "receipt+jwt" and decoded.claims["iss"] == BOB and decoded.claims["aud"] == ALICE, f"{decoded.claims}")
        must(decoded.claims["message"]["content_sha256"] == sha256(CONTENT), f"{decoded.claims}")
        claims = {**decoded.claims, "jti": "r"}
        made = jwt.encode({"alg": alg, "typ": "receipt+jwt", "kid": other["kid"]}, claims, import_key(other["private"]), algorithms=[alg])
        done(["receipt", "--sent", kept, "--keys", other["set"]], made.encode())
        refused_as("signature_wrong", ["receipt", "--sent", kept, "--keys", other["set"]], changed(made, 2))

    check(f"joserfc reads our receipt, and we joserfc's ({alg})", receipts)
    return alg, key, other


def seals(signer, receivers, libraries):
    signature, key, other = signer
    for alg, kind in SEALS:

        def opens(alg=alg, kind=kind):
            library = libraries[kind]
            token = seal(key, library, alg)
            inner = jwe.decrypt_compact(token, import_key(library["private"]), algorithms=[alg, "A256GCM"])
            must(inner.headers()["cty"] == "message+jws", f"header {inner.headers()}")
            read(inner.plaintext.decode(), key, signature)
            refused(lambda: jwe.decrypt_compact(changed(token, 3), import_key(library["private"]), algorithms=[alg, "A256GCM"]))

        check(f"joserfc opens what we seal with {alg} on {kind} ({signature})", opens)

        def takes(alg=alg, kind=kind):
            token = sealed(receivers[kind], alg, signed(other, signature).encode())
            arrived(done(open_with(other, receivers[kind]), token.encode()))
            for part in (3, 4):
                refused_as("does_not_open", open_with(other, receivers[kind]), changed(token, part))

        check(f"we open what joserfc seals with {alg} on {kind} ({signature})", takes)


def refusals(signer, receivers):
    alg, _, other = signer
    rsa, ec = receivers["RSA-OAEP-256"], receivers["ECDH-P256"]
    inner = signed(other, alg).encode()

    def bomb():
        # Two hundred megabytes of the same letter, in a text of two hundred kilobytes.
        token = sealed(ec, "ECDH-ES", b"a" * 200_000_000, {"zip": "DEF"})
        must(len(token) < 2_000_000, f"{len(token)} bytes are no bomb")
        began = time.monotonic()
        refused_as("extension_refused", open_with(other, ec), token)
        must(time.monotonic() - began < 10, "it took its time")
        # Compressed at all, whatever comes of it.
        refused_as("extension_refused", open_with(other, ec), sealed(ec, "ECDH-ES", inner, {"zip": "DEF"}))
        arrived(done(open_with(other, ec), sealed(ec, "ECDH-ES", inner).encode()))

    check("a compressed message is refused before it is opened, a bomb or not (extension_refused)", bomb)

    def old():
        for management in ("RSA1_5", "RSA-OAEP"):
            refused_as("algorithm_other", open_with(other, rsa), sealed(rsa, management, inner))
        arrived(done(open_with(other, rsa), sealed(rsa, "RSA-OAEP-256", inner).encode()))

    check("RSA 1.5 and OAEP with SHA-1 are refused (algorithm_other)", old)

    def unsigned():
        refused_as("not_signed", open_with(other, ec), sealed(ec, "ECDH-ES", CONTENT))
        refused_as("signature_wrong", open_with(other, ec), sealed(ec, "ECDH-ES", changed(inner.decode(), 1).encode()))

    check("what is encrypted without a signature that holds is refused", unsigned)


def main():
    receivers = {kind: ours(kind, f"ours-{kind}") for kind in ("ECDH-P256", "ECDH-X25519", "RSA-OAEP-256")}
    libraries = {kind: theirs(key_pair(kind), f"theirs-{kind}", "enc") for kind in receivers}
    signers = [signatures(alg) for alg in ("EdDSA", "ES256", "PS256")]
    for signer in signers:
        seals(signer, receivers, libraries)
    refusals(signers[1], receivers)


finish(main)
