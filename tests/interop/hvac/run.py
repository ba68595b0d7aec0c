"""The vault as `hvac` (PyPI) sees it, unmodified: every path that it covers, each a check by its own name, and the list of them at the end.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN). With POSTGRES_URL, database credentials are made, used, renewed and taken back in a real PostgreSQL.
"""

import base64
import ipaddress
import json
import os
import tempfile
import time

import hvac
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from hvac import exceptions

import certificate
from dpop import Key
from fabric import check, finish, must, serve, write
from postgres import Database

COVERED = []


def covered(path):
    """Notes what a check covers, as the API names it."""
    COVERED.append(path)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def refused(kind, body):
    try:
        body()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


class Vault:
    """Clients of one server."""

    def __init__(self, fabric, token=None):
        self.url, self.roots = fabric.addresses["control"], fabric.addresses["ca"]
        self.root = self.client(token or fabric.addresses["vault_token"])

    def client(self, token=None, **words):
        return hvac.Client(url=self.url, token=token, verify=self.roots, **words)

    def limited(self, name, rules, **words):
        """A client whose token has one policy."""
        self.root.sys.create_or_update_policy(name=name, policy=rules)
        made = self.root.auth.token.create(policies=[name], **words)
        return self.client(made["auth"]["client_token"])


def system(vault):
    root = vault.root

    def health():
        covered("sys/health, sys/seal-status, sys/init, sys/leader")
        status = vault.client().sys.read_health_status(method="GET")
        must(status["initialized"] and not status["sealed"] and status["performance_standby"] is False, status)
        must(vault.client().sys.read_health_status().status_code == 200, "HEAD")
        must(root.sys.is_initialized() and not root.sys.is_sealed(), "open")
        must(root.sys.read_leader_status()["is_self"], "leader")

    def data_key():
        covered("sys/rotate, sys/key-status")
        before = root.sys.get_encryption_key_status()["data"]
        kept = root.secrets.kv.v2.create_or_update_secret("rotated", secret={"a": "b"})
        root.sys.rotate_encryption_key()
        after = root.sys.get_encryption_key_status()["data"]
        must(kept and after["term"] == before["term"] + 1, (before, after))
        read = root.secrets.kv.v2.read_secret_version("rotated", raise_on_deleted_version=True)
        must(read["data"]["data"] == {"a": "b"}, "what was sealed before opens")

    def mounted(path):
        try:
            root.sys.enable_secrets_engine("kv", path=path, options={"version": "2"})
        except exceptions.InvalidRequest:
            # What stood there is being taken away.
            return False
        return True

    def mounts():
        covered("sys/mounts, sys/mounts/:path, sys/mounts/:path/tune, sys/remount refused")
        must("secret/" in root.sys.list_mounted_secrets_engines()["data"], "secret/")
        root.sys.enable_secrets_engine("kv", path="team", options={"version": "2"}, description="a team's")
        must(root.sys.list_mounted_secrets_engines()["data"]["team/"]["description"] == "a team's", "description")
        root.sys.tune_mount_configuration(path="team", default_lease_ttl="1h", max_lease_ttl="2h")
        must(root.sys.read_mount_configuration(path="team")["data"]["default_lease_ttl"] == 3600, "tuned")
        root.secrets.kv.v2.create_or_update_secret("a", {"x": "1"}, mount_point="team")
        root.sys.disable_secrets_engine("team")
        refused(exceptions.InvalidPath, lambda: root.secrets.kv.v2.read_secret_version("a", mount_point="team", raise_on_deleted_version=True))
        until(lambda: mounted("team"), "the path is free again")
        refused(exceptions.InvalidPath, lambda: root.secrets.kv.v2.read_secret_version("a", mount_point="team", raise_on_deleted_version=True))

    def auth_methods():
        covered("sys/auth, sys/auth/:path, sys/auth/:path/tune")
        root.sys.enable_auth_method("approle", path="machines")
        must("machines/" in root.sys.list_auth_methods()["data"], "enabled")
        root.sys.tune_auth_method("machines", default_lease_ttl="30m")
        must(root.sys.read_auth_method_tuning("machines")["data"]["default_lease_ttl"] == 1800, "tuned")
        root.sys.disable_auth_method("machines")
        must("machines/" not in root.sys.list_auth_methods()["data"], "disabled")

    def policies():
        covered("sys/policy, sys/policy/:name, sys/policies/acl, sys/policies/acl/:name")
        root.sys.create_or_update_policy("hcl", 'path "secret/data/hcl/*" { capabilities = ["read", "list"] }')
        root.sys.create_or_update_policy("json", {"path": {"secret/data/json": {"capabilities": ["read"]}}})
        names = root.sys.list_policies()["data"]["policies"]
        must({"hcl", "json", "default", "root"} <= set(names), names)
        must("hcl" in root.sys.list_acl_policies()["data"]["keys"], "listed")
        must("secret/data/hcl/*" in root.sys.read_policy("hcl")["data"]["rules"], "rules")
        shown = root.sys.read_acl_policy("hcl")["data"]
        must("VaultRule" in str(shown["cedar"]), "the translation is shown")
        root.sys.delete_policy("json")
        refused(exceptions.InvalidPath, lambda: root.sys.read_policy("json"))
        refused(exceptions.InvalidRequest, lambda: root.sys.create_or_update_policy("bad", 'path "x" { capabilities = ["fly"] }'))
        refused(exceptions.VaultError, lambda: root.sys.create_or_update_policy("root", 'path "*" { capabilities = ["read"] }'))

    def rules_hold():
        covered("sys/capabilities, sys/capabilities-self, sys/capabilities-accessor")
        root.secrets.kv.v2.create_or_update_secret("rules/read", {"x": "1"})
        root.secrets.kv.v2.create_or_update_secret("rules/denied", {"x": "1"})
        reader = vault.limited(
            "rules",
            'path "secret/data/rules/*" { capabilities = ["read"] }\npath "secret/metadata/rules/*" { capabilities = ["list"] }\n'
            'path "secret/data/rules/denied" { capabilities = ["deny"] }\npath "secret/metadata/rules/denied" { capabilities = ["deny"] }',
        )
        must(reader.secrets.kv.v2.read_secret_version("rules/read", raise_on_deleted_version=True)["data"]["data"]["x"] == "1", "read")
        refused(exceptions.Forbidden, lambda: reader.secrets.kv.v2.read_secret_version("rules/denied", raise_on_deleted_version=True))
        refused(exceptions.Forbidden, lambda: reader.secrets.kv.v2.create_or_update_secret("rules/read", {"x": "2"}))
        refused(exceptions.Forbidden, lambda: reader.secrets.kv.v2.list_secrets("rules/denied"))
        refused(exceptions.Forbidden, lambda: reader.sys.list_policies())
        answer = reader.sys.get_capabilities(["secret/data/rules/read", "secret/data/rules/denied"])
        must(answer["data"]["secret/data/rules/read"] == ["read"], answer)
        must(answer["data"]["secret/data/rules/denied"] == ["deny"], answer)
        accessor = reader.auth.token.lookup_self()["data"]["accessor"]
        answer = root.sys.get_capabilities(["secret/data/rules/read"], accessor=accessor)
        must(answer["data"]["secret/data/rules/read"] == ["read"], answer)
        answer = root.sys.get_capabilities(["anything"], token=reader.token)
        must(answer["data"]["anything"] == ["deny"], answer)

    for name, body in [("health", health), ("data key", data_key), ("mounts", mounts), ("auth methods", auth_methods), ("policies", policies), ("rules hold", rules_hold)]:
        check(f"sys: {name}", body)


