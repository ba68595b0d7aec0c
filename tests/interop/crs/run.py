"""Cases of every family of the OWASP Core Rule Set: the gateway's firewall beside libmodsecurity in nginx, the same rules and settings.

Each case goes to nginx over a socket and to the firewall through the gateway's own reading of requests. Both must say the same. Where the firewall is stricter that is
counted and shown; where it lets an attack through that libmodsecurity refuses, the run fails unless `explained.json` says why.
"""

import collections
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent
SCREEN = os.environ["SCREEN_BIN"]
ROOT = pathlib.Path(os.environ["MODSECURITY_ROOT"])
THRESHOLD, PARANOIA = 5, 1
# Cases on which both agree, of a hundred, that a change must not fall below.
FLOOR = 97.0
ORDINARY = [["host", "localhost"], ["user-agent", "Mozilla/5.0 (X11; Linux x86_64)"], ["accept", "*/*"]]
PLACES = ["query", "form", "json", "xml", "cookie"]


def request(method, target, headers, body):
    named = {name for name, _ in headers}
    fields = [pair for pair in ORDINARY if pair[0] not in named] + headers
    if body and "content-length" not in named:
        fields.append(["content-length", str(len(body.encode()))])
    elif method == "POST" and "content-length" not in named:
        fields.append(["content-length", "0"])
    return {"method": method, "target": target, "headers": fields, "body": body}


def placed(place, value):
    quoted = urllib.parse.quote(value, safe="")
    if place == "query":
        return request("GET", f"/?q={quoted}", [], "")
    if place == "cookie":
        return request("GET", "/", [["cookie", f"q={quoted}"]], "")
    if place == "form":
        return request("POST", "/", [["content-type", "application/x-www-form-urlencoded"]], f"q={quoted}")
    if place == "json":
        return request("POST", "/", [["content-type", "application/json"]], json.dumps({"q": value}))
    text = escape(value.replace("\r", " "))
    return request("POST", "/", [["content-type", "application/xml"]], f"<q>{text}</q>")


def cases_of(family):
    """(name, the rule that it is written for or None for benign ones, request)"""
    for rule, value in family.get("values", []):
        for place in PLACES:
            yield f"{rule} {place} {value!r}", rule, placed(place, value)
    for value in family.get("benign", []):
        for place in PLACES:
            yield f"benign {place} {value!r}", None, placed(place, value)
    for rule, name, value in family.get("header", []):
        yield f"{rule} {name} {value!r}", rule, request("GET", "/", [[name, value]], "")
    for name, value in family.get("benign_header", []):
        yield f"benign {name} {value!r}", None, request("GET", "/", [[name, value]], "")
    for rule, path in family.get("path", []):
        yield f"{rule} {path}", rule, request("GET", path, [], "")
    for path in family.get("benign_path", []):
        yield f"benign {path}", None, request("GET", path, [], "")
    for rule, method, target, headers, body in family.get("raw", []):
        yield f"{rule} {method} {target} {headers} {body!r}", rule, request(method, target, headers, body)
    for method, target, headers, body in family.get("benign_raw", []):
        yield f"benign {method} {target} {headers} {body!r}", None, request(method, target, headers, body)


def generic(name):
    """Without the place: one reason for the same value wherever it stands."""
    return re.sub(r" (query|form|json|xml|cookie) ", " ", name, count=1)


