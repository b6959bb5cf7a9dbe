"""SASL mechanisms beyond PLAIN, LOGIN and NTLM, client certificates, and verifiers that are made at a
login: met by gsasl, swaks, curl, openssl and Python's smtplib.

These cases share a service of their own, which offers everything."""

import atexit
import base64
import contextlib
import hashlib
import hmac
import json
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import tempfile
import threading

from harness import (
    PASSWORD, USER, Failure, Service, case, compare, delivered, expect, free_port, message, run,
    wait_for,
)

TO = "bob@example.net"
ALL = '["external", "scram-sha-256-plus", "scram-sha-1-plus", "scram-sha-256", "scram-sha-1", ' \
      '"ntlm", "cram-md5", "login", "plain"]'


class Mechanisms(Service):
    """Listeners: STARTTLS and clear text with all mechanisms; implicit TLS that asks for a client
    certificate; implicit TLS that demands one, and lets it relay."""

    def __init__(self, folder):
        super().__init__(folder)
        self.asked, self.required = free_port(), free_port()
        self.authority = client_certificate(self.folder, "strange", self.folder / "strange-ca")
        client_certificate(self.folder, "scanner", self.folder / "ca")
        client_certificate(self.folder, "alice", self.folder / "ca", f"email:{USER}")
        self.write()

    def write(self, more=""):
        """The configuration; `more` stands in [auth]."""
        self.config.write_text(
            f"""hostname = "mail.example.org"
state-dir = "{self.folder}/state"

[tls]
certificate = "{self.cert}"
key = "{self.key}"

[auth]
{more}

[[listener]]
address = "127.0.0.1:{self.starttls}"
tls = "starttls"
mechanisms = {ALL.replace('"external", ', '')}

[[listener]]
address = "127.0.0.1:{self.clear}"
tls = "none"
clear-text = true

[[listener]]
address = "127.0.0.1:{self.asked}"
tls = "implicit"
client-certificate = "asked"
client-authorities = "{self.ca}"

[[listener]]
address = "127.0.0.1:{self.required}"
tls = "implicit"
client-certificate = "required"
client-authorities = "{self.ca}"
relay-certificates = true

[[route]]
domains = ["example.net"]
deliver = "maildir:{self.mail}/{{domain}}/{{local}}"

[[route]]
domains = ["*"]
deliver = "discard"
"""
        )

    @property
    def users(self):
        """The users file."""
        return self.folder / "state" / "users.toml"


def client_certificate(folder, name, authority, san=None):
    """NAME.pem and NAME.key of a client, by an authority that is made where it is missing."""
    ca, ca_key = authority.with_suffix(".pem"), authority.with_suffix(".key")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    if not ca.exists():
        run(*new, "-x509", "-days", "30", "-subj", f"/CN={authority.name}", "-keyout", ca_key,
            "-out", ca, status=0)
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("extendedKeyUsage=clientAuth\n" + (f"subjectAltName={san}\n" if san else ""))
    run(*new, "-subj", f"/O=Example/CN={name}", "-keyout", folder / f"{name}.key", "-out", request,
        status=0)
    run("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
        "-days", "30", "-extfile", extensions, "-out", folder / f"{name}.pem", status=0)
    return ca


STACK = contextlib.ExitStack()
atexit.register(STACK.close)
RUNNING = []


def own():
    """The service of these cases, started at its first use."""
    if not RUNNING:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-mechanisms-"))
        STACK.callback(shutil.rmtree, folder, ignore_errors=True)
        running = Mechanisms(folder)
        running.command("user", "add", USER, "--password-stdin", input=f"{PASSWORD}\n".encode(), status=0)
        running.start()
        STACK.callback(lambda: running.child.poll() is None and running.stop())
        RUNNING.append(running)
    return RUNNING[0]


def context(running, certificate=None):
    """TLS that trusts the test authority alone, with a client certificate or without."""
    made = ssl.create_default_context(cafile=str(running.ca))
    if certificate:
        made.load_cert_chain(running.folder / f"{certificate}.pem", running.folder / f"{certificate}.key")
    return made


# --- gsasl -------------------------------------------------------------------------------------


def greeted(port):
    """A port that leads to `port`, with EHLO said already: gsasl says STARTTLS without it, which
    R5321-4.1.4-a answers with 503. All else passes as it is, TLS and its channel binding too."""
    door = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve():
        with door, contextlib.suppress(OSError):
            client, _ = door.accept()
            with client, socket.create_connection(("127.0.0.1", port), 20) as server:
                lines = server.makefile("rb")
                greeting = lines.readline()
                server.sendall(b"EHLO gsasl.example.org\r\n")
                while lines.readline()[3:4] == b"-":
                    pass
                client.sendall(greeting)
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(20)

    threading.Thread(target=serve, daemon=True).start()
    return door.getsockname()[1]