def key_value(vault):
    kv = vault.root.secrets.kv.v2

    def read(path, **words):
        return kv.read_secret_version(path, raise_on_deleted_version=True, **words)["data"]

    def versions():
        covered("kv data: write, read, versions, check-and-set, patch")
        kv.create_or_update_secret("app/db", {"password": "one"}, cas=0)
        error = refused(exceptions.InvalidRequest, lambda: kv.create_or_update_secret("app/db", {"password": "no"}, cas=0))
        must("check-and-set parameter did not match the current version" in str(error), error)
        must(kv.create_or_update_secret("app/db", {"password": "two"}, cas=1)["data"]["version"] == 2, "version 2")
        must(read("app/db")["data"] == {"password": "two"}, "the newest")
        must(read("app/db", version=1)["data"] == {"password": "one"}, "the first")
        kv.patch("app/db", {"user": "app"})
        must(read("app/db")["data"] == {"password": "two", "user": "app"}, "patched")

    def deleting():
        covered("kv delete, undelete, destroy; data of a deleted version")
        for number in range(3):
            kv.create_or_update_secret("gone", {"n": str(number)})
        kv.delete_latest_version_of_secret("gone")
        answer = kv.read_secret_version("gone", raise_on_deleted_version=False)
        must(answer["data"]["data"] is None and answer["data"]["metadata"]["deletion_time"], answer)
        refused(exceptions.InvalidPath, lambda: read("gone"))
        kv.undelete_secret_versions("gone", [3])
        must(read("gone")["data"]["n"] == "2", "undeleted")
        kv.delete_secret_versions("gone", [1])
        kv.destroy_secret_versions("gone", [2])
        about = kv.read_secret_metadata("gone")["data"]["versions"]
        must(about["2"]["destroyed"] and about["1"]["deletion_time"] and not about["3"]["destroyed"], about)
        kv.undelete_secret_versions("gone", [2])
        refused(exceptions.InvalidPath, lambda: read("gone", version=2))

    def metadata():
        covered("kv metadata: read, write, list (LIST and GET ?list), delete; config")
        kv.create_or_update_secret("list/a", {"x": "1"})
        kv.create_or_update_secret("list/b/c", {"x": "1"})
        must(kv.list_secrets("list")["data"]["keys"] == ["a", "b/"], "keys and folders")
        strict = vault.client(vault.root.token, strict_http=True)
        must(strict.secrets.kv.v2.list_secrets("list")["data"]["keys"] == ["a", "b/"], "GET")
        refused(exceptions.InvalidPath, lambda: kv.list_secrets("nothing"))
        kv.update_metadata("list/a", max_versions=2, cas_required=True, custom_metadata={"owner": "team"})
        about = kv.read_secret_metadata("list/a")["data"]
        must(about["custom_metadata"] == {"owner": "team"} and about["max_versions"] == 2, about)
        error = refused(exceptions.InvalidRequest, lambda: kv.create_or_update_secret("list/a", {"x": "2"}))
        must("check-and-set parameter required for this call" in str(error), error)
        for number in range(1, 4):
            kv.create_or_update_secret("list/a", {"x": str(number)}, cas=number)
        must(set(kv.read_secret_metadata("list/a")["data"]["versions"]) == {"3", "4"}, "pruned")
        kv.delete_metadata_and_all_versions("list/a")
        refused(exceptions.InvalidPath, lambda: kv.read_secret_metadata("list/a"))
        kv.configure(max_versions=20, cas_required=False)
        must(kv.read_configuration()["data"]["max_versions"] == 20, "configured")

    def own_cupboard():
        covered("cubbyhole")
        one = vault.limited("none", 'path "nothing" { capabilities = ["read"] }')
        one.write_data("cubbyhole/mine", data={"x": "1"})
        must(one.read("cubbyhole/mine")["data"]["x"] == "1", "mine")
        must(vault.root.read("cubbyhole/mine") is None, "not another's")

    for name, body in [("versions", versions), ("deleting", deleting), ("metadata", metadata), ("cubbyhole", own_cupboard)]:
        check(f"kv: {name}", body)


