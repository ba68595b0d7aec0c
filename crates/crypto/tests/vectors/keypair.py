#!/usr/bin/env python3
"""Writes keypair.json: what another implementation (pyca/cryptography) signs, encrypts and wraps. Signatures of ECDSA and PSS differ from run to run."""
import json
from cryptography.hazmat.primitives import hashes, serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

MESSAGE = b"what another implementation signed"
HASHES = {
    "sha2-224": hashes.SHA224(), "sha2-256": hashes.SHA256(), "sha2-384": hashes.SHA384(), "sha2-512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(), "sha3-384": hashes.SHA3_384(), "sha3-512": hashes.SHA3_512(),
}
RSA_HASHES = ["sha2-256", "sha2-384", "sha2-512"]


def forms(key):
    public = key.public_key()
    out = {
        "pkcs8": key.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption()).hex(),
        "spki": public.public_bytes(ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo).hex(),
        "pem": public.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode(),
    }
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        out["traditional"] = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.TraditionalOpenSSL, ser.NoEncryption()).decode()
    return out


keys = []
for name, curve, size in [("P-256", ec.SECP256R1(), 32), ("P-384", ec.SECP384R1(), 48), ("P-521", ec.SECP521R1(), 66)]:
    key = ec.generate_private_key(curve)
    entry = {"name": name, **forms(key), "signatures": []}
    for hash_name, algorithm in HASHES.items():
        der = key.sign(MESSAGE, ec.ECDSA(algorithm))
        r, s = decode_dss_signature(der)
        entry["signatures"].append({"hash": hash_name, "asn1": der.hex(), "fixed": (r.to_bytes(size, "big") + s.to_bytes(size, "big")).hex()})
    keys.append(entry)

key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
keys.append({"name": "Ed25519", **forms(key), "signatures": [{"hash": "", "signature": key.sign(MESSAGE).hex()}]})

for bits in [2048, 3072, 4096]:
    key = rsa.generate_private_key(65537, bits)
    entry = {"name": f"RSA-{bits}", **forms(key), "signatures": [], "oaep": []}
    for hash_name in RSA_HASHES:
        algorithm = HASHES[hash_name]
        mask = padding.MGF1(algorithm)
        entry["signatures"].append({
            "hash": hash_name,
            "pkcs1v15": key.sign(MESSAGE, padding.PKCS1v15(), algorithm).hex(),
            "pss-longest": key.sign(MESSAGE, padding.PSS(mask, padding.PSS.MAX_LENGTH), algorithm).hex(),
            "pss-hash": key.sign(MESSAGE, padding.PSS(mask, padding.PSS.DIGEST_LENGTH), algorithm).hex(),
            "pss-none": key.sign(MESSAGE, padding.PSS(mask, 0), algorithm).hex(),
        })
        entry["oaep"].append({"hash": hash_name, "ciphertext": key.public_key().encrypt(MESSAGE, padding.OAEP(mask, algorithm, None)).hex()})
    keys.append(entry)

with open(__file__.replace(".py", ".json"), "w") as out:
    json.dump({"message": MESSAGE.decode(), "keys": keys}, out, indent=1)
    out.write("\n")
