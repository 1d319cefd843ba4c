"""Runs states that get tokens of a real provider, and of stepfn itself, and looks what became of them."""

import base64
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import jwt

program, modules = sys.argv[1:]
SHELL = "arn:aws:states:::debian:shell.run"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def await_url(url):
    for _ in range(200):
        with contextlib.suppress(OSError):
            return get(url)
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def task(script, **more):
    return {"Type": "Task", "Resource": SHELL, "Parameters": {"Script": script}, "End": True, **more}


class Place:
    def __init__(self, path, provider, issuer):
        self.path, self.provider, self.issuer = path, provider, issuer

    def configure(self, *grants):
        text = f"""
[tokens.issuer]
url = "{self.issuer}"
directory = "keys"
[tokens.provider.registry]
issuer = "{self.provider}"
client_id = "stepfn"
client_secret_file = "client-secret"
"""
        for grant in grants:
            text += "[[grant]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in grant.items())
        (self.path / "stepfn.toml").write_text(text)

    def run(self, states, expected=0):
        machine = {"StartAt": next(iter(states)), "States": states}
        (self.path / "deploy.asl.json").write_text(json.dumps(machine))
        done = subprocess.run(
            [program, "run", "deploy.asl.json", "--history", "history.json"],
            cwd=self.path, capture_output=True, text=True, timeout=120,
        )
        assert done.returncode == expected, done
        return done

    def counts(self):
        return get(self.provider + "/counts")

    def absent(self, *values):
        """None of the values is in a file, but in the one where the task itself put it."""
        for file in self.path.rglob("*"):
            if file.is_file() and not file.name.startswith("seen") and file.name != "client-secret":
                text = file.read_bytes()
                for value in values:
                    assert value.encode() not in text, (file, value)


def main():
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        path = pathlib.Path(directory)
        # All that RFC 6749 lets a secret hold and a header must not.
        secret = "canary secret & =%+:"
        (path / "client-secret").write_text(secret + "\n")
        (path / "client-secret").chmod(0o600)
        issuer = f"http://127.0.0.1:{free_port()}"
        server = subprocess.Popen(
            ["node", "grants.mjs", issuer, path / "client-secret"], cwd=modules, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(server.kill)
        place = Place(path, server.stdout.readline().strip(), issuer)
        place.configure()
        serve = subprocess.Popen(
            [program, "serve", "--ephemeral", "--listen", issuer.removeprefix("http://"), "--log-level", "off"],
            cwd=path, stderr=subprocess.DEVNULL,
        )
        stack.callback(serve.kill)
        document = await_url(issuer + "/.well-known/openid-configuration")
        assert document["issuer"] == issuer, document

        seen = path / "seen"
        keep = f"cat $CREDENTIALS_DIRECTORY/token > {seen}"

        # client_credentials: a fresh token for each attempt, none for a state that is not reached, given back at the end.
        grant = {
            "machine": "deploy*", "state": "Push", "provider": "registry", "flow": "client_credentials",
            "audience": "https://registry.example.com", "scope": "push",
        }
        place.configure(grant)
        place.run({"Build": task("true")})
        assert place.counts()["token"] == 0, place.counts()
        script = f"cat $CREDENTIALS_DIRECTORY/token >> {seen}; echo >> {seen}; test $(wc -l < {seen}) = 2"
        retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
        place.run({"Push": task(script, Retry=retry)})
        tokens = seen.read_text().split()
        assert len(set(tokens)) == 2, tokens
        counts = place.counts()
        assert (counts["token"], counts["revocation"]) == (2, 2), counts
        place.absent(*tokens, secret)
        basic = base64.b64encode(b"stepfn:" + urllib.request.quote(secret, safe="").encode()).decode()
        for token in tokens:
            request = urllib.request.Request(
                place.provider + "/token/introspection", data=f"token={token}".encode(),
                headers={"authorization": "Basic " + basic},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer) == {"active": False}

        # Token exchange: whoever started it is the subject, the state is the actor.
        place.configure({"state": "Push", "provider": "registry", "flow": "token_exchange", "scope": "push"})
        place.run({"Push": task(keep)})
        exchanged = place.counts()["exchanged"][-1]
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        assert exchanged["started_by"] == user and exchanged["sub"].endswith(f":user:{user}"), exchanged
        assert exchanged["act"].endswith(":machine:deploy:state:Push"), exchanged
        place.absent(seen.read_text())

        # stepfn's own token, verified by the keys that the server publishes, and by those that were exported.
        place.configure({"state": "Push", "flow": "issue", "audience": "aws", "ttl": "2m"})
        place.run({"Push": task(keep)})
        token = seen.read_text()
        place.absent(token)
        key = jwt.PyJWKClient(document["jwks_uri"]).get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key.key, algorithms=["ES256"], audience="aws", issuer=issuer)
        assert claims["exp"] - claims["iat"] == 120 and claims["started_by"] == user, claims
        assert claims["sub"].endswith(":machine:deploy:state:Push"), claims
        machine_id = pathlib.Path("/etc/machine-id")
        if machine_id.exists() and machine_id.read_text().strip():
            assert machine_id.read_text().strip() not in json.dumps(claims)
        subprocess.run([program, "issuer", "rotate"], cwd=path, check=True, capture_output=True)
        subprocess.run([program, "issuer", "export", "--url", issuer, "site"], cwd=path, check=True, capture_output=True)
        exported = json.loads((path / "site/.well-known/jwks.json").read_text())
        assert len(exported["keys"]) == 2 and all("d" not in key for key in exported["keys"]), exported
        assert exported == get(document["jwks_uri"])
        keys = jwt.PyJWKSet.from_dict(exported)
        header = jwt.get_unverified_header(token)
        jwt.decode(token, keys[header["kid"]].key, algorithms=["ES256"], audience="aws", issuer=issuer)
        for audience, wrong in [("gcp", jwt.InvalidAudienceError), ("aws", None)]:
            with contextlib.ExitStack() as caught:
                if wrong:
                    caught.enter_context(contextlib.suppress(wrong))
                jwt.decode(token, keys[header["kid"]].key, algorithms=["ES256"], audience=audience)
                assert wrong is None, "a token for somebody else was taken"

        # A wrong secret and a provider that is gone: the task fails, and says nothing that is secret.
        (path / "client-secret").write_text("canary-wrong")
        place.configure(grant)
        done = place.run({"Push": task(keep)}, expected=1)
        assert "Debian.TokenUnavailable" in done.stderr and "invalid_client" in done.stderr, done
        assert "canary" not in done.stderr
        server.kill()
        server.wait()
        done = place.run({"Push": task(keep)}, expected=1)
        assert "Debian.TokenUnavailable" in done.stderr, done
    print("tokens: client_credentials, token exchange, issued tokens, revocation and failures are as they should be")


main()