def tokens(vault):
    root, token = vault.root, vault.root.auth.token

    def life():
        covered("auth/token: create, lookup, lookup-self, lookup-accessor, renew, renew-self, renew-accessor, revoke, revoke-self, revoke-accessor, revoke-orphan")
        made = token.create(policies=["default"], ttl="1h", meta={"of": "test"}, display_name="worker")["auth"]
        must(made["renewable"] and made["lease_duration"] == 3600 and made["token_type"] == "service", made)
        worker = vault.client(made["client_token"])
        must(worker.is_authenticated(), "good")
        about = worker.auth.token.lookup_self()["data"]
        must(about["meta"] == {"of": "test"} and about["path"] == "auth/token/create" and about["ttl"] <= 3600, about)
        must(token.lookup(made["client_token"])["data"]["accessor"] == made["accessor"], "lookup")
        must(token.lookup_accessor(made["accessor"])["data"]["id"] == "", "an accessor does not give the token")
        must(worker.auth.token.renew_self(increment="2h")["auth"]["lease_duration"] <= 7200, "renewed")
        token.renew(made["client_token"])
        token.renew_accessor(made["accessor"])
        token.revoke_accessor(made["accessor"])
        must(not worker.is_authenticated(), "revoked")
        for way in ("revoke", "self", "orphan"):
            made = token.create(policies=["default"])["auth"]["client_token"]
            if way == "self":
                vault.client(made).auth.token.revoke_self()
            elif way == "revoke":
                token.revoke(made)
            else:
                token.revoke_and_orphan_children(made)
            must(not vault.client(made).is_authenticated(), way)

    def family():
        covered("auth/token: trees, create-orphan, uses, accessors, roles")
        parent = vault.limited("parent", 'path "auth/token/create" { capabilities = ["update"] }')
        child = vault.client(parent.auth.token.create(policies=["parent"])["auth"]["client_token"])
        orphan = vault.client(token.create_orphan(policies=["default"])["auth"]["client_token"])
        refused(exceptions.VaultError, lambda: parent.auth.token.create(policies=["root"]))
        token.revoke(parent.token)
        must(not child.is_authenticated() and orphan.is_authenticated(), "children end with their parent")
        once = vault.client(token.create(policies=["default"], num_uses=1)["auth"]["client_token"])
        must(once.is_authenticated() and not once.is_authenticated(), "one use")
        must(token.list_accessors()["data"]["keys"], "accessors")
        token.create_or_update_role("batch", allowed_policies=["default"], orphan=True)
        must("batch" in token.list_roles()["data"]["keys"], "roles")
        must(token.read_role("batch")["data"]["orphan"], "role")
        must(token.create(role_name="batch", policies=["default"])["auth"]["orphan"], "by role")
        token.delete_role("batch")

    def ends():
        covered("auth/token: time to live")
        short = vault.client(token.create(policies=["default"], ttl="2s")["auth"]["client_token"])
        must(short.is_authenticated(), "good")
        time.sleep(3)
        must(not short.is_authenticated(), "over")

    def wrapping():
        covered("sys/wrapping: wrap, lookup, unwrap, rewrap; X-Vault-Wrap-TTL")
        wrapped = root.adapter.get("/v1/secret/data/app/db", wrap_ttl="60s")["wrap_info"]
        must(wrapped["ttl"] == 60 and wrapped["creation_path"] == "secret/data/app/db", wrapped)
        looked = root.adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapped["token"]})["data"]
        must(looked["creation_path"] == "secret/data/app/db" and looked["creation_ttl"] == 60, looked)
        again = root.adapter.post("/v1/sys/wrapping/rewrap", json={"token": wrapped["token"]})["wrap_info"]["token"]
        must(vault.client().sys.unwrap(again)["data"]["data"]["password"], "unwrapped")
        refused(exceptions.InvalidRequest, lambda: vault.client().sys.unwrap(again))
        refused(exceptions.InvalidRequest, lambda: vault.client().sys.unwrap(wrapped["token"]))
        own = root.sys.wrap({"a": "b"}, ttl=60)["wrap_info"]["token"]
        must(root.sys.unwrap(own)["data"] == {"a": "b"}, "wrapped by hand")

    for name, body in [("life", life), ("family", family), ("ends", ends), ("wrapping", wrapping)]:
        check(f"token: {name}", body)


