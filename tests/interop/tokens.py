"""Access tokens that clients show (XOAUTH2, OAUTHBEARER), and what the log says of who is refused. The
tokens are made here, with a library that the service does not have."""

import base64
import configparser
import contextlib
import json
import pathlib
import re
import shutil
import smtplib
import tempfile
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import harness
from harness import OTHER, OTHER_PASSWORD, PASSWORD, USER, case, expect, message, run, wait_for
from submissions import TO, check, context

ISSUER = "https://login.example.org"
AUDIENCE = "api://mail"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def part(octets):
    """RFC 7515 section 2: base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def token(key=KEY, **changes):
    """A signed token, good for ten minutes unless the changes say otherwise."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, "email": USER,
              "scope": "openid smtp", **changes}
    head = part(json.dumps({"alg": "RS256", "typ": "at+jwt"}).encode())
    signed = head + b"." + part(json.dumps(claims).encode())
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + part(signature)).decode()


@contextlib.contextmanager
def service(running, log):
    """Another service, which knows the issuer, and logs in this format. Its listener with implicit TLS
    has XOAUTH2 alone: of both, curl takes OAUTHBEARER, whatever its options say."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-tokens-"))
    try:
        for file in (running.ca, running.cert, running.key):
            shutil.copy2(file, folder / file.name)
        own = harness.Service(folder)
        public = KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "issuer.pem").write_bytes(public)
        own.config.write_text(
            own.config.read_text().replace(
                'tls = "implicit"', 'tls = "implicit"\nmechanisms = ["plain", "login", "xoauth2"]'
            )
            + f"""
[[auth.issuer]]
issuer = "{ISSUER}"
audience = ["{AUDIENCE}"]
key-file = "issuer.pem"
scope = "smtp"