class Nginx:
    """nginx with libmodsecurity before an application that answers 200 to everything."""

    def __init__(self, directory):
        self.directory = directory
        modules = ROOT / "usr/lib/nginx/modules"
        recommended = (ROOT / "etc/nginx/modsecurity.conf").read_text()
        recommended = recommended.replace("SecRuleEngine DetectionOnly", "SecRuleEngine On")
        recommended = re.sub(r"(?m)^SecAudit\w+.*$", "", recommended)
        recommended = recommended.replace("unicode.mapping", str(ROOT / "etc/nginx/unicode.mapping"))
        rules = ROOT / "usr/share/modsecurity-crs/rules"
        setup = (ROOT / "etc/modsecurity/crs/crs-setup.conf").read_text()
        (directory / "rules.conf").write_text(f"{recommended}\n{setup}\nInclude {rules}/*.conf\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = directory / "error.log"
        (directory / "nginx.conf").write_text(f"""
load_module {modules}/ngx_http_modsecurity_module.so;
daemon off; master_process off; pid {directory}/pid;
error_log {self.log} info;
events {{}}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen unix:{directory}/app; location / {{ return 200 "reached"; }} }}
  server {{
    listen 127.0.0.1:{self.port}; modsecurity on; modsecurity_rules_file {directory}/rules.conf;
    location / {{ proxy_pass http://unix:{directory}/app; }}
  }}
}}
""")
        libraries = f"{ROOT}/usr/lib/x86_64-linux-gnu:{ROOT}/lib/x86_64-linux-gnu"
        self.process = subprocess.Popen(
            [ROOT / "usr/sbin/nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", self.log],
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"nginx does not start:\n{self.log.read_text()}")

    def judge(self, case):
        before = self.log.stat().st_size
        lines = [f"{case['method']} {case['target']} HTTP/1.1"]
        names = {name for name, _ in case["headers"]}
        lines += [f"{name}: {value}" for name, value in case["headers"]]
        if "connection" not in names:
            lines.append("connection: close")
        head = "\r\n".join(lines) + "\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), 10) as stream:
            stream.sendall(head.encode() + case["body"].encode())
            answer = b""
            while b"\r\n" not in answer:
                more = stream.recv(4096)
                if not more:
                    break
                answer += more
        status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        with self.log.open() as log:
            log.seek(before)
            told = log.read()
        score = re.search(r"Inbound Anomaly Score Exceeded \(Total Score: (\d+)\)", told)
        return {
            "denied": status != 200,
            "status": status,
            "score": int(score.group(1)) if score else 0,
            "rules": sorted({int(rule) for rule in re.findall(r'\[id "(\d+)"\]', told)}),
        }

    def stop(self):
        self.process.terminate()
        self.process.wait()


def screened(cases):
    paths = [ROOT / "etc/modsecurity/crs/crs-setup.conf", ROOT / "usr/share/modsecurity-crs/rules"]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    command = [SCREEN, str(THRESHOLD), str(PARANOIA), *paths]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the rules cannot be loaded:\n{done.stderr}")
    loaded, *verdicts = map(json.loads, done.stdout.splitlines())
    return loaded, verdicts


def main():
    explained = json.loads((HERE / "explained.json").read_text())
    families = [json.loads(path.read_text()) for path in sorted((HERE / "cases").glob("*.json"))]
    cases = [(family["family"], *case) for family in families for case in cases_of(family)]
    loaded, ours = screened([case for *_, case in cases])
    print(f"rules: {loaded['run']} run, {loaded['answers']} about answers do not, {loaded['left_out']} are left out")
    with tempfile.TemporaryDirectory() as directory:
        nginx = Nginx(pathlib.Path(directory))
        try:
            theirs = [nginx.judge(case) for *_, case in cases]
        finally:
            nginx.stop()
    agreed, total, stricter, wrong, scores = (collections.Counter() for _ in range(5))
    used, named, written = set(), collections.Counter(), collections.Counter()
    for (family, name, rule, case), our, their in zip(cases, ours, theirs, strict=True):
        total[family] += 1
        denied = our["verdict"] != "passed"
        if rule is not None and their["denied"]:
            written[family] += 1
            named[family] += rule in our["rules"]
        if denied == their["denied"]:
            agreed[family] += 1
            scores[family] += denied and our["score"] == their["score"] != 0
        elif denied:
            stricter[family] += 1
            print(f"  stricter {family}: {name}: {our['verdict']} score {our['score']} {our['rules']}; nginx {their['status']}")
        elif generic(name) in explained:
            used.add(generic(name))
            print(f"  explained {family}: {name}: {explained[generic(name)]}")
        else:
            wrong[family] += 1
            print(f"  LET THROUGH {family}: {name}: score {our['score']} {our['rules']}; nginx {their['status']} score {their['score']} {their['rules']}")
    for family in sorted(total):
        print(
            f"{family}: {agreed[family]}/{total[family]} verdicts agree, {stricter[family]} stricter, {wrong[family]} let through;"
            f" {scores[family]} scores are equal, {named[family]}/{written[family]} attacks name the rule they are written for"
        )
    benign = [our for (_, _, rule, _), our in zip(cases, ours) if rule is None]
    micros = sorted(our["micros"] for our in ours[20:] if "micros" in our)
    stale = sorted(set(explained) - used)
    share = 100 * sum(agreed.values()) / sum(total.values())
    print(f"score: {sum(agreed.values())} of {sum(total.values())} ({share:.1f} %, floor {FLOOR:.1f} %); median {micros[len(micros) // 2]} us a request in this build")
    print(f"benign: {sum(our['verdict'] == 'passed' for our in benign)} of {len(benign)} pass")
    for name in stale:
        print(f"  explained without need: {name}")
    failed = sum(wrong.values()) + len(stale) + (share < FLOOR)
    print(f"{sum(agreed.values())} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