def transit(vault):
    engine = vault.root.secrets.transit

    def encryption():
        covered("transit: keys, encrypt, decrypt, rewrap, rotate, config, trim, batch, datakey, derived, convergent")
        engine.create_key("orders")
        must("orders" in engine.list_keys()["data"]["keys"], "listed")
        sealed = engine.encrypt_data("orders", plaintext=b64("4111"))["data"]["ciphertext"]
        must(sealed.startswith("vault:v1:"), sealed)
        engine.rotate_key("orders")
        must(engine.read_key("orders")["data"]["latest_version"] == 2, "rotated")
        newer = engine.rewrap_data("orders", ciphertext=sealed)["data"]["ciphertext"]
        must(newer.startswith("vault:v2:"), newer)
        for text in (sealed, newer):
            must(engine.decrypt_data("orders", ciphertext=text)["data"]["plaintext"] == b64("4111"), "opened")
        engine.update_key_configuration("orders", min_decryption_version=2)
        error = refused(exceptions.InvalidRequest, lambda: engine.decrypt_data("orders", ciphertext=sealed))
        must("too old" in str(error), error)
        batch = engine.encrypt_data("orders", batch_input=[{"plaintext": b64(text)} for text in "abc"])["data"]["batch_results"]
        opened = engine.decrypt_data("orders", batch_input=[{"ciphertext": one["ciphertext"]} for one in batch])["data"]["batch_results"]
        must([one["plaintext"] for one in opened] == [b64(text) for text in "abc"], "batch")
        data_key = engine.generate_data_key("orders", key_type="plaintext")["data"]
        must(engine.decrypt_data("orders", ciphertext=data_key["ciphertext"])["data"]["plaintext"] == data_key["plaintext"], "data key")
        must("plaintext" not in engine.generate_data_key("orders", key_type="wrapped")["data"], "wrapped data key")
        engine.create_key("same", derived=True, convergent_encryption=True)
        first, second, other = (engine.encrypt_data("same", plaintext=b64("a"), context=b64(context))["data"]["ciphertext"] for context in ("x", "x", "y"))
        must(first == second and first != other, "convergent")
        refused(exceptions.InvalidRequest, lambda: engine.encrypt_data("same", plaintext=b64("a")))
        engine.update_key_configuration("orders", min_encryption_version=2)
        engine.trim_key("orders", min_version=2)
        refused(exceptions.InvalidRequest, lambda: engine.delete_key("orders"))
        engine.update_key_configuration("orders", deletion_allowed=True)
        engine.delete_key("orders")
        refused(exceptions.InvalidPath, lambda: engine.read_key("orders"))

    def signing():
        covered("transit: sign, verify, hmac, random, hash, export off and on, backup, restore")
        for kind, words in [("ed25519", {}), ("ecdsa-p256", {"hash_algorithm": "sha2-256"}), ("rsa-2048", {"hash_algorithm": "sha2-256", "signature_algorithm": "pss"})]:
            engine.create_key(kind, key_type=kind)
            signature = engine.sign_data(kind, hash_input=b64("message"), **words)["data"]["signature"]
            must(engine.verify_signed_data(kind, hash_input=b64("message"), signature=signature, **words)["data"]["valid"], kind)
            must(not engine.verify_signed_data(kind, hash_input=b64("another"), signature=signature, **words)["data"]["valid"], kind)
        engine.create_key("mac")
        tag = engine.generate_hmac("mac", hash_input=b64("message"), algorithm="sha2-256")["data"]["hmac"]
        must(engine.verify_signed_data("mac", hash_input=b64("message"), hmac=tag, hash_algorithm="sha2-256")["data"]["valid"], "hmac")
        must(len(base64.b64decode(engine.generate_random_bytes(n_bytes=32)["data"]["random_bytes"])) == 32, "random")
        must(engine.hash_data(b64("abc"), algorithm="sha2-256", output_format="hex")["data"]["sum"].startswith("ba7816bf"), "hash")
        refused(exceptions.InvalidRequest, lambda: engine.export_key("mac", key_type="encryption-key"))
        engine.create_key("out", exportable=True, allow_plaintext_backup=True)
        must(engine.export_key("out", key_type="encryption-key")["data"]["keys"]["1"], "exported")
        sealed = engine.encrypt_data("out", plaintext=b64("a"))["data"]["ciphertext"]
        backup = engine.backup_key("out")["data"]["backup"]
        engine.restore_key(backup, name="back")
        must(engine.decrypt_data("back", ciphertext=sealed)["data"]["plaintext"] == b64("a"), "restored")

    def upsert():
        covered("transit: encryption with a key that is not there; config/keys")
        must(engine.encrypt_data("made", plaintext=b64("a"))["data"]["ciphertext"], "made by its first use")
        user = vault.limited("use", 'path "transit/encrypt/*" { capabilities = ["update"] }')
        must(user.secrets.transit.encrypt_data("made", plaintext=b64("a"))["data"]["ciphertext"], "used")
        error = refused(exceptions.InvalidRequest, lambda: user.secrets.transit.encrypt_data("none", plaintext=b64("a")))
        must("encryption key not found" in str(error), error)

    for name, body in [("encryption", encryption), ("signing", signing), ("upsert", upsert)]:
        check(f"transit: {name}", body)


