"""What the scripts that hold joserfc against us share: checks that are counted, changed texts, and keys that nobody knows."""

import sys
import warnings

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

# It calls EdDSA by its curve (RFC 9864) and warns of the older name, which is the one that most servers publish.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")

COUNTS = {"passed": 0, "failed": 0}


def check(name, body):
    try:
        body()
    except Exception as error:  # every kind of failure is one failed check
        COUNTS["failed"] += 1
        print(f"FAIL {name}: {type(error).__name__}: {error}")
        return
    COUNTS["passed"] += 1
    print(f"ok   {name}")


def must(condition, message):
    if not condition:
        raise AssertionError(message)


def refused(body):
    try:
        body()
    except (JoseError, ValueError):
        return
    raise AssertionError("it was accepted")


def changed(token, part):
    """The same text with one letter of one part changed, so that it stays base64url."""
    parts = token.split(".")
    middle = len(parts[part]) // 2
    letter = "B" if parts[part][middle] == "A" else "A"
    parts[part] = parts[part][:middle] + letter + parts[part][middle + 1 :]
    return ".".join(parts)


def key_pair(kind):
    """A new key pair for an algorithm."""
    if kind.startswith("RSA") or kind in ("PS256", "RS256"):
        return RSAKey.generate_key(2048)
    if kind == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    if kind == "ECDH-X25519":
        return OKPKey.generate_key("X25519")
    return ECKey.generate_key("P-256")


def finish(main, *arguments):
    """Runs everything, and ends with the line of counts, whatever happens."""
    try:
        main(*arguments)
    except Exception as error:
        COUNTS["failed"] += 1
        print(f"FAIL set-up: {type(error).__name__}: {error}")
    print(f"joserfc: {COUNTS['passed']} passed, {COUNTS['failed']} failed, 0 skipped")
    sys.exit(0 if COUNTS["failed"] == 0 else 1)
