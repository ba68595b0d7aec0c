"""schemathesis (PyPI) reads our OpenAPI documents and thinks of requests: such as they allow, such as they do not, without credentials, with other methods. What comes back
has to be what the document says.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) with the practice exercise's own configuration and services that know more than its document says, signs alice in at the
portal, and lets it loose: on the exercise's API through the gateway, which enforces the document, and then on the admin API. An operation is one check: it holds if no
answer to any of its requests was wrong, and it was once done. Deterministic: the same requests every time. Ends with a line of counts.
"""

import base64
import collections
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certificate import of_localhost
from dpop import Holder
from fabric import check, failed, finish, log_of, must, passed, serve, write
from portal import Portal

HERE = os.path.dirname(os.path.abspath(__file__))
EXERCISE = os.path.join(HERE, "../../../examples/exercise")
POLICIES = ["policies/billing.cedar", "policies/orders.cedar", "policies/vault.cedar"]
FILES = ["countersign.toml", *POLICIES, "schemas/billing.cedarschema", "schemas/orders.cedarschema", "schemas/api.openapi.json"]
SCOPES = "openid orders.read orders.write billing.charge cards.read cards.write customers.erase"
COST = 4711_0815

# Every check that it has for answers, but for these. Object levels are policy's, which has tables of cases of its own; `use_after_free`, `ensure_resource_availability` and
# `allow_header_conformance` speak of DELETE, of created resources with an address of their own and of OPTIONS, none of which there is. `positive_data_acceptance` holds a server to take
# whatever fits its schema: which client may have which grant, and which password is good enough, no JSON Schema says.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "ignored_auth",
    "nothing_kept_back",
]


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    return json.loads(decoded(token.split(".")[1]))


class Services(http.server.BaseHTTPRequestHandler):
    """Orders, charges and cards, as the exercise's own services answer: with a column that is nobody's but the company's."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"saw": self.saw(), "cost": COST}
        match self.path.split("/")[1:]:
            case ["regions", region, "customers", owner, "orders", order]:
                told |= {"region": region, "owner": owner, "order": order, "change": json.loads(body or b"{}")}
            case ["charges", charge]:
                told |= {"charge": charge}
            case ["customers", _owner, "cards"] if self.command == "POST":
                told |= {"card": "1"}
            case ["customers", _owner, "cards"]:
                told |= {"cards": [{"card": "1", "number": "•••• •••• •••• 1111"}]}
            case ["customers", _owner]:
                told |= {"cards": 1}
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def saw(self):
        claims = claims_of(self.headers["Authorization"])
        of_gateway = {"decision": self.headers.get("Countersign-Decision"), "request": self.headers.get("Countersign-Request-Id")}
        return {"sub": claims["sub"], "aud": claims["aud"], "scope": claims["scope"], "act": [], "roles": 0, "attributes": 0} | of_gateway

    def log_message(self, *_arguments):
        pass


def configuration(portal, port):
    """The exercise's files, with what its README says to put beside them, the address of the services, and limits that a thousand requests do not reach."""
    files = {}
    for name in FILES:
        with open(os.path.join(EXERCISE, name), encoding="utf-8") as file:
            files[name] = file.read()
    text = files["countersign.toml"]
    for before, after in [
        ('url = "https://localhost:9443"', f'url = "https://localhost:{port}"\nca = "services.pem"'),
        ('url = "https://localhost:9444"', f'url = "https://localhost:{port}"\nca = "services.pem"'),
        ('rate = { requests = 100, per = "1m" }', 'rate = { requests = 100000, per = "1m" }'),
        ('rate = { requests = 10, per = "1m" }', 'rate = { requests = 100000, per = "1m" }'),
        ('[[tenants]]\nname = "demo"', '[[tenants]]\nname = "demo"\nregistration = { mode = "initial_access_token" }'),
    ]:
        must(before in text, f"the exercise has no `{before}` any more")
        text = text.replace(before, after)
    files["countersign.toml"] = text
    files |= {f"secrets/{person}.password": f"{person}: correct horse battery staple" for person in ["alice", "bob", "carol"]}
    files |= {f"secrets/{client}.secret": os.urandom(32).hex() for client in ["gateway", "billing", "analytics", "platform"]}
    # As Standard Webhooks writes secrets: of 24 bytes at least.
    files |= {"secrets/billing-provider.secret": "whsec_" + base64.b64encode(os.urandom(32)).decode()}
    return files | {"clients/portal.jwks.json": json.dumps(portal.jwks())}