def approle(vault):
    def signs_in():
        covered("auth/approle: role, role-id, secret-id, custom-secret-id, lookup, destroy, accessors, login")
        root, roles = vault.root, vault.root.auth.approle
        root.sys.enable_auth_method("approle")
        roles.create_or_update_approle("app", token_policies=["default"], token_ttl="10m", secret_id_num_uses=2)
        must(roles.list_roles()["data"]["keys"] == ["app"], "listed")
        must(roles.read_role("app")["data"]["token_ttl"] == 600, "read")
        role_id = roles.read_role_id("app")["data"]["role_id"]
        made = roles.generate_secret_id("app", metadata={"host": "one"})["data"]
        machine = vault.client()
        auth = machine.auth.approle.login(role_id, made["secret_id"])["auth"]
        must(auth["lease_duration"] == 600 and auth["metadata"]["role_name"] == "app", auth)
        must(roles.read_secret_id("app", made["secret_id"])["data"]["secret_id_num_uses"] == 1, "uses left")
        must(roles.read_secret_id_accessor("app", made["secret_id_accessor"])["data"]["metadata"] == {"host": "one"}, "by accessor")
        machine.auth.approle.login(role_id, made["secret_id"])
        refused(exceptions.InvalidRequest, lambda: machine.auth.approle.login(role_id, made["secret_id"]))
        refused(exceptions.InvalidRequest, lambda: machine.auth.approle.login("nobody", made["secret_id"]))
        roles.create_custom_secret_id("app", "chosen-by-somebody-0123456789")
        machine.auth.approle.login(role_id, "chosen-by-somebody-0123456789")
        made = roles.generate_secret_id("app")["data"]
        must(made["secret_id_accessor"] in roles.list_secret_id_accessors("app")["data"]["keys"], "accessors")
        roles.create_or_update_approle("other")
        refused(exceptions.VaultError, lambda: roles.destroy_secret_id_accessor("other", made["secret_id_accessor"]))
        roles.destroy_secret_id("app", made["secret_id"])
        refused(exceptions.InvalidRequest, lambda: machine.auth.approle.login(role_id, made["secret_id"]))
        roles.update_role_id("app", "known-name")
        must(roles.read_role_id("app")["data"]["role_id"] == "known-name", "role id")
        roles.delete_role("app")
        refused(exceptions.InvalidPath, lambda: roles.read_role("app"))

    check("approle: signs in", signs_in)


