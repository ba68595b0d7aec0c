"""What the scripts here share: checks that are counted, a server of their own (`countersign up --ephemeral`, COUNTERSIGN_BIN), what is administered there, and tokens."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import requests

PROGRAM = os.environ["COUNTERSIGN_BIN"]
COUNTS = {"passed": 0, "failed": 0}


def passed(name):
    COUNTS["passed"] += 1
    print(f"ok   {name}")


def failed(name, message):
    COUNTS["failed"] += 1
    print(f"FAIL {name}: {message}")


def check(name, body):
    """One check: it holds unless it raises. Gives what it found."""
    try:
        found = body()
    except Exception as error:  # every kind of failure is one failed check
        failed(name, f"{type(error).__name__}: {error}")
        return None
    passed(name)
    return found


def must(condition, message):
    if not condition:
        raise AssertionError(message)


def log_of(data, wanted, seconds=20):
    """The log's last records as JSON lines, once they hold all that is wanted: what was just recorded is published within a second, and a machine may be busy."""
    words = [PROGRAM, "audit", "tail", "--no-follow", "--lines", "1000", "--data", data, "--json"]
    until = time.monotonic() + seconds
    while True:
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        missing = [text for text in wanted if text not in found.replace(": ", ":")]
        if not missing:
            return found
        must(time.monotonic() < until, f"{missing} not in the log after {seconds} s")
        time.sleep(0.1)


def finish(suite):
    """The line that is counted, and the end."""
    print(f"{suite}: {COUNTS['passed']} passed, {COUNTS['failed']} failed, 0 skipped")
    sys.exit(0 if COUNTS["failed"] == 0 else 1)


def write(directory, files):
    """Files that nobody else reads; names may hold directories."""
    for name, text in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


class Fabric:
    """A server that runs: its addresses, and the directories of its data, its configuration and everything."""

    def __init__(self, home):
        self.home, self.data, self.config = home, os.path.join(home, "data"), os.path.join(home, "config")
        self.process, self.addresses = None, {}

    def start(self, **words):
        up = [PROGRAM, "up", "--ephemeral", "--config", self.config, "--data", self.data, "--json"]
        self.process = subprocess.Popen(up, stdout=subprocess.PIPE, text=True, **words)
        first = self.process.stdout.readline()
        must(first.strip(), "the server ended before it was ready")
        self.addresses = json.loads(first)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)

    def administer(self, *words, typed=None):
        done = subprocess.run([PROGRAM, *words, "--data", self.data, "--json"], input=typed, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"countersign {' '.join(words)}: {done.stderr or done.stdout}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def session(self):
        return session_with(self.addresses["ca"])

    def client(self, name, *registered):
        """A client with a secret of its own that gets tokens in its own name; its secret."""
        return self.administer("client", "add", name, "--secret", "--grant", "client_credentials", *registered)["client_secret"]

    def token(self, client, secret, scope, audience, holder=None):
        """A token of a client's own; bound to the key of `holder` (`dpop.Holder`), if there is one."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": audience}
        target = f"{self.addresses['identity']}/token"
        for _ in range(2):
            headers = {"DPoP": holder.proof("POST", target)} if holder else {}
            answer = self.session().post(target, auth=(client, secret), data=form, headers=headers, timeout=30)
            if holder:
                holder.learn(target, answer.headers)
            if answer.status_code == 200:
                return answer.json()["access_token"]
        raise RuntimeError(f"status {answer.status_code}: {answer.text}")


def serve(suite, files, body):
    """A server with this configuration for as long as `body` takes, which starts it itself if no files are given. Whatever goes wrong there is one failed check, so that the closing line comes all the same."""
    with tempfile.TemporaryDirectory(prefix=f"countersign-{suite}-") as home:
        fabric = Fabric(home)
        try:
            if files is not None:
                write(fabric.config, {"countersign.toml": ""} | files)
                fabric.start()
            body(fabric)
        except Exception as error:
            failed("set-up", f"{type(error).__name__}: {error}")
        finally:
            fabric.stop()


def session_with(roots):
    session = requests.Session()
    # An authority or a proxy named by the environment would win over what is set here.
    session.trust_env = False
    session.verify = roots
    return session


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port, who):
    """Returns once somebody listens there."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            must(time.monotonic() < until, f"{who} does not listen")
            time.sleep(0.05)