def gsasl(running, mechanism, *more, password=PASSWORD, port=None, user=USER, tls=True):
    """Authenticates with gsasl; what it printed, and its exit status."""
    door = greeted(port or running.starttls)
    secure = ["--starttls", f"--x509-ca-file={running.ca}"] if tls else ["--no-starttls"]
    return run("gsasl", "--smtp", "--verbose", f"--connect=localhost:{door}",
               *secure, f"--mechanism={mechanism}", f"--authentication-id={user}",
               f"--password={password}", *more, input=b"")


for name, mechanism, more in (
    ("R5802-5-c", "SCRAM-SHA-1", ("--no-cb",)),
    ("R5802-6-a", "SCRAM-SHA-1-PLUS", ()),
    ("R7677-3", "SCRAM-SHA-256", ("--no-cb",)),
    ("R9266-2", "SCRAM-SHA-256-PLUS", ()),
    ("R2195-2-a", "CRAM-MD5", ()),
    ("R4954-4-m", "PLAIN", ()),
    ("XLOGIN-2-a", "LOGIN", ()),
):

    @case(f"{name} gsasl {mechanism}")
    def gsasl_case(_, mechanism=mechanism, more=more):
        running = own()
        done = gsasl(running, mechanism, *more)
        expect(done.returncode == 0 and b"235 2.7.0" in done.stdout,
               (done.stdout + done.stderr).decode(errors="replace"))


@case("R5802-6-b gsasl: no -PLUS under TLS 1.2, and the mechanism without it works there")
def gsasl_1_2(_):
    running = own()
    only = "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2"
    done = gsasl(running, "SCRAM-SHA-256", "--no-cb", only)
    expect(done.returncode == 0 and b"235 2.7.0" in done.stdout, done.stdout.decode(errors="replace"))
    expect(b"SCRAM-SHA-256-PLUS" not in done.stdout, done.stdout.decode(errors="replace"))
    expect(gsasl(running, "SCRAM-SHA-256-PLUS", only).returncode != 0, "-PLUS under TLS 1.2")


@case("R4954-6-a gsasl: a wrong password is refused, 535 5.7.8, for users that exist and others")
def gsasl_refused(_):
    running = own()
    # Users of their own, so that alice is not slowed down.
    for mechanism in ("SCRAM-SHA-256", "CRAM-MD5"):
        done = gsasl(running, mechanism, "--no-cb", user="nobody@example.org")
        expect(done.returncode != 0 and b"535 5.7.8" in done.stdout, done.stdout.decode(errors="replace"))
    done = gsasl(running, "SCRAM-SHA-1", "--no-cb", password="wrong")
    expect(done.returncode != 0 and b"535 5.7.8" in done.stdout, done.stdout.decode(errors="replace"))


