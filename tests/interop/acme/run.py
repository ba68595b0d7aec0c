"""Certificates by ACME (RFC 8555) as two clients ask for them, unmodified: `acme` (PyPI, what certbot is made of) and `acme-client` (npm).

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) with a PKI mount that issues for `localhost`, and answers `http-01` at port 80 of this machine's loopback.
"""

import datetime
import http.server
import json
import os
import socket
import subprocess
import threading

import josepy
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from fabric import check, finish, must, serve

NAME = "localhost"
ANSWERS = {}


class Challenges(http.server.BaseHTTPRequestHandler):
    """What stands at `/.well-known/acme-challenge/`."""

    def do_GET(self):
        answer = ANSWERS.get(self.path)
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "").encode())

    def do_PUT(self):
        ANSWERS[self.path] = self.rfile.read(int(self.headers["content-length"])).decode()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class OfSix(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def answer_challenges():
    """Port 80 is where a proof is looked for, and nowhere else (RFC 8555 section 8.3)."""
    for server in [http.server.ThreadingHTTPServer, OfSix]:
        address = "127.0.0.1" if server is not OfSix else "::1"
        try:
            at = server((address, 80), Challenges)
        except OSError:
            # A machine without IPv6 does not resolve the name to it either.
            must(server is OfSix, "port 80 of the loopback cannot be bound")
            continue
        threading.Thread(target=at.serve_forever, daemon=True).start()


class Vault:
    """The vault's own API, with the local token."""

    def __init__(self, fabric):
        self.control, self.session = fabric.addresses["control"], fabric.session()
        self.session.headers["X-Vault-Token"] = fabric.addresses["vault_token"]

    def call(self, method, at, **body):
        answer = self.session.request(method, f"{self.control}/v1/{at}", json=body, timeout=30)
        must(answer.status_code in (200, 204), f"{at}: {answer.status_code} {answer.text}")
        return answer.json()["data"] if answer.text else {}

    def set_up(self):
        self.call("POST", "sys/mounts/pki", type="pki")
        root = self.call("POST", "pki/root/generate/internal", common_name="Interop Root", key_type="ec", ttl="8760h")
        self.call("POST", "pki/roles/web", allowed_domains=NAME, allow_bare_domains=True, allow_localhost=True, max_ttl="1h", key_type="any")
        self.call("POST", "pki/config/cluster", path=f"{self.control}/v1/pki")
        self.call("POST", "pki/config/acme", enabled=True, allowed_roles=["web"], default_directory_policy="role:web", challenge_networks=["127.0.0.0/8", "::1/128"])
        return x509.load_pem_x509_certificate(root["certificate"].encode())

    def binding(self):
        return self.call("POST", "pki/acme/new-eab")


class Acme:
    """A client with an account key of its own."""

    def __init__(self, fabric, key=None):
        self.url = f"{fabric.addresses['control']}/v1/pki/acme/directory"
        self.key = key or josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        self.net = client.ClientNetwork(self.key, alg=josepy.ES256, verify_ssl=fabric.addresses["ca"])
        self.net.session.trust_env = False
        self.client = client.ClientV2(client.ClientV2.get_directory(self.url, self.net), self.net)

    def register(self, binding, contact="mailto:ops@example.org"):
        external = messages.ExternalAccountBinding.from_data(self.key.public_key(), binding["id"], binding["key"], self.client.directory) if binding else None
        return self.client.new_account(messages.NewRegistration(contact=(contact,), terms_of_service_agreed=True, external_account_binding=external))

    def prove(self, order):
        """Puts the answer of each challenge where it is looked for, and says so."""
        for authorization in order.authorizations:
            challenge = next(one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01))
            response, text = challenge.response_and_validation(self.key)
            ANSWERS[challenge.chall.path] = text
            self.client.answer_challenge(challenge, response)

    def certificate(self, request):
        order = self.client.new_order(request)
        self.prove(order)
        done = self.client.poll_and_finalize(order, datetime.datetime.now() + datetime.timedelta(seconds=30))
        return done.fullchain_pem


def request_for(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM), key


def refused(kind, body):
    """The problem document's type of what is refused."""
    try:
        body()
    except messages.Error as error:
        must(error.typ.endswith(f":{kind}"), f"{error.typ}, not {kind}")
        return error
    raise AssertionError(f"not refused with {kind}")


