"""The seal's key on a PKCS#11 token (SoftHSM 2), and the other sources that unseal without a person.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) on tokens that `softhsm2-util` makes in a directory of its own. SOFTHSM_LIBRARY names the library.
"""

import json
import os
import secrets
import signal
import subprocess
import tempfile

import hvac
from hvac import exceptions

from fabric import Fabric, check, finish, must, write

LIBRARY = os.environ["SOFTHSM_LIBRARY"]
PIN, WRONG_PIN, LABEL, KEY = "4711-pin", "0815-pin", "vault", "unseal"


class Hsm:
    """Tokens in a directory."""

    def __init__(self, home):
        self.home, self.config = home, os.path.join(home, "softhsm2.conf")
        tokens = os.path.join(home, "tokens")
        os.makedirs(tokens)
        write(home, {"softhsm2.conf": f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n", "key": ""})
        os.environ["SOFTHSM2_CONF"] = self.config

    def util(self, *words):
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)

    def token(self):
        self.util("--init-token", "--free", "--label", LABEL, "--so-pin", "so-pin", "--pin", PIN)

    def key(self, label=KEY):
        path = os.path.join(self.home, "key")
        # 32 characters: of 32 octets it takes only those before some that end a text, and then has a key of no length that AES knows.
        with open(path, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24))
        self.util("--import", path, "--aes", "--token", LABEL, "--label", label, "--id", secrets.token_hex(8), "--pin", PIN)
        os.remove(path)


class Server(Fabric):
    """A server under a seal."""

    def configure(self, keys, **files):
        write(self.config, {"countersign.toml": keys, "pin": PIN, **files})

    def start(self):
        self.log = open(os.path.join(self.home, "log"), "w+b")  # noqa: SIM115: as long as the process
        super().start(stderr=self.log)
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def next_line(self):
        self.addresses = json.loads(self.process.stdout.readline())

    def client(self, token=None):
        return hvac.Client(url=self.addresses["control"], verify=self.addresses["ca"], token=token)

    def is_sealed(self):
        return self.addresses.get("sealed", False)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)


def pkcs11(key=KEY, pin="pin", token=LABEL):
    return (
        '[keys]\nseal = "pkcs11"\n[keys.pkcs11]\n'
        f'library = "{LIBRARY}"\ntoken_label = "{token}"\nkey_label = "{key}"\npin = {{ file = "{pin}" }}\n'
    )


def read(client):
    return client.secrets.kv.v2.read_secret_version("app", raise_on_deleted_version=True)["data"]["data"]["x"]


def fresh(home, name):
    directory = os.path.join(home, name)
    os.makedirs(directory)
    return Server(directory)


def first_start(server, recovery=3):
    """Makes the seal: the root token and the recovery keys."""
    must(server.is_sealed(), "the doors are closed until there is a seal")
    client = server.client()
    must(not client.sys.is_initialized(), "nothing yet")
    made = client.sys.initialize(recovery_shares=recovery, recovery_threshold=2)
    server.next_line()
    root = server.client(made["root_token"])
    root.secrets.kv.v2.create_or_update_secret("app", {"x": "kept"})
    return made


def refused(kind, body):
    try:
        body()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


def restart(server, keys=None, **files):
    server.stop()
    if keys:
        server.configure(keys, **files)
    return server.start()


def closed_with(server, *words):
    """The doors are closed, every one says so, and the log says why."""
    must(server.is_sealed(), "closed")
    status = server.client().sys.read_seal_status()
    must(status["sealed"] and status["initialized"] and status["recovery_seal"], status)
    answer = server.client().adapter.session.get(f"{server.addresses['control']}/v1/secret/data/app", verify=server.addresses["ca"], timeout=30)
    must(answer.status_code == 503, answer.status_code)
    said = server.said()
    for word in words:
        must(word in said, f"{word!r} in {said}")
    must(PIN not in said and WRONG_PIN not in said, "no PIN in the log")