@case("R4954-4-c a client that does not take the server's signature is nobody, and may go on")
def scram_cancelled(_):
    running = own()
    with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
        client.ehlo("client.example.org")
        first = f"n={USER},r=abcdefghijkl"
        code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(b"n,," + first.encode()).decode())
        expect(code == 334, f"{code} {text}")
        server = base64.b64decode(text).decode()
        nonce, salt, rounds = (part[2:] for part in server.split(","))
        key = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(rounds))
        client_key = hmac.digest(key, b"Client Key", "sha256")
        bare = f"c=biws,r={nonce}"
        signature = hmac.digest(hashlib.sha256(client_key).digest(),
                                f"{first},{server},{bare}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        code, text = client.docmd(base64.b64encode(f"{bare},p={proof}".encode()).decode())
        expect(code == 334 and base64.b64decode(text).startswith(b"v="), f"{code} {text}")
        code, text = client.docmd("*")
        expect(code == 501, f"{code} {text}")
        code, text = client.docmd("MAIL", f"FROM:<{USER}>")
        expect(code == 530, f"{code} {text}")
        # STARTTLS is for who is not authenticated.
        client.starttls(context=context(running))
        client.ehlo("client.example.org")
        client.login(USER, PASSWORD)
        expect(client.mail(USER)[0] == 250, "no mail after a login")


# --- CRAM-MD5 ----------------------------------------------------------------------------------


@case("R2195-2-a swaks CRAM-MD5")
def swaks_cram(_):
    running = own()
    sent, identifier = message()
    file = running.folder / "message"
    file.write_bytes(sent)
    run("swaks", "--server", "127.0.0.1", "--port", running.starttls, "--tls", "--ehlo",
        "client.example.org", "--auth", "CRAM-MD5", "--auth-user", USER, "--auth-password", PASSWORD,
        "--from", USER, "--to", TO, "--data", f"@{file}", status=0)
    octets = delivered(running, TO, identifier.encode())
    compare(octets, sent if octets.endswith(sent) else sent + b"\r\n", b"ESMTPSA")


@case("R2195-2-a smtplib CRAM-MD5, without TLS too")
def smtplib_cram(_):
    running = own()
    for tls in (True, False):
        sent, identifier = message()
        with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
            if tls:
                client.starttls(context=context(running))
            client.ehlo("client.example.org")
            client.user, client.password = USER, PASSWORD
            code, text = client.auth("CRAM-MD5", client.auth_cram_md5, initial_response_ok=False)
            expect(code == 235 and text.startswith(b"2.7.0 "), f"{code} {text}")
            client.sendmail(USER, [TO], sent)
        compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA" if tls else b"ESMTPA")


@case("R2195-2-b CRAM-MD5 is offered only where some user has the HMAC-MD5 states")
def cram_offered(_):
    running = own()

    def offered():
        with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
            client.ehlo()
            return client.esmtp_features["auth"].split()

    expect("CRAM-MD5" in offered(), f"AUTH {offered()}")
    before = running.users.read_text()
    running.users.write_text(re.sub(r"cram-md5 = .*\n", "", before))
    try:
        wait_for(lambda: "CRAM-MD5" not in offered(), "an EHLO without CRAM-MD5")
    finally:
        running.users.write_text(before)
    wait_for(lambda: "CRAM-MD5" in offered(), "an EHLO with CRAM-MD5")


# --- verifiers that are missing ----------------------------------------------------------------


@case("R4954-6-d who lacks a verifier gets it at a login with PLAIN; 432 where it is switched on")
def completion(_):
    running = own()
    name, password = "old@example.org", "an 0ld one"
    running.command("user", "add", name, "--password-stdin", input=f"{password}\n".encode(), status=0)

    def record():
        lines = running.command("user", "list", "--json", status=0).stdout.splitlines()
        return next(user for user in map(json.loads, lines) if user["name"] == name)

    text = running.users.read_text()
    head, own_part = text.rsplit("[[user]]", 1)
    running.users.write_text(head + "[[user]]" + re.sub(r"(scram-sha-\d+|cram-md5|nt) = .*\n", "", own_part))
    lacks = ["ntlm", "cram-md5", "scram-sha-1", "scram-sha-256"]
    expect(record()["lacks"] == lacks, f"{record()}")
    found = running.command("check", "--json", status=0).stdout.decode()
    for mechanism in ("NTLM", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
        expect(f"{mechanism} is offered, but there" in found and name in found, found)
    running.stop()
    running.write("transition = true")
    running.start()
    done = gsasl(running, "SCRAM-SHA-256", "--no-cb", user=name, password=password)
    expect(b"432 4.7.12" in done.stdout, done.stdout.decode(errors="replace"))
    with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
        client.starttls(context=context(running))
        client.ehlo()
        client.user, client.password = name, password
        client.auth("PLAIN", client.auth_plain)
    wait_for(lambda: record()["lacks"] == [], "the verifiers")
    expect(password not in running.users.read_text(), "the password is in the users file")
    expect(running.users.stat().st_mode & 0o777 == 0o600, "the users file is not private")
    running.stop()
    running.write()
    running.start()
    for mechanism in ("SCRAM-SHA-256", "CRAM-MD5"):
        done = gsasl(running, mechanism, "--no-cb", user=name, password=password)
        expect(b"235 2.7.0" in done.stdout, done.stdout.decode(errors="replace"))
    log = running.log.read_text(errors="replace")
    expect(log.count("verifiers were made") == 1, "not logged once")
    expect(password not in log, "the password is in the log")


# --- client certificates -----------------------------------------------------------------------


def external(running, certificate, authorization="", port=None):
    """AUTH EXTERNAL; the client and the reply."""
    client = smtplib.SMTP_SSL("localhost", port or running.asked, timeout=20,
                              context=context(running, certificate))
    client.ehlo("client.example.org")
    encoded = base64.b64encode(authorization.encode()).decode() or "="
    return client, client.docmd("AUTH", f"EXTERNAL {encoded}")


@case("R4422-A smtplib EXTERNAL: the certificate's own mailbox, and nobody else")
def external_mailbox(_):
    running = own()
    for authorization, expected in (("", 235), (USER.upper(), 235), ("old@example.org", 535)):
        client, (code, text) = external(running, "alice", authorization)
        with client:
            expect(code == expected, f"as {authorization!r}: {code} {text}")
            if not authorization:
                sent, identifier = message()
                client.sendmail(USER, [TO], sent)
                compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA")
                # It is alice, with her sender rights.
                code, text = client.docmd("MAIL", "FROM:<mallory@example.org>")
                expect(code == 550, f"another's reverse-path: {code} {text}")


@case("R4422-A EXTERNAL needs a certificate, and one that a user has")
def external_refused(_):
    running = own()
    with smtplib.SMTP_SSL("localhost", running.asked, context=context(running), timeout=20) as client:
        client.ehlo()
        expect("EXTERNAL" not in client.esmtp_features["auth"].split(), client.esmtp_features["auth"])
        code, _ = client.docmd("AUTH", "EXTERNAL =")
        expect(code in (504, 538), f"AUTH EXTERNAL without a certificate: {code}")
        # The others work as ever.
        client.login(USER, PASSWORD)
    client, (code, text) = external(running, "scanner")
    with client:
        expect(code == 535, f"a certificate of nobody: {code} {text}")
        expect("EXTERNAL" in client.esmtp_features["auth"].split(), client.esmtp_features["auth"])
    try:
        client, _ = external(running, "strange")
    except (OSError, smtplib.SMTPException):
        pass
    else:
        client.close()
        raise Failure("a certificate of a strange authority was taken")


@case("R4422-A EXTERNAL by fingerprint and by subject, as openssl prints them; curl")
def external_listed(_):
    running = own()

    def printed(*options):
        done = run("openssl", "x509", "-in", running.folder / "scanner.pem", "-noout", *options, status=0)
        return done.stdout.decode().strip().split("=", 1)[1].strip()

    before = running.users.read_text()
    for entry in (
        "sha256:" + printed("-fingerprint", "-sha256"),
        "subject:" + printed("-subject", "-nameopt", "RFC2253"),
    ):
        user = f'\n[[user]]\nname = "scan@example.org"\ncertificates = ["{entry}"]\n'
        running.users.write_text(before + user)

        def granted():
            client, (code, _) = external(running, "scanner")
            client.close()
            return code == 235

        wait_for(granted, f"a grant by {entry}")
    sent, identifier = message()
    file = running.folder / "message"
    file.write_bytes(sent)
    run("curl", "--silent", "--show-error", "-4", "--noproxy", "*", "--max-time", "30", "--cacert",
        running.ca, "--cert", running.folder / "scanner.pem", "--key", running.folder / "scanner.key",
        f"smtps://localhost:{running.asked}/client.example.org", "--login-options", "AUTH=EXTERNAL",
        "--user", "scan@example.org:", "--mail-from", "scan@example.org", "--mail-rcpt", TO,
        "--upload-file", file, status=0)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA", reverse_path="scan@example.org")
    running.users.write_text(before)


@case("R3207-4.1-a where a certificate is demanded, who has none gets 554 to all but QUIT")
def demanded(_):
    running = own()
    with smtplib.SMTP_SSL("localhost", running.required, context=context(running), timeout=20) as client:
        code, text = client.docmd("EHLO client.example.org")
        expect(code == 554, f"EHLO: {code} {text}")
        for command in ("NOOP", "MAIL FROM:<alice@example.org>", "AUTH PLAIN"):
            code, text = client.docmd(command)
            expect(code == 554 and text.startswith(b"5.7.0"), f"{command}: {code} {text}")
        code, _ = client.docmd("QUIT")
        expect(code == 221, f"QUIT: {code}")


@case("R6409-3.3 a verified certificate relays without AUTH where relay-certificates says so")
def relays(_):
    running = own()
    with smtplib.SMTP_SSL("localhost", running.required, timeout=20,
                          context=context(running, "scanner")) as client:
        client.ehlo("client.example.org")
        client.sendmail("anybody@example.org", ["carol@elsewhere.example"], message()[0])
    with smtplib.SMTP_SSL("localhost", running.asked, timeout=20,
                          context=context(running, "scanner")) as client:
        client.ehlo("client.example.org")
        code, _ = client.docmd("MAIL", "FROM:<anybody@example.org>")
        expect(code == 530, f"MAIL without AUTH: {code}")


@case("R8314-4.1 TLS 1.1 is refused; R8314-4.3 the cipher suite is in Received")
def versions(_):
    running = own()
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{running.asked}", "-tls1_1", "-cipher",
               "ALL:@SECLEVEL=0", input=b"QUIT\r\n")
    expect(done.returncode != 0 and b"220 " not in done.stdout, done.stdout.decode(errors="replace"))
    for version, suite in ((ssl.TLSVersion.TLSv1_2, rb"TLS_ECDHE_\w+"), (ssl.TLSVersion.TLSv1_3, rb"TLS_\w+_SHA\d+")):
        tls = context(running)
        tls.minimum_version = tls.maximum_version = version
        sent, identifier = message()
        with smtplib.SMTP_SSL("localhost", running.asked, context=tls, timeout=20) as client:
            client.login(USER, PASSWORD)
            client.sendmail(USER, [TO], sent)
        octets = delivered(running, TO, identifier.encode())
        expect(re.search(rb" tls " + suite + rb";", octets), f"{octets[:400]!r}")
