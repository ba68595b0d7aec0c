"""The exercise's portal: pushes its request (RFC 9126) with a key of its own, signs a person in through the pages, and redeems the code."""

import html
import re
import secrets
import time
import uuid
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from dpop import Key, sha256
from fabric import must

CALLBACK = "https://portal.demo.example/callback"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Portal:
    def __init__(self):
        self.key = Key()

    def jwks(self):
        return {"keys": [self.key.jwk | {"kid": "portal-1", "alg": "ES256", "use": "sig"}]}

    def sign_in(self, session, metadata, holder, person, password, scope):
        """A token for `person`, bound to the key of `holder`."""
        verifier = secrets.token_urlsafe(32)
        request = {
            "response_type": "code",
            "client_id": "portal",
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": secrets.token_urlsafe(16),
            "code_challenge": sha256(verifier.encode()),
            "code_challenge_method": "S256",
            "dpop_jkt": holder.thumbprint(),
        }
        pushed = self.post(session, metadata, holder, metadata["pushed_authorization_request_endpoint"], request, 201)
        start = f"{metadata['authorization_endpoint']}?{urlencode({'client_id': 'portal', 'request_uri': pushed['request_uri']})}"
        came = parse_qs(urlsplit(through_the_pages(session, start, person, password)).query)
        must(came.get("state") == [request["state"]] and came.get("iss") == [metadata["issuer"]], f"came back with {sorted(came)}")
        form = {"grant_type": "authorization_code", "code": came["code"][0], "redirect_uri": CALLBACK, "code_verifier": verifier}
        return self.post(session, metadata, holder, metadata["token_endpoint"], form, 200)["access_token"]

    def post(self, session, metadata, holder, target, form, status):
        for _ in range(2):
            now = int(time.time())
            claims = {"iss": "portal", "sub": "portal", "aud": metadata["issuer"], "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
            signed = form | {"client_assertion_type": ASSERTION, "client_assertion": self.key.sign({"typ": "client-authentication+jwt", "kid": "portal-1"}, claims)}
            answer = session.post(target, data=signed, headers={"DPoP": holder.proof("POST", target)}, timeout=30)
            holder.learn(target, answer.headers)
            if answer.status_code == status:
                return answer.json()
        raise RuntimeError(f"{target}: status {answer.status_code}: {answer.text}")


def attributes(tag):
    return {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def through_the_pages(session, target, person, password):
    """As a browser without script goes; where it is sent in the end."""
    answer = session.get(target, allow_redirects=False, timeout=30)
    for _ in range(8):
        if "Location" in answer.headers:
            target = urljoin(answer.url, answer.headers["Location"])
            if target.startswith(CALLBACK):
                return target
            answer = session.get(target, allow_redirects=False, timeout=30)
            continue
        form = re.search(r"<form[^>]*>.*?</form>", answer.text, re.S)
        must(form is not None and answer.status_code == 200, f"the pages end with {answer.status_code} at {urlsplit(answer.url).path}")
        inputs = [attributes(tag) for tag in re.findall(r"<input[^>]*>", form.group())]
        fields = {one["name"]: one.get("value", "") for one in inputs if one.get("type") == "hidden"}
        if any(one.get("name") == "password" for one in inputs):
            fields |= {"username": person, "password": password}
        else:
            fields["answer"] = "allow"
        action = attributes(re.match(r"<form[^>]*>", form.group()).group())["action"]
        answer = session.post(urljoin(answer.url, action), data=fields, allow_redirects=False, timeout=30)
    raise RuntimeError("the pages have no end")