def token_opens(home, hsm):
    server = fresh(home, "pkcs11")
    server.configure(pkcs11())
    server.start()
    try:
        check("pkcs11: no token yet: nothing is made and the door says so", lambda: refused(exceptions.InternalServerError, lambda: server.client().sys.initialize(recovery_shares=3, recovery_threshold=2)))
        hsm.token()
        check("pkcs11: no key on the token: none is made", lambda: refused(exceptions.InternalServerError, lambda: server.client().sys.initialize(recovery_shares=3, recovery_threshold=2)))
        check("pkcs11: the log names the missing key", lambda: must("reason=token_key_missing" in server.said(), server.said()))
        hsm.key()
        made = check("pkcs11: first start", lambda: first_start(server)) or {}

        def by_itself():
            restart(server)
            must(not server.is_sealed(), "it opened without a person")
            root = server.client(made["root_token"])
            must(read(root) == "kept", "all is there")
            status = root.sys.read_seal_status()
            must(status["type"] == "pkcs11" and status["recovery_seal"] and (status["t"], status["n"]) == (2, 3), status)
            refused(exceptions.InvalidRequest, lambda: root.sys.seal())

        check("pkcs11: a restart opens by itself", by_itself)

        def killed():
            server.kill()
            server.start()
            must(not server.is_sealed() and read(server.client(made["root_token"])) == "kept", "opened")

        check("pkcs11: a restart after kill -9 opens by itself", killed)

        def recovery():
            anybody = server.client()
            nonce = anybody.sys.start_rekey(secret_shares=3, secret_threshold=2, recovery_key=True)["nonce"]
            done = anybody.sys.rekey_multi(made["recovery_keys"][:2], nonce=nonce, recovery_key=True)
            must(done["complete"] and len(done["keys"]) == 3, "new recovery keys")
            refused(exceptions.InvalidRequest, lambda: anybody.sys.start_rekey(secret_shares=3, secret_threshold=2))
            started = anybody.sys.start_root_token_generation()
            anybody.sys.generate_root(done["keys"][0], started["nonce"])
            must(anybody.sys.generate_root(done["keys"][2], started["nonce"])["complete"], "a root token")
            return done["keys"]

        check("pkcs11: recovery keys authorize", recovery)

        def wrong_pin():
            restart(server, pkcs11(pin="wrong"), wrong=WRONG_PIN)
            closed_with(server, "reason=token_pin_refused", "the PIN of the token `vault` is refused")
            refused(exceptions.InvalidRequest, lambda: server.client().sys.submit_unseal_key(key=made["recovery_keys"][0]))

        check("pkcs11: a wrong PIN: closed doors, and the log says why", wrong_pin)

        def no_key():
            restart(server, pkcs11(key="other"))
            closed_with(server, "reason=another_key", f"the seal needs the key `{KEY}`")

        check("pkcs11: another key is named: closed doors", no_key)

        def no_token():
            restart(server, pkcs11(token="away"))
            closed_with(server, "reason=token_away", "there is no token `away`")

        check("pkcs11: the token is away: closed doors", no_token)

        def again():
            restart(server, pkcs11())
            must(not server.is_sealed() and read(server.client(made["root_token"])) == "kept", "opened")

        check("pkcs11: with all in place it opens again", again)

        def same_label():
            hsm.key()
            restart(server)
            closed_with(server, "reason=token_key_unusable", "several AES keys")

        check("pkcs11: two keys of one label: closed doors", same_label)
    finally:
        server.stop()


def others_open(home):
    fixed = '[keys]\nseal = "static"\n[keys.static]\nname = "2026"\nkey = { file = "static" }\n'
    value = secrets.token_urlsafe(32)
    sources = {
        "file": ('[keys]\nseal = "file"\n', {}),
        "passphrase": ('[keys]\nseal = "passphrase"\npassphrase = { file = "passphrase" }\n', {"passphrase": "correct horse battery staple"}),
        "static": (fixed, {"static": value}),
    }
    for name, (keys, files) in sources.items():

        def opens():
            server = fresh(home, name)
            server.configure(keys, **files)
            server.start()
            try:
                made = first_start(server)
                must(server.client().sys.read_seal_status()["type"] == name, name)
                restart(server)
                must(not server.is_sealed() and read(server.client(made["root_token"])) == "kept", "opened by itself")
                must(not os.path.exists(os.path.join(server.data, "keys/root.key")), "no root key in the clear")
            finally:
                server.stop()

        check(f"{name}: opens by itself", opens)

    def wrong():
        server = fresh(home, "wrong")
        server.configure(fixed, static=value)
        server.start()
        try:
            first_start(server)
            restart(server, fixed, static=secrets.token_urlsafe(32))
            closed_with(server, "reason=unseal_key_wrong")
        finally:
            server.stop()

    check("static: another value: closed doors", wrong)

    def taken_over():
        server = fresh(home, "taken-over")
        server.configure("")
        server.start()
        try:
            token = server.addresses["vault_token"]
            server.client(token).secrets.kv.v2.create_or_update_secret("app", {"x": "kept"})
            restart(server, '[keys]\nseal = "file"\n')
            must("root.key" in server.said(), "the root key in the clear is spoken of")
            os.remove(os.path.join(server.data, "keys/root.key"))
            restart(server)
            must(not server.is_sealed(), "opened without it")
            must(read(server.client(server.addresses["vault_token"])) == "kept", "all is there")
        finally:
            server.stop()

    check("file: an installation with a root key in a file is taken over", taken_over)


with tempfile.TemporaryDirectory(prefix="softhsm-") as everything:
    token_opens(everything, Hsm(everything))
    others_open(everything)
finish("softhsm")