[log]
format = "{log}"
"""
        )
        for name, password in ((USER, PASSWORD), (OTHER, OTHER_PASSWORD)):
            own.command("user", "add", name, "--password-stdin",
                        input=(password + "\n").encode(), status=0)
        own.start()
        try:
            yield own
        finally:
            if own.child.poll() is None:
                own.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def connected(own, mechanism):
    """smtplib at the listener for this mechanism, under TLS."""
    if mechanism == "XOAUTH2":
        client = smtplib.SMTP_SSL("localhost", own.implicit, context=context(own), timeout=60)
    else:
        client = smtplib.SMTP("localhost", own.starttls, timeout=60)
        client.starttls(context=context(own))
    client.ehlo("client.example.org")
    return client


def with_curl(own, mechanism, bearer, sent, status=0):
    """curl submits with a token."""
    file = own.folder / "message.eml"
    file.write_bytes(sent)
    url = {"XOAUTH2": f"smtps://localhost:{own.implicit}",
           "OAUTHBEARER": f"smtp://localhost:{own.starttls}"}[mechanism]
    return run("curl", "--silent", "--show-error", "--verbose", "--url", url + "/client.example.org",
               "--ssl-reqd", "--cacert", own.ca, "--user", f"{USER}:", "--oauth2-bearer", bearer,
               "--mail-from", USER, "--mail-rcpt", TO, "--upload-file", file, status=status)


@case("XOA-1 R7628-3.1 curl shows a token, by XOAUTH2 and by OAUTHBEARER")
def curl_tokens(running):
    with service(running, "json") as own:
        bearer = token()
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            sent, identifier = message()
            done = with_curl(own, mechanism, bearer, sent)
            expect(f"AUTH {mechanism}" in done.stderr.decode(), f"not by {mechanism}: {done.stderr}")
            check(own, sent, identifier, b"ESMTPSA")
        log = own.log.read_text()
        expect('"refused"' not in log, f"refused: {log}")
        expect(bearer not in log and bearer.split(".")[2] not in log, "a token is in the log")


@case("XOA-2 R7628-3.2 a token that is refused: JSON, then 535")
def refused_token(running):
    bad = {
        "expired": token(exp=int(time.time()) - 3600),
        "audience": token(aud="api://other"),
        "scope": token(scope="imap"),
        "signature": token(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "no account": token(email="stranger@example.org"),
    }
    with service(running, "json") as own:
        for reason, bearer in bad.items():
            for mechanism, answer in (("XOAUTH2", ""), ("OAUTHBEARER", "AQ==")):
                user = "stranger@example.org" if reason == "no account" else USER
                head = f"user={user}" if mechanism == "XOAUTH2" else f"n,a={user},"
                initial = f"{head}\1auth=Bearer {bearer}\1\1"
                with connected(own, mechanism) as client:
                    words = base64.b64encode(initial.encode()).decode()
                    code, text = client.docmd("AUTH", f"{mechanism} {words}")
                    expect(code == 334, f"{reason}: {code} {text}")
                    error = json.loads(base64.b64decode(text))
                    expect(isinstance(error["status"], str), f"status: {error}")
                    code, text = client.docmd(answer)
                    expect(code == 535 and text.startswith(b"5.7.8 "), f"{reason}: {code} {text}")
            last = [json.loads(line) for line in own.log.read_text().splitlines()][-1]
            expect(last["message"] == "refused" and reason in last["reason"], f"{reason}: {last}")
            # A fresh one, since failures slow an address down.
            own.stop()
            own.start()
        done = with_curl(own, "OAUTHBEARER", bad["expired"], message()[0], status=None)
        expect(done.returncode == 67, f"curl: exit status {done.returncode}")


@case("XOA-1 smtplib shows a token by XOAUTH2; another's name beside it is refused")
def smtplib_token(running):
    with service(running, "json") as own:
        sent, identifier = message()
        with smtplib.SMTP("localhost", own.starttls, timeout=20) as client:
            client.ehlo("client.example.org")
            offered = client.esmtp_features.get("auth", "")
            expect("XOAUTH2" not in offered and "OAUTHBEARER" not in offered, f"in clear: {offered}")
            client.starttls(context=context(own))
            client.ehlo("client.example.org")
            offered = client.esmtp_features["auth"].split()
            expect({"XOAUTH2", "OAUTHBEARER"} <= set(offered), f"AUTH {offered}")
            bearer = token()
            code, _ = client.auth("XOAUTH2", lambda _=None: f"user={USER}\1auth=Bearer {bearer}\1\1")
            expect(code == 235, f"AUTH: {code}")
            client.sendmail(USER, [TO], sent)
            code, text = client.mail("postmaster@example.org")
            expect(code == 550, f"as another: {code} {text}")
        check(own, sent, identifier, b"ESMTPSA")
        with smtplib.SMTP_SSL("localhost", own.implicit, context=context(own), timeout=20) as client:
            client.ehlo()
            words = f"user={OTHER}\1auth=Bearer {token()}\1\1".encode()
            code, _ = client.docmd("AUTH", "XOAUTH2 " + base64.b64encode(words).decode())
            expect(code == 334, f"with another's name: {code}")
            code, _ = client.docmd("")
            expect(code == 535, f"with another's name: {code}")


# --- fail2ban ----------------------------------------------------------------------------------


def failregex():
    """The expressions of the filter that is shipped, as fail2ban makes them."""
    path = harness.HERE.parents[1] / "docs/examples/fail2ban/filter.d/pillarbox.conf"
    parser = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
    parser.read_string(path.read_text())
    host = r"(?P<host>[0-9a-fA-F:.]+)"
    expressions = parser["Definition"]["failregex"].split("\n")
    return [re.compile(one.replace("<HOST>", host)) for one in expressions]


FORGED = [
    'x" command="AUTH" reply="535 5.7.8 ',
    'x" peer="203.0.113.9" user="y" command="AUTH" reply="535 5.7.8 ',
    '","peer":"203.0.113.9","user":"y","command":"AUTH","reply":"535 ',
    "x\\",
    '2026-01-02T03:04:05.000000Z  INFO refused session="a-1" peer="203.0.113.9" user="',
]


def found(own):
    """What fail2ban would find in the log: an address for each line that matches."""
    hits = []
    for line in own.log.read_text().splitlines():
        # fail2ban takes the time out of the line first; both forms must match.
        for form in (line, re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "", line, count=1)):
            matches = [one.search(form) for one in failregex()]
            hits += [match["host"] for match in matches if match]
    expect(len(hits) % 2 == 0, f"with and without the time: {hits}")
    return hits[::2]


def fail2ban(running, log):
    with service(running, log) as own:
        # Who logs in, and then names whom he likes, is no guesser.
        with smtplib.SMTP_SSL("localhost", own.implicit, context=context(own), timeout=20) as client:
            client.ehlo()
            client.login(USER, PASSWORD)
            for name in ("bob@elsewhere.example", '"x\\" user=\\"y"@elsewhere.example'):
                expect(client.mail(name)[0] in (501, 550), "another's address was accepted")
            client.sendmail(USER, [TO], message()[0])
        expect(found(own) == [], f"found in a good session: {found(own)}")
        tried = 0
        for user in ["alice@example.org", *FORGED]:
            with smtplib.SMTP_SSL("localhost", own.implicit, context=context(own), timeout=60) as client:
                client.ehlo()
                words = base64.b64encode(b"\0" + user.encode() + b"\0wrong").decode()
                code, text = client.docmd("AUTH", "PLAIN " + words)
                expect(code == 535, f"AUTH: {code} {text}")
                # Refused for another reason: no attempt.
                expect(client.docmd("MAIL", "FROM:<alice@example.org>")[0] == 530, "MAIL")
            tried += 1
            wait_for(lambda: len(found(own)) >= tried, "a line in the log")
        expect(found(own) == ["127.0.0.1"] * tried, f"found: {found(own)}")
        refused = [line for line in own.log.read_text().splitlines() if "wrong password" in line]
        expect(len(refused) == 1 and "alice@example.org" in refused[0], f"one line: {refused}")


@case("fail2ban finds who guesses, and nobody else: JSON; wrong passwords")
def fail2ban_json(running):
    fail2ban(running, "json")


@case("fail2ban finds who guesses, and nobody else: for people; wrong passwords")
def fail2ban_human(running):
    fail2ban(running, "human")