def public_pem(key):
    return key.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def other_ways_in(vault):
    root = vault.root

    def by_jwt():
        covered("auth/jwt: config, role, login")
        issuer, stranger = Key(), Key()
        root.sys.enable_auth_method("jwt")
        root.auth.jwt.configure(jwt_validation_pubkeys=[public_pem(issuer)], bound_issuer="https://ci.example", default_role="build")
        root.auth.jwt.create_role("build", user_claim="sub", allowed_redirect_uris=[], role_type="jwt", bound_audiences=["vault"], token_policies=["default"], token_ttl="10m")
        must(root.auth.jwt.list_roles()["data"]["keys"] == ["build"], "listed")
        now = int(time.time())
        claims = {"iss": "https://ci.example", "sub": "job-1", "aud": "vault", "iat": now, "nbf": now, "exp": now + 300}
        client = vault.client()
        auth = client.auth.jwt.jwt_login("build", issuer.sign({"typ": "JWT"}, claims))["auth"]
        must(auth["lease_duration"] == 600 and "default" in auth["policies"] and client.is_authenticated(), auth)
        for wrong in ({"aud": "another"}, {"iss": "https://other.example"}, {"exp": now - 3600, "nbf": now - 7200, "iat": now - 7200}):
            refused(exceptions.VaultError, lambda changed=claims | wrong: vault.client().auth.jwt.jwt_login("build", issuer.sign({"typ": "JWT"}, changed)))
        refused(exceptions.VaultError, lambda: vault.client().auth.jwt.jwt_login("build", stranger.sign({"typ": "JWT"}, claims)))

    def by_service_account():
        covered("auth/kubernetes: config, role, login (JWT form)")
        # The client takes keys in certificates alone.
        with tempfile.TemporaryDirectory() as home:
            shown, private = (open(path, "rb").read() for path in certificate.of_localhost(home, "cluster"))
        cluster = Key(load_pem_private_key(private, None))
        root.sys.enable_auth_method("kubernetes")
        root.auth.kubernetes.configure(kubernetes_host="https://kubernetes.example", pem_keys=[shown.decode()], issuer="https://kubernetes.example", disable_local_ca_jwt=True)
        root.auth.kubernetes.create_role("app", ["billing"], ["shop"], policies=["default"], ttl="5m", audience="vault")
        now = int(time.time())

        def of(name, namespace):
            about = {"namespace": namespace, "serviceaccount": {"name": name, "uid": "1-2-3"}}
            return cluster.sign(
                {"typ": "JWT"},
                {
                    "iss": "https://kubernetes.example",
                    "aud": ["vault"],
                    "sub": f"system:serviceaccount:{namespace}:{name}",
                    "iat": now,
                    "nbf": now,
                    "exp": now + 600,
                    "kubernetes.io": about,
                },
            )

        auth = vault.client().auth.kubernetes.login("app", of("billing", "shop"))["auth"]
        must(auth["lease_duration"] == 300, auth)
        for name, namespace in (("billing", "other"), ("other", "shop")):
            refused(exceptions.VaultError, lambda token=of(name, namespace): vault.client().auth.kubernetes.login("app", token))

    def by_certificate():
        covered("auth/cert: certs, login")
        with tempfile.TemporaryDirectory() as home:
            known, known_key = certificate.of_localhost(home, "known")
            stranger, stranger_key = certificate.of_localhost(home, "stranger")
            root.sys.enable_auth_method("cert")
            root.auth.cert.create_ca_certificate_role("machine", certificate_file=known, token_policies=["default"], token_ttl="5m")
            client = vault.client(cert=(known, known_key))
            auth = client.auth.cert.login(name="machine", cert_pem=known, key_pem=known_key)["auth"]
            must("default" in auth["policies"] and client.is_authenticated(), auth)
            outsider = vault.client(cert=(stranger, stranger_key))
            refused(exceptions.VaultError, lambda: outsider.auth.cert.login(name="machine", cert_pem=stranger, key_pem=stranger_key))
            refused(exceptions.VaultError, lambda: vault.client().adapter.post("/v1/auth/cert/login", json={"name": "machine"}))

    for name, body in [("jwt", by_jwt), ("kubernetes", by_service_account), ("cert", by_certificate)]:
        check(f"sign-in: {name}", body)


def certificates(vault):
    def issued():
        covered("pki: root, config/urls, roles, issue, sign, cert, certs, revoke, crl, ca, tidy")
        root, engine = vault.root, vault.root.secrets.pki
        root.sys.enable_secrets_engine("pki")
        made = engine.generate_root("internal", "Example Root", extra_params={"ttl": "8760h"})["data"]
        authority = x509.load_pem_x509_certificate(made["certificate"].encode())
        engine.set_urls({"issuing_certificates": ["https://pki.example/ca"], "crl_distribution_points": ["https://pki.example/crl"]})
        engine.create_or_update_role("web", {"allowed_domains": ["example.com"], "allow_subdomains": True, "max_ttl": "72h", "key_type": "ec", "key_bits": 256, "server_flag": True})
        one = engine.generate_certificate("web", "www.example.com", extra_params={"ttl": "1h"})["data"]
        leaf = x509.load_pem_x509_certificate(one["certificate"].encode())
        leaf.verify_directly_issued_by(authority)
        must("BEGIN" in one["private_key"], "a key of its own")
        refused(exceptions.InvalidRequest, lambda: engine.generate_certificate("web", "www.example.org"))
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.example.com")])

        def request(*names):
            built = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
            return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

        signed = engine.sign_certificate("web", request(x509.DNSName("api.example.com")), "api.example.com")["data"]
        x509.load_pem_x509_certificate(signed["certificate"].encode()).verify_directly_issued_by(authority)
        address = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
        refused(exceptions.InvalidRequest, lambda: engine.sign_certificate("web", request(address), "api.example.com"))
        must(one["serial_number"] in engine.list_certificates()["data"]["keys"], "listed")
        must("BEGIN CERTIFICATE" in engine.read_certificate(one["serial_number"])["data"]["certificate"], "read")
        engine.revoke_certificate(one["serial_number"])
        listed = vault.client().adapter.get("/v1/pki/crl/pem")
        crl = x509.load_pem_x509_crl(listed.text.encode() if hasattr(listed, "text") else listed.encode())
        must(crl.is_signature_valid(authority.public_key()), "the list is the authority's")
        must(crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None, "revoked")

    check("pki: certificates", issued)