def stands(chain, root):
    """A verifier that is not ours accepts the chain for the name."""
    certificates = x509.load_pem_x509_certificates(chain.encode())
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(NAME))
    verifier.verify(certificates[0], certificates[1:])
    return certificates[0]


def revoked(vault, certificate):
    answer = vault.session.get(f"{vault.control}/v1/pki/crl", timeout=30)
    return x509.load_der_x509_crl(answer.content).get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def accounts(fabric, vault):
    check("acme: the directory says that accounts have to be bound", lambda: must(Acme(fabric).client.external_account_required(), "not said"))
    check("acme: an account without a binding is refused", lambda: refused("externalAccountRequired", lambda: Acme(fabric).register(None)))

    def spent():
        binding = vault.binding()
        Acme(fabric).register(binding)
        refused("unauthorized", lambda: Acme(fabric).register(binding))

    check("acme: a binding is spent by one account", spent)

    def again():
        one = Acme(fabric)
        one.register(vault.binding())
        try:
            Acme(fabric, one.key).register(vault.binding())
        except errors.ConflictError as conflict:
            must("/account/" in conflict.location, f"{conflict.location}")
            return
        raise AssertionError("a second account of one key")

    check("acme: the account of a key is found again", again)

    def ended():
        one = Acme(fabric)
        account = one.register(vault.binding())
        one.client.deactivate_registration(account)
        refused("unauthorized", lambda: one.client.new_order(request_for(NAME)[0]))

    check("acme: a deactivated account orders nothing", ended)


def certificates(fabric, vault, root):
    one = Acme(fabric)
    one.register(vault.binding())

    def issued():
        request, key = request_for(NAME)
        certificate = stands(one.certificate(request), root)
        must(certificate.public_key() == key.public_key(), "another key")
        return certificate

    certificate = check("acme: ordered, proven, issued, and accepted by another verifier", issued)
    check("acme: a name that the role does not allow is refused", lambda: refused("rejectedIdentifier", lambda: one.client.new_order(request_for("example.org")[0])))

    def unproven():
        order = one.client.new_order(request_for(NAME)[0])
        for authorization in order.authorizations:
            challenge = next(each for each in authorization.body.challenges if isinstance(each.chall, challenges.HTTP01))
            ANSWERS[challenge.chall.path] = "another text"
            one.client.answer_challenge(challenge, challenge.response(one.key))
        try:
            one.client.poll_and_finalize(order, datetime.datetime.now() + datetime.timedelta(seconds=30))
        except errors.ValidationError:
            return
        raise AssertionError("issued without a proof")

    check("acme: what is not proven is not issued", unproven)

    def other_names():
        order = one.client.new_order(request_for(NAME)[0])
        one.prove(order)
        done = one.client.poll_authorizations(order, datetime.datetime.now() + datetime.timedelta(seconds=30))
        refused("badCSR", lambda: one.client.begin_finalization(done.update(csr_pem=request_for(NAME, "www.localhost")[0])))

    check("acme: the request is for the names of the order alone", other_names)

    def others():
        order = one.client.new_order(request_for(NAME)[0])
        other = Acme(fabric)
        other.register(vault.binding())
        # As one that nobody made.
        refused("malformed", lambda: other.client.poll(order.authorizations[0]))

    check("acme: an account sees nothing of another's orders", others)

    def taken_back():
        must(not revoked(vault, certificate), "revoked already")
        one.client.revoke(certificate, 0)
        must(revoked(vault, certificate), "not in the list")
        refused("alreadyRevoked", lambda: one.client.revoke(certificate, 0))

    check("acme: revoked by its account, and in the list", taken_back)


def by_acme_client(fabric, vault, root):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    asked = {"directory": Acme(fabric).url, "binding": vault.binding(), "key": key.decode(), "name": NAME}
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": fabric.addresses["ca"]}
    script = os.path.join(os.environ["NODE_PROJECT"], "client.mjs")
    done = subprocess.run(["node", script], input=json.dumps(asked), env=environment, capture_output=True, text=True, check=False, timeout=60)
    must(done.returncode == 0, done.stderr[-2000:])
    stands(json.loads(done.stdout)["chain"], root)


def examine(fabric):
    answer_challenges()
    vault = Vault(fabric)
    root = vault.set_up()
    accounts(fabric, vault)
    certificates(fabric, vault, root)
    check("acme-client: bound, ordered, proven, issued", lambda: by_acme_client(fabric, vault, root))


serve("acme", {}, examine)
finish("acme")
