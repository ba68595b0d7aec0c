"""What others see who ask for decisions: a plain HTTP client of AuthZEN and OPA, and nginx with `auth_request`.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) and nginx (NGINX_BIN) before a small application, and ends with a line of counts.
"""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import requests

PROGRAM = os.environ["COUNTERSIGN_BIN"]
NGINX = os.environ["NGINX_BIN"]
ACCESS = "urn:countersign:access"
APP = "https://app.example"
PROXY_SECRET = "a-secret-of-32-bytes-at-the-least"
COUNTS = {"passed": 0, "failed": 0}

CONFIGURATION = """
[[forward_auth]]
name = "nginx"
secret = { file = "proxy" }
answers = "subrequest"

[[upstreams]]
name = "nowhere"
url = "https://localhost:1"

[[routes]]
name = "app"
path = "/app/{*rest}"
upstream = "nowhere"
audience = "https://app.example"
proof = "any"
actions.GET = { action = "request", scopes = ["app.read"] }
"""

NGINX_CONFIGURATION = """
daemon off;
worker_processes 1;
pid HOME/nginx.pid;
error_log HOME/nginx.log;
events {}
http {
  access_log off;
  client_body_temp_path HOME/body;
  proxy_temp_path HOME/proxy-temp;
  fastcgi_temp_path HOME/fastcgi;
  uwsgi_temp_path HOME/uwsgi;
  scgi_temp_path HOME/scgi;
  server {
    listen 127.0.0.1:FRONT;
    location / {
      auth_request /judge;
      auth_request_set $subject $upstream_http_countersign_subject;
      auth_request_set $scopes $upstream_http_countersign_scopes;
      proxy_set_header Countersign-Subject $subject;
      proxy_set_header Countersign-Scopes $scopes;
      proxy_set_header Authorization "";
      proxy_pass http://127.0.0.1:BACK;
    }
    location = /judge {
      internal;
      proxy_pass GATEWAY/.countersign/forward-auth;
      proxy_ssl_trusted_certificate AUTHORITY;
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Countersign-Proxy-Secret "SECRET";
      proxy_set_header X-Forwarded-Method $request_method;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host localhost;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
"""


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


def administer(data, *words, typed=None):
    done = subprocess.run([PROGRAM, *words, "--data", data, "--json"], input=typed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"countersign {' '.join(words)}: {done.stderr or done.stdout}")
    return json.loads(done.stdout) if done.stdout.strip() else {}


def session_of(addresses):
    session = requests.Session()
    # An authority or a proxy named by the environment would win over what is set here.
    session.trust_env = False
    session.verify = addresses["ca"]
    return session


def token(session, addresses, client, secret, scope, audience):
    form = {"grant_type": "client_credentials", "scope": scope, "resource": audience}
    answer = session.post(f"{addresses['identity']}/token", auth=(client, secret), data=form, timeout=30)
    must(answer.status_code == 200, f"status {answer.status_code}: {answer.text}")
    return answer.json()["access_token"]


