"""What others see who ask for decisions: a plain HTTP client of AuthZEN and OPA, and nginx with `auth_request`.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) and nginx (NGINX_BIN) before a small application, and ends with a line of counts.
"""

import http.server
import json
import os
import subprocess
import threading

from fabric import check, finish, free_port, listens, must, serve

NGINX = os.environ["NGINX_BIN"]
ACCESS = "urn:countersign:access"
APP = "https://app.example"
PROXY_SECRET = "a-secret-of-32-bytes-at-the-least"

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


def ask_authzen(fabric, session):
    addresses = fabric.addresses
    secret = fabric.client("mesh", "--scope", "access.evaluate", "--scope", "access.search", "--audience", ACCESS)
    for person in ["alice", "bob"]:
        fabric.administer("user", "add", person, "--password-stdin", typed="correct horse battery\n")
    described = session.get(f"{addresses['control']}/.well-known/authzen-configuration", timeout=30).json()
    bearer = fabric.token("mesh", secret, "access.evaluate access.search", ACCESS)
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


def ask_nginx(fabric, session):
    addresses, home = fabric.addresses, fabric.home
    secret = fabric.client("reader", "--scope", "app.read", "--scope", "app.other", "--audience", APP)
    good = fabric.token("reader", secret, "app.read", APP)
    under = fabric.token("reader", secret, "app.other", APP)
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
        listens(front, "nginx")
        check("nginx: a request that is permitted arrives with who it is", permitted)
        check("nginx: refusals are 401 with their challenge, or 403", refused)
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)
        application.shutdown()


def ask(fabric):
    ask_authzen(fabric, fabric.session())
    ask_nginx(fabric, fabric.session())


serve("decisions", {"countersign.toml": CONFIGURATION, "proxy": PROXY_SECRET}, ask)
finish("decisions")