# What is asked of the installation, and so in the tenant `default` alone.
OF_THE_INSTALLATION = ["rotateKeyEncryptionKey", "rotateRootKey"]


def narrowed(document, known):
    """The document with what there is: of ids that a path takes, those that exist, and one that does not. What is removed is nothing that others are tried on."""
    removed = known.pop("removed endpoint", None)
    for item in document["paths"].values():
        operations = [value for value in item.values() if isinstance(value, dict)]
        for operation in operations:
            if operation.get("operationId") in OF_THE_INSTALLATION:
                # Its own list of tenants, which what is known does not replace.
                operation["parameters"] = [{"name": "tenant", "in": "path", "required": True, "schema": {"enum": ["default", "demo"]}}]
            if operation.get("operationId") == "removeWebhookEndpoint":
                own = {"name": "endpoint", "in": "path", "required": True, "schema": {"enum": removed}}
                operation["parameters"] = [one for one in operation["parameters"] if "endpoint" not in json.dumps(one)] + [own]
        for parameter in [one for holder in [item, *operations] for one in holder.get("parameters", [])]:
            narrow(parameter, known)
    for parameter in document["components"]["parameters"].values():
        narrow(parameter, known)
    return document


def narrow(parameter, known):
    if parameter.get("name") in known and "enum" not in parameter.get("schema", {}):
        parameter["schema"] = {"enum": known[parameter["name"]]}


class Examination:
    """One document, one address, one caller."""

    def __init__(self, fabric, name, holder, token):
        self.fabric, self.name = fabric, name
        self.report = os.path.join(fabric.home, f"{name}.ndjson")
        pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        write(fabric.home, {f"{name}.caller": json.dumps({"key": pem, "token": token, "secrets": [str(COST)]})})

    def run(self, document, base, examples, checks):
        write(self.fabric.home, {f"{self.name}.json": json.dumps(document)})
        command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", os.path.join(self.fabric.home, f"{self.name}.json")]
        command += ["--url", base, "--tls-verify", self.fabric.addresses["ca"], "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)]
        command += ["--checks", ",".join(checks), "--generation-deterministic", "--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]
        command += ["--report-ndjson-path", self.report, "--no-color"]
        # An authority or a proxy named by the environment would win over what is set here.
        kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper() and not name.endswith("CA_BUNDLE")}
        kept |= {"SCHEMATHESIS_HOOKS": "caller", "CALLER": os.path.join(self.fabric.home, f"{self.name}.caller"), "PYTHONPATH": os.pathsep.join([HERE, os.path.dirname(HERE)])}
        return subprocess.run(command, env=kept, cwd=self.fabric.home, capture_output=True, text=True, check=False, timeout=200)

    def judge(self, document, base, examples, more_checks=()):
        """One check for each operation."""
        ended = self.run(document, base, examples, CHECKS + list(more_checks))
        statuses, wrong = self.read()
        operations = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item if method in ("get", "put", "post", "delete")]
        for operation in operations:
            seen = statuses.get(operation, collections.Counter())
            told = f"{self.name}: {operation}: {seen.total()} requests, {' '.join(f'{status}x{count}' for status, count in sorted(seen.items()))}"
            if wrong.get(operation):
                failed(told, "; ".join(sorted(wrong[operation])))
            elif not seen[200]:
                failed(told, "never done")
            else:
                passed(told)
        server_errors = sum(count for seen in statuses.values() for status, count in seen.items() if status >= 500)
        check(f"{self.name}: no answer of {sum(seen.total() for seen in statuses.values())} is a 5xx", lambda: must(server_errors == 0, f"{server_errors}"))
        check(f"{self.name}: it found nothing else", lambda: must(ended.returncode == 0 or any(wrong.values()), f"ended with {ended.returncode}"))
        if ended.returncode != 0:
            print(ended.stdout[-int(os.environ.get("SHOWN", "12000")) :], ended.stderr[-2000:])

    def read(self):
        """For each operation: how often it answered with which status, and the names of checks that did not hold."""
        statuses, wrong = {}, {}
        with open(self.report, encoding="utf-8") as file:
            for line in file:
                recorded = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
                operation = recorded.get("label")
                for interaction in recorded.get("interactions", {}).values():
                    response = interaction.get("response")
                    statuses.setdefault(operation, collections.Counter())[response["status_code"] if response else 599] += 1
                for checks in recorded.get("checks", {}).values():
                    wrong.setdefault(operation, set()).update(one["name"] for one in checks if one["status"] != "success")
        return statuses, wrong