def database(vault, url):
    server = Database(url)
    root, engine = vault.root, vault.root.secrets.database
    creation = [
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
        'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}"',
    ]

    def configured():
        covered("database: config, roles, reset, rotate-root")
        root.sys.enable_secrets_engine("database")
        server.run("CREATE ROLE manager WITH SUPERUSER LOGIN PASSWORD 'first'")
        engine.configure(
            "main",
            plugin_name="postgresql-database-plugin",
            connection_url=server.url_for("{{username}}", "{{password}}"),
            username="manager",
            password="first",
            allowed_roles=["app", "fixed"],
        )
        shown = engine.read_connection("main")["data"]
        must("first" not in str(shown), "the password is never shown")
        engine.create_role("app", db_name="main", creation_statements=creation, default_ttl="1h", max_ttl="2h")
        must(engine.list_roles()["data"]["keys"] == ["app"], "listed")
        must(engine.read_role("app")["data"]["default_ttl"] == 3600, "read")
        engine.rotate_root_credentials("main")

    def dynamic():
        covered("database: creds; sys/leases: lookup, renew, revoke, revoke-prefix, LIST lookup")
        made = engine.generate_credentials("app")
        must(made["renewable"] and made["lease_duration"] == 3600, made)
        user, password = made["data"]["username"], made["data"]["password"]
        must(server.signs_in(user, password), "the new role signs in")
        looked = root.sys.read_lease(made["lease_id"])["data"]
        must(looked["renewable"] and 0 < looked["ttl"] <= 3600, looked)
        renewed = root.sys.renew_lease(made["lease_id"], increment=5400)
        must(3600 < renewed["lease_duration"] <= 5400, renewed)
        must(root.sys.list_leases("database/creds/app")["data"]["keys"], "listed")
        root.sys.revoke_lease(made["lease_id"])
        until(lambda: not server.has_role(user), "the role is gone")
        refused(exceptions.InvalidRequest, lambda: root.sys.read_lease(made["lease_id"]))
        users = [engine.generate_credentials("app")["data"]["username"] for _ in range(3)]
        root.sys.revoke_prefix("database/creds/app")
        until(lambda: not any(server.has_role(user) for user in users), "all roles are gone")

    def owned():
        covered("database: what a token was given ends with it")
        user = vault.limited("dba", 'path "database/creds/app" { capabilities = ["read"] }')
        name = user.secrets.database.generate_credentials("app")["data"]["username"]
        must(server.has_role(name), "made")
        root.auth.token.revoke(user.token)
        until(lambda: not server.has_role(name), "the role ended with the token")

    def fixed():
        covered("database: static-roles, static-creds, rotate-role")
        server.run("CREATE ROLE fixed WITH LOGIN PASSWORD 'old'")
        engine.create_static_role("fixed", db_name="main", username="fixed", rotation_statements=["ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'"], rotation_period="86400s")
        first = engine.get_static_credentials("fixed")["data"]["password"]
        must(server.signs_in("fixed", first), "signs in")
        engine.rotate_static_role_credentials("fixed")
        second = engine.get_static_credentials("fixed")["data"]["password"]
        must(first != second and server.signs_in("fixed", second) and not server.signs_in("fixed", first), "rotated")

    for name, body in [("configured", configured), ("dynamic", dynamic), ("owned", owned), ("fixed", fixed)]:
        check(f"database: {name}", body)


