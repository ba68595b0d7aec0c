"""A PostgreSQL that scripts look into with `psql`: statements, and whether somebody signs in."""

import os
import subprocess
from urllib.parse import urlsplit

from fabric import must


class Database:
    def __init__(self, url):
        self.url, self.parts = url, urlsplit(url)
        self.program = os.environ.get("PSQL_BIN", "psql")

    def url_for(self, user, password):
        """The address for somebody else; nothing in it is escaped, so that it may be a template."""
        host = f"{self.parts.hostname}:{self.parts.port}"
        return f"postgresql://{user}:{password}@{host}{self.parts.path}"

    def run(self, statement):
        done = subprocess.run([self.program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", statement], capture_output=True, text=True, timeout=30, check=False)
        must(done.returncode == 0, done.stderr)
        return done.stdout.strip()

    def has_role(self, name):
        return self.run(f"SELECT count(*) FROM pg_roles WHERE rolname = '{name}'") == "1"

    def signs_in(self, user, password):
        done = subprocess.run(
            [self.program, "-X", "-q", "-A", "-t", "-d", self.url_for(user, password), "-c", "SELECT 1"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode == 0