def of_the_exercise(fabric, portal):
    """The portal's API through the gateway, for alice. A path and a method that no route has is told 404, like every path that is none: who may know which there are is
    not decided before somebody proved who they are. So there is no 405, and `unsupported_method` is left out."""
    metadata = fabric.session().get(f"{fabric.addresses['identity']}/.well-known/oauth-authorization-server/t/demo", timeout=30).json()
    holder, signed_in = Holder(), []
    for _ in range(3):
        token = portal.sign_in(fabric.session(), metadata, holder, "alice", "alice: correct horse battery staple", SCOPES)
        signed_in.append(claims_of(token))
    with open(os.path.join(EXERCISE, "schemas/api.openapi.json"), encoding="utf-8") as file:
        document = json.load(file)
    known = {"owner": [signed_in[0]["sub"], "0" * 32]}
    Examination(fabric, "exercise", holder, token).judge(narrowed(document, known), fabric.addresses["gateway"], 60)
    return signed_in


def ed25519_key(text):
    """PKCS#8 with the public key beside the private one (RFC 8410 §7 with RFC 5958 §2), which `cryptography` does not read: the 32 bytes inside."""
    der = decoded(text)
    begins = der.index(b"\x04\x22\x04\x20") + 4
    return Ed25519PrivateKey.from_private_bytes(der[begins : begins + 32])


def of_the_admin_api(fabric, signed_in):
    with open(os.path.join(fabric.data, "admin.json"), encoding="utf-8") as file:
        credential = json.load(file)
    holder = Holder(ed25519_key(credential["private_key"]))
    demo = ["--tenant", "demo"]
    fabric.client("partner", "--scope", "orders.read", "--audience", "https://orders.example", *demo)
    named = ["--name", "night batch", "--audience", "https://orders.example", "--scope", "orders.read", *demo]
    keys = [fabric.administer("client", "key", "add", "partner", *named)["key_id"] for _ in range(3)]
    sessions = [one["session_id"] for one in fabric.administer("session", "list", "alice", *demo)["sessions"]]
    leaving = [fabric.administer("user", "add", f"leaver-{number}", "--password-stdin", *demo, typed="correct horse battery\n")["user_id"] for number in range(2)]
    receiver = ["--url", "https://hooks.example/in", "--event", "invoice.*", *demo]
    endpoints = [fabric.administer("webhook", "endpoint", "add", *receiver)["endpoint"] for _ in range(2)]
    removed = [fabric.administer("webhook", "endpoint", "add", *receiver)["endpoint"] for _ in range(2)]
    for event_type in ("invoice.paid", "invoice.drafted"):
        fabric.administer("webhook", "event-type", "add", event_type, "--description", "What happened to an invoice", *demo)
    sent = ["--everyone", "--payload", "-", *demo]
    messages = [fabric.administer("webhook", "send", "invoice.paid", *sent, typed="{}")["message"] for _ in range(2)]
    delivered = [message + endpoint for message in messages for endpoint in endpoints]
    known = {
        "tenant": ["demo", "nobody"],
        "grant": [*(one["grant_id"] for one in signed_in), "0" * 16],
        "session": [*sessions, "0" * 16],
        "event": [*decisions(fabric), "0" * 32],
        "key": [*keys, "0" * 16],
        "user": [*leaving, "0" * 32],
        "endpoint": [*endpoints, "0" * 32],
        "removed endpoint": [*removed, "0" * 32],
        "delivery": [*delivered, "0" * 64],
        "message": [*messages, "0" * 32],
    }
    control = fabric.addresses["control"]
    document = fabric.session().get(f"{control}/admin/v1/openapi.json", timeout=30).json()
    Examination(fabric, "admin", holder, credential["access_token"]).judge(narrowed(document, known), control, 20, ["unsupported_method"])


def decisions(fabric):
    """A few decisions of the gateway whose questions are kept."""
    lines = log_of(fabric.data, ['"action":"read_order"'])
    records = [json.loads(line)["record"] for line in lines.splitlines()]
    found = [record["id"] for record in records if record["kind"] == "decision" and record["detail"]["action"] == "read_order"]
    must(found, "no decision is in the log")
    return found[-3:]


def examine(fabric):
    portal = Portal()
    services = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    os.makedirs(fabric.config)
    context.load_cert_chain(*of_localhost(fabric.config, "services"))
    services.socket = context.wrap_socket(services.socket, server_side=True)
    threading.Thread(target=services.serve_forever, daemon=True).start()
    write(fabric.config, configuration(portal, services.server_port))
    fabric.start()
    of_the_admin_api(fabric, of_the_exercise(fabric, portal))


serve("schemathesis", None, examine)
finish("schemathesis")