def ask_authzen(session, addresses, data):
    registered = ["--grant", "client_credentials", "--scope", "access.evaluate", "--scope", "access.search", "--audience", ACCESS]
    secret = administer(data, "client", "add", "mesh", "--secret", *registered)["client_secret"]
    administer(data, "user", "add", "alice", "--password-stdin", typed="correct horse battery\n")
    administer(data, "user", "add", "bob", "--password-stdin", typed="correct horse battery\n")
    described = session.get(f"{addresses['control']}/.well-known/authzen-configuration", timeout=30).json()
    bearer = token(session, addresses, "mesh", secret, "access.evaluate access.search", ACCESS)
    headers = {"Authorization": f"Bearer {bearer}", "X-Request-ID": "seven"}
    question = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "manage_account"},
        "resource": {"type": "account", "id": "alice"},
        "context": {"operation": "view"},
    }
    theirs = question | {"resource": {"type": "account", "id": "bob"}}

    def post(address, body, status=200):
        answer = session.post(address, json=body, headers=headers, timeout=30)
        must(answer.status_code == status, f"status {answer.status_code}: {answer.text}")
        must(answer.headers["X-Request-ID"] == "seven", f"headers {answer.headers}")
        return answer.json()

    def one():
        must(post(described["access_evaluation_endpoint"], question)["decision"] is True, "denied")
        must(post(described["access_evaluation_endpoint"], theirs)["decision"] is False, "permitted")
        post(described["access_evaluation_endpoint"], {"subject": "alice"}, 400)

    def many():
        batch = {"options": {"evaluations_semantic": "deny_on_first_deny"}, "evaluations": [question, theirs, question]}
        told = post(described["access_evaluations_endpoint"], batch)["evaluations"]
        must([answer["decision"] for answer in told] == [True, False], f"told {told}")

    def searched():
        found = post(described["search_resource_endpoint"], question)["results"]
        must(len(found) == 1 and found[0]["type"] == "account", f"found {found}")
        found = post(described["search_action_endpoint"], question)["results"]
        must(found == [{"name": "manage_account"}], f"found {found}")
        found = post(described["search_subject_endpoint"], question)["results"]
        must(len(found) == 1, f"found {found}")

    def opa():
        for body, allow in [(question, True), (theirs, False)]:
            told = post(f"{addresses['control']}/opa/v1/data/countersign/allow", {"input": body})
            must(told["result"] is allow, f"told {told}")
        told = post(f"{addresses['control']}/opa/v1/data/other", {"input": question})
        must("result" not in told, f"told {told}")

    def stranger():
        answer = session.post(described["access_evaluation_endpoint"], json=question, timeout=30)
        must(answer.status_code == 401, f"status {answer.status_code}")

    must(described["policy_decision_point"] == addresses["control"], f"described {described}")
    check("authzen: one evaluation", one)
    check("authzen: a batch that ends at the first denial", many)
    check("authzen: searches", searched)
    check("authzen: without a token nobody is answered", stranger)
    check("opa: the data API", opa)


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask_nginx(session, addresses, data, home):
    registered = ["--grant", "client_credentials", "--scope", "app.read", "--scope", "app.other", "--audience", APP]
    secret = administer(data, "client", "add", "reader", "--secret", *registered)["client_secret"]
    good = token(session, addresses, "reader", secret, "app.read", APP)
    under = token(session, addresses, "reader", secret, "app.other", APP)
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    front = free_port()
    text = NGINX_CONFIGURATION
    named = {"HOME": home, "FRONT": front, "BACK": application.server_port, "GATEWAY": addresses["gateway"], "AUTHORITY": addresses["ca"], "SECRET": PROXY_SECRET}
    for name, value in named.items():
        text = text.replace(name, str(value))
    path = os.path.join(home, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    nginx = subprocess.Popen([NGINX, "-p", home, "-c", path], stderr=subprocess.DEVNULL)

    def get(path, **headers):
        return session.get(f"http://127.0.0.1:{front}{path}", headers=headers, timeout=30)

    def permitted():
        answer = get("/app/a?b=c", Authorization=f"Bearer {good}")
        must(answer.status_code == 200, f"status {answer.status_code}")
        seen = answer.json()
        must(seen["countersign-subject"] == "reader", f"seen {seen}")
        must(seen["countersign-scopes"] == "app.read", f"seen {seen}")
        must("authorization" not in seen, f"seen {seen}")

    def refused():
        answer = get("/app/a")
        must(answer.status_code == 401, f"status {answer.status_code}")
        # nginx before 1.23 passes the first of several challenges on.
        must("DPoP" in answer.headers["WWW-Authenticate"], f"headers {answer.headers}")
        must(get("/app/a", Authorization=f"Bearer {under}").status_code == 403, "under-scoped")
        must(get("/other", Authorization=f"Bearer {good}").status_code == 403, "no route")
        forged = get("/app/a", **{"Authorization": f"Bearer {good}", "Countersign-Subject": "evil"})
        must(forged.status_code == 403, "who it is, told by the caller itself")
        must(get("/app/%2e%2e/a", Authorization=f"Bearer {good}").status_code != 200, "a path that climbs")

    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", front), timeout=1).close()
                break
            except OSError:
                must(time.monotonic() < until, "nginx does not listen")
                time.sleep(0.05)
        check("nginx: a request that is permitted arrives with who it is", permitted)
        check("nginx: refusals are 401 with their challenge, or 403", refused)
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)
        application.shutdown()


with tempfile.TemporaryDirectory(prefix="countersign-decisions-") as home:
    data, config = os.path.join(home, "data"), os.path.join(home, "config")
    os.mkdir(config)
    for name, text in [("countersign.toml", CONFIGURATION), ("proxy", PROXY_SECRET)]:
        with open(os.path.join(config, name), "w", encoding="utf-8") as file:
            file.write(text)
    server = subprocess.Popen([PROGRAM, "up", "--ephemeral", "--config", config, "--data", data, "--json"], stdout=subprocess.PIPE, text=True)
    try:
        first = server.stdout.readline()
        must(first.strip(), "the server ended before it was ready")
        addresses = json.loads(first)
        session = session_of(addresses)
        ask_authzen(session, addresses, data)
        ask_nginx(session, addresses, data, home)
    except Exception as error:  # the closing line must come whatever happens
        COUNTS["failed"] += 1
        print(f"FAIL set-up: {type(error).__name__}: {error}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)

print(f"decisions: {COUNTS['passed']} passed, {COUNTS['failed']} failed, 0 skipped")
sys.exit(0 if COUNTS["failed"] == 0 else 1)
