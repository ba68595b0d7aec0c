"""Real clients go out through the egress proxy: curl, Python's requests, Node's undici.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) with a proxy, and a destination on loopback over TLS and one in plain text, which an exception lets
through. NODE_PROJECT is a directory with undici. Ends with a line of counts.
"""

import http.server
import json
import os
import signal
import ssl
import subprocess
import threading

import requests

from fabric import PROGRAM, check, finish, log_of, must, serve, write

NODE_PROJECT = os.environ["NODE_PROJECT"]
KEY = "billing-key-0123456789abcdef0123456789"
SECRET = "partner-secret-4711"
AUDIENCE = "urn:countersign:egress"

CONFIGURATION = """
[egress]
networks = [{ network = "127.0.0.1/32", reason = "destinations of this test" }]

[egress.proxy]
listen = "127.0.0.1:3128"
audience = "urn:countersign:egress"
proof = "any"

[[egress.workloads]]
name = "billing"
key = { file = "billing.key" }

[[egress.rules]]
name = "tunnel"
clients = ["billing", "reports"]
host = "127.0.0.1"
ports = [TLSPORT]

[[egress.rules]]
name = "lifted"
clients = ["billing"]
host = "127.0.0.1"
ports = [TLSPORT]
form = "https"
methods = ["GET", "POST"]
paths = ["/v1"]
ca = "destination.pem"
pins = ["PIN", "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
credential = { bearer = { file = "partner.secret" } }

[[egress.rules]]
name = "plain"
clients = ["billing"]
host = "127.0.0.1"
ports = [PLAINPORT]
form = "http"
methods = ["GET"]
paths = ["/"]

[[egress.rules]]
name = "metadata"
clients = ["billing"]
host = "169.254.169.254"
form = "http"
methods = ["GET"]
paths = ["/"]

[[egress.rules]]
name = "ourselves"
clients = ["billing"]
host = "127.0.0.1"
ports = [OWNPORT]
"""


class Destination(http.server.BaseHTTPRequestHandler):
    """Says what it heard; sends `/v1/moved` to the metadata service."""

    def do_GET(self):
        heard = {name.lower(): value for name, value in self.headers.items()} | {":path": self.path}
        body = json.dumps(heard).encode()
        moved = self.path == "/v1/moved"
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def openssl(*words, typed=None):
    return subprocess.run(["openssl", *words], input=typed, capture_output=True, check=True).stdout