def seal():
    """A server whose operators hold shares: made, opened, closed, and opened again after a new start."""

    def closed_url(fabric):
        return hvac.Client(url=fabric.addresses["control"], verify=fabric.addresses["ca"])

    def next_line(fabric):
        fabric.addresses = json.loads(fabric.process.stdout.readline())

    def shares(fabric):
        covered("sys/init, sys/unseal, sys/seal; every door while sealed")
        client = closed_url(fabric)
        must(not client.sys.is_initialized() and client.sys.is_sealed(), "nothing yet")
        must(client.sys.read_health_status(method="GET").status_code == 501, "501 before there is a seal")
        refused(exceptions.VaultDown, lambda: client.secrets.kv.v2.read_secret_version("app", raise_on_deleted_version=True))
        made = client.sys.initialize(secret_shares=5, secret_threshold=3)
        must(len(made["keys"]) == 5 and len(made["keys_base64"]) == 5, made["keys"] and "five shares")
        next_line(fabric)
        must("vault_token" not in fabric.addresses, "no token in a file stands for a quorum")
        open_now = Vault(fabric, made["root_token"])
        root = open_now.root
        root.secrets.kv.v2.create_or_update_secret("app", {"x": "1"})
        status = root.sys.read_seal_status()
        must(status["type"] == "shamir" and not status["sealed"] and (status["t"], status["n"]) == (3, 5), status)
        user = open_now.limited("nobody", 'path "sys/seal" { capabilities = ["update"] }')
        refused(exceptions.Forbidden, lambda: user.sys.seal())
        root.sys.seal()
        next_line(fabric)
        client = closed_url(fabric)
        must(client.sys.is_sealed() and client.sys.is_initialized(), "closed")
        must(client.sys.read_health_status(method="GET").status_code == 503, "503 while sealed")
        for path in ("admin/v1/openapi.json", "access/v1/evaluation", "v1/secret/data/app"):
            answer = fabric.session().get(f"{fabric.addresses['control']}/{path}", timeout=30)
            must(answer.status_code == 503 and answer.json() == {"errors": ["Vault is sealed"]}, path)
        refused(exceptions.InvalidRequest, lambda: client.sys.initialize(secret_shares=1, secret_threshold=1))
        refused(exceptions.InvalidRequest, lambda: client.sys.submit_unseal_key(key="00" * 33))
        must(client.sys.submit_unseal_key(key=made["keys"][0])["progress"] == 1, "one share")
        must(client.sys.submit_unseal_key(reset=True)["progress"] == 0, "dropped")
        opened = [client.sys.submit_unseal_key(key=key)["sealed"] for key in (made["keys"][4], made["keys_base64"][1], made["keys"][2])]
        must(opened == [True, True, False], opened)
        next_line(fabric)
        root = Vault(fabric, made["root_token"]).root
        must(root.secrets.kv.v2.read_secret_version("app", raise_on_deleted_version=True)["data"]["data"] == {"x": "1"}, "all is there")

        quorum(Vault(fabric, made["root_token"]), made["keys"])

    def quorum(vault, keys):
        covered("sys/rekey/init, sys/rekey/update, sys/rekey/verify, sys/generate-root/attempt, sys/generate-root/update")
        root, anybody = vault.root, vault.client()
        started = anybody.sys.start_rekey(secret_shares=4, secret_threshold=2, require_verification=True)
        must(started["started"] and (started["t"], started["n"], started["required"]) == (2, 4, 3), started)
        refused(exceptions.InvalidRequest, lambda: anybody.sys.start_rekey(secret_shares=1, secret_threshold=1))
        shown = anybody.sys.read_rekey_progress()
        must(shown["started"] and shown["nonce"] == "", shown)
        refused(exceptions.Forbidden, lambda: anybody.sys.cancel_rekey())
        must(anybody.sys.read_rekey_progress()["started"], "a stranger cancels nothing")
        root.sys.cancel_rekey()
        must(not anybody.sys.read_rekey_progress()["started"], "whose token may, cancels")
        nonce = anybody.sys.start_rekey(secret_shares=4, secret_threshold=2, require_verification=True)["nonce"]
        refused(exceptions.InvalidRequest, lambda: anybody.sys.rekey(keys[0]))
        made = anybody.sys.rekey_multi(keys[:3], nonce=nonce)
        must(made["complete"] and made["verification_required"] and len(made["keys"]) == len(made["keys_base64"]) == 4, "four new shares")
        verified = anybody.sys.rekey_verify_multi(made["keys"][1:3], nonce=made["verification_nonce"])
        must(verified["complete"], verified)
        status = root.sys.read_seal_status()
        must((status["t"], status["n"]) == (2, 4), status)

        started = anybody.sys.start_root_token_generation()
        must(started["otp_length"] == len(started["otp"]) == 47, started)
        refused(exceptions.Forbidden, lambda: anybody.sys.cancel_root_generation())
        for key in keys[:2]:
            # The old shares were three of five: two of them are a wrong set now.
            given = lambda: anybody.sys.generate_root(key, started["nonce"])
            refused(exceptions.InvalidRequest, given) if key == keys[1] else given()
        must(anybody.sys.read_root_generation_progress()["progress"] == 0, "wrong shares are dropped")
        anybody.sys.generate_root(made["keys"][3], started["nonce"])
        done = anybody.sys.generate_root(made["keys_base64"][0], started["nonce"])
        must(done["complete"], "complete")
        encoded = base64.b64decode(done["encoded_root_token"] + "=" * (-len(done["encoded_root_token"]) % 4))
        token = bytes(one ^ two for one, two in zip(encoded, started["otp"].encode())).decode()
        must(vault.client(token).auth.token.lookup_self()["data"]["policies"] == ["root"], "a root token")
        must(root.auth.token.lookup_self()["data"]["policies"] == ["root"], "and the earlier one stays")
        anybody.sys.start_root_token_generation()
        root.sys.cancel_root_generation()
        must(not anybody.sys.read_root_generation_progress()["started"], "cancelled")

    def body(fabric):
        write(fabric.config, {"countersign.toml": '[keys]\nseal = "shamir"\n'})
        fabric.start()
        check("seal: shares", lambda: shares(fabric))

    serve("hvac-seal", None, body)


def until(condition, what):
    end = time.monotonic() + 15
    while not condition():
        must(time.monotonic() < end, what)
        time.sleep(0.1)


def body(fabric):
    vault = Vault(fabric)
    for part in (system, key_value, tokens, transit, approle, other_ways_in, certificates):
        part(vault)
    url = os.environ.get("POSTGRES_URL")
    if url:
        database(vault, url)


serve("hvac", {}, body)
seal()
print("covered:")
for covered_path in COVERED:
    print(f"  {covered_path}")
finish("hvac")