def certificate(home):
    """A self-signed certificate for 127.0.0.1, and the pin of its key, made as docs/egress.md says."""
    key, pem = os.path.join(home, "destination.key"), os.path.join(home, "destination.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem, "-days", "2",
            "-subj", "/CN=destination", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
    public = openssl("x509", "-in", pem, "-pubkey", "-noout")
    der = openssl("pkey", "-pubin", "-outform", "der", typed=public)
    pin = openssl("base64", typed=openssl("dgst", "-sha256", "-binary", typed=der)).decode().strip()
    return key, pem, f"sha256/{pin}"


def serving(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Destination)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def curl(*words):
    """The body, curl's exit code and the status of the proxy's own answer to CONNECT."""
    done = subprocess.run(["curl", "-sS", "-m", "20", "--noproxy", "", "-w", "\n%{http_code} %{http_connect}", *words], capture_output=True, text=True, check=False)
    body, _, codes = done.stdout.rpartition("\n")
    status, connect = codes.split(" ")
    return body, int(status), int(connect), done.stderr


def with_curl(proxy, pem, tls, plain, own, token):
    user = ["-x", proxy, "-U", f"billing:{KEY}", "--cacert", pem]

    def tunnel():
        body, status, connect, _ = curl(*user, f"{tls}/a?b=c")
        must((status, connect) == (200, 200), f"{status} {connect}")
        heard = json.loads(body)
        must(heard[":path"] == "/a?b=c", f"heard {heard}")
        must("proxy-authorization" not in heard and "via" not in heard, f"heard {heard}")

    def with_a_token():
        _, status, connect, _ = curl("-x", proxy, "-U", f"token:{token}", "--cacert", pem, tls)
        must((status, connect) == (200, 200), f"{status} {connect}")
        _, status, connect, _ = curl("-x", proxy, "--proxy-header", f"Proxy-Authorization: Bearer {token}", "--cacert", pem, tls)
        must((status, connect) == (200, 200), f"{status} {connect}")
        _, _, connect, _ = curl("-x", proxy, "-U", f"token:{token}x", "--cacert", pem, tls)
        must(connect == 407, f"{connect}")

    def challenged():
        _, status, connect, _ = curl(*user, "--proxy-anyauth", tls)
        must((status, connect) == (200, 200), f"{status} {connect}")
        _, _, connect, _ = curl("-x", proxy, "--cacert", pem, tls)
        must(connect == 407, f"{connect}")
        _, _, connect, _ = curl("-x", proxy, "-U", "billing:wrong", "--cacert", pem, tls)
        must(connect == 407, f"{connect}")
        _, _, connect, _ = curl("-x", proxy, "-H", f"Authorization: Bearer {token}", "--cacert", pem, tls)
        must(connect == 407, "what is meant for the destination is no credential here")

    def not_listed():
        for target in ["https://example.com/", "https://127.0.0.1:1/", "https://localhost:443/"]:
            _, _, connect, _ = curl(*user, target)
            must(connect == 403, f"{target} {connect}")

    def lifted():
        body, status, _, _ = curl(*user, "-H", "Authorization: Bearer mine", "http://127.0.0.1/v1/orders")
        must(status == 200, f"{status} {body}")
        heard = json.loads(body)
        must(heard["authorization"] == f"Bearer {SECRET}", f"heard {heard}")
        must(heard["via"].startswith("1.1 countersign-"), f"heard {heard}")
        body, status, _, _ = curl(*user, "-d", "a=b", "http://127.0.0.1/v1/orders")
        must((status, body) == (200, "a=b"), f"{status} {body}")
        for words in [["http://127.0.0.1/other"], ["-X", "DELETE", "http://127.0.0.1/v1"], ["--path-as-is", "http://127.0.0.1/v1/../x"]]:
            _, status, _, _ = curl(*user, *words)
            must(status in (400, 403), f"{words} {status}")

    def redirected():
        body, status, _, _ = curl(*user, "-L", "http://127.0.0.1/v1/moved")
        must(status == 403, f"{status}")
        must(json.loads(body)["error"] == "address_metadata", body)

    def in_plain_text():
        body, status, _, _ = curl(*user, f"{plain}/b")
        must(status == 200 and json.loads(body)[":path"] == "/b", f"{status} {body}")
        must("authorization" not in json.loads(body), body)

    def ourselves():
        _, _, connect, _ = curl(*user, own)
        must(connect == 403, f"{connect}")

    check("curl: a tunnel with a key", tunnel)
    check("curl: a tunnel with a token, as a password and as it is", with_a_token)
    check("curl: asks without a credential, is challenged, and asks again", challenged)
    check("curl: what is not listed is denied", not_listed)
    check("curl: HTTP lifted to TLS, pinned, with the proxy's credential", lifted)
    check("curl: follows a redirect to the metadata service and is refused there", redirected)
    check("curl: plain HTTP where it is listed", in_plain_text)
    check("curl: the listeners of the process itself are not reached", ourselves)


def with_requests(proxy, pem, tls, plain):
    named = proxy.replace("http://", f"http://billing:{KEY}@")

    def from_the_environment():
        os.environ.update({"HTTPS_PROXY": named, "HTTP_PROXY": named, "NO_PROXY": ""})
        try:
            answer = requests.get(f"{tls}/c", verify=pem, timeout=20)
            must(answer.json()[":path"] == "/c", answer.text)
            answer = requests.get("http://127.0.0.1/v1", timeout=20)
            must(answer.json()["authorization"] == f"Bearer {SECRET}", answer.text)
            answer = requests.get(f"{plain}/d", timeout=20)
            must(answer.json()[":path"] == "/d", answer.text)
            answer = requests.post("http://127.0.0.1/v1", data=iter([b"in", b"pieces"]), timeout=20)
            must(answer.text == "inpieces", answer.text)
        finally:
            for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"]:
                del os.environ[name]

    def refused():
        try:
            requests.get(tls, proxies={"https": proxy}, verify=pem, timeout=20)
        except requests.exceptions.ProxyError as error:
            must("407" in str(error), str(error))
        else:
            raise AssertionError("nobody was let out")
        answer = requests.get("http://127.0.0.1/v1", proxies={"http": proxy}, timeout=20)
        must(answer.status_code == 407, f"{answer.status_code}")

    check("requests: proxies of the environment", from_the_environment)
    check("requests: without a credential", refused)


def with_undici(proxy, pem, tls):
    def asks(credentials, target, form):
        script = os.path.join(NODE_PROJECT, "undici.mjs")
        done = subprocess.run(["node", script, proxy, credentials, target, pem, form], capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)

    def tunnel():
        told = asks(f"billing:{KEY}", f"{tls}/e", "tunnel")
        must(told.get("status") == 200 and json.loads(told["text"])[":path"] == "/e", f"{told}")

    def refused():
        told = asks(f"billing:{KEY}x", tls, "tunnel")
        must("error" in told and "status" not in told, f"{told}")
        told = asks(f"billing:{KEY}", "https://127.0.0.1:1/", "tunnel")
        must("error" in told and "status" not in told, f"{told}")

    check("undici: a tunnel", tunnel)
    check("undici: refusals", refused)


def alone(home, config, pem, tls):
    """The same proxy in a process of its own."""
    data = os.path.join(home, "alone")
    words = [PROGRAM, "serve", "egress", "--ephemeral", "--config", config, "--data", data, "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(server.stdout.readline())
        must(set(said) == {"egress", "telemetry", "ca", "data"}, f"said {said}")
        _, status, connect, _ = curl("-x", said["egress"], "-U", f"billing:{KEY}", "--cacert", pem, tls)
        must((status, connect) == (200, 200), f"{status} {connect}")
        _, _, connect, _ = curl("-x", said["egress"], "-U", f"billing:{KEY}", "https://example.com/")
        must(connect == 403, f"{connect}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def in_the_log(data):
    found = log_of(data, ['"surface":"egress"', "host_not_listed", "address_metadata", "address_own", "workload_key_unknown"])
    must(KEY not in found and SECRET not in found, "a secret is in the log")


def configured(fabric, tls_port, plain_port, own_port, pin, authority):
    named = {"TLSPORT": tls_port, "PLAINPORT": plain_port, '"PIN"': f'"{pin}"', "OWNPORT": own_port}
    text = CONFIGURATION
    for name, value in named.items():
        text = text.replace(name, str(value))
    write(fabric.config, {"countersign.toml": text, "billing.key": KEY, "partner.secret": SECRET, "destination.pem": authority})


def reloaded(process):
    process.send_signal(signal.SIGHUP)
    for line in process.stderr:
        if "reloaded" in line or "refused" in line:
            must("reloaded" in line, line)
            break
    # What else it says is read and thrown away, so that it never waits for a reader.
    threading.Thread(target=process.stderr.read, daemon=True).start()


def go_out(fabric):
    key, pem, pin = certificate(fabric.home)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    tls_port, plain_port = serving(context).server_address[1], serving().server_address[1]
    with open(pem, encoding="utf-8") as file:
        authority = file.read()
    # Its own address is known once it runs; a reload lists it.
    configured(fabric, tls_port, plain_port, 9, pin, authority)
    fabric.start(stderr=subprocess.PIPE)
    configured(fabric, tls_port, plain_port, fabric.addresses["control"].rsplit(":", 1)[1], pin, authority)
    reloaded(fabric.process)
    proxy, tls, plain = fabric.addresses["egress"], f"https://127.0.0.1:{tls_port}", f"http://127.0.0.1:{plain_port}"
    own = fabric.addresses["control"].replace("localhost", "127.0.0.1")
    token = fabric.token("reports", fabric.client("reports", "--audience", AUDIENCE), None, AUDIENCE)
    with_curl(proxy, pem, tls, plain, own, token)
    with_requests(proxy, pem, tls, plain)
    with_undici(proxy, pem, tls)
    check("what happened is in the log, and no secret", lambda: in_the_log(fabric.data))
    check("serve egress: the proxy in a process of its own", lambda: alone(fabric.home, fabric.config, pem, tls))


serve("egress", None, go_out)
finish("egress")
