"""The client role: `pillarbox send` against aiosmtpd, Postfix with Cyrus SASL, and our own
service."""

import base64
import os
import pathlib
import shutil
import tempfile

import acceptor
import postfix
from harness import (
    PASSWORD, USER, binary, case, certificates, compare, delivered, expect, message, run,
)

TO = "bob@example.net"
SECRETS = [
    PASSWORD.encode(),
    base64.b64encode(PASSWORD.encode()),
    base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()),
    base64.b64encode(f"\0{acceptor.USER}\0{PASSWORD}".encode()),
]


def send(running, port, tls, mechanism, sent, *more, user=USER, to=(TO,), status=0, ca=None,
         password_file=None):
    """`pillarbox send --trace`; its result. The trace must not show the secret."""
    recipients = [word for mailbox in to for word in ("--to", mailbox)]
    login = []
    if mechanism:
        login = ["--auth", mechanism, "--user", user, "--password-file",
                 password_file or running.password_file]
    done = run(binary(), "send", "--server", f"localhost:{port}", "--tls", tls, *login, "--from",
               USER, *recipients, "--trace", *more, input=sent,
               env={"SSL_CERT_FILE": str(ca or running.ca)}, status=status)
    for secret in SECRETS:
        expect(secret not in done.stdout + done.stderr, f"the trace shows a secret: {secret}")
    if mechanism:
        said = done.stdout + done.stderr
        expect(f"AUTH {mechanism.upper()}".encode() in said, f"no trace: {said!r}")
        expect(b"***" in said, f"nothing is hidden in the trace: {said!r}")
    return done


# --- our own service ---------------------------------------------------------------------------


for mechanism in ("plain", "login", "ntlm"):
    for tls in ("starttls", "implicit"):

        @case(f"send to our own service, {mechanism}, {tls}")
        def own(running, mechanism=mechanism, tls=tls):
            sent, identifier = message()
            port = running.starttls if tls == "starttls" else running.implicit
            send(running, port, tls, mechanism, sent)
            compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA")


@case("send to our own service: NTLM without TLS; no AUTH at the relay listener; a file")
def own_in_clear(running):
    sent, identifier = message()
    send(running, running.clear, "off", "ntlm", sent)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPA")
    sent, identifier = message()
    send(running, running.relay, "off", None, sent)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTP")
    sent, identifier = message()
    file = running.folder / "message"
    file.write_bytes(sent)
    send(running, running.relay, "off", None, None, file)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTP")


@case("send: --tls-ca, and a system that trusts nobody else")
def own_authority(running):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-other-"))
    try:
        other, _, _ = certificates(folder)
        sent, identifier = message()
        send(running, running.implicit, "implicit", "plain", sent, "--tls-ca", running.ca, ca=other)
        compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@case("send: PLAIN never without TLS")
def own_plain_in_clear(running):
    done = send_quietly(running, running.clear, "off", "plain")
    expect(done.returncode == 1, f"exit status {done.returncode}")
    expect(b"C: EHLO" in done.stderr, f"no trace: {done.stderr!r}")
    expect(b"C: AUTH" not in done.stderr, f"{done.stderr!r}")


@case("send: an unverified certificate is refused before AUTH")
def own_unverified(running):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-other-"))
    try:
        other, _, _ = certificates(folder)
        done = send_quietly(running, running.implicit, "implicit", "plain", ca=other)
        expect(done.returncode == 1, f"exit status {done.returncode}")
        expect(done.stderr, "no word about the certificate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def send_quietly(running, port, tls, mechanism, ca=None):
    """`pillarbox send` that is to fail; its result."""
    done = run(binary(), "send", "--server", f"localhost:{port}", "--tls", tls, "--auth",
               mechanism, "--user", USER, "--password-file", running.password_file, "--from", USER,
               "--to", TO, "--trace", input=message()[0],
               env={"SSL_CERT_FILE": str(ca or running.ca)})
    for secret in SECRETS:
        expect(secret not in done.stdout + done.stderr, f"the trace shows a secret: {secret}")
    return done


@case("send: wrong usage is exit status 2")
def own_usage(running):
    done = run(binary(), "send", "--server", f"localhost:{running.relay}")
    expect(done.returncode == 2, f"exit status {done.returncode}")


@case("send: a refused recipient is told, and the exit status is 1")
def own_refused(running):
    sent, identifier = message()
    done = send(running, running.implicit, "implicit", "plain", sent,
                to=(TO, "bob@elsewhere.example"), status=1)
    expect(b"bob@elsewhere.example" in done.stderr, f"{done.stderr!r}")
    expect(b"550 5.7.1" in done.stderr, f"{done.stderr!r}")
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA")


# --- aiosmtpd ----------------------------------------------------------------------------------


for mechanism in ("plain", "login", "ntlm"):
    for tls in ("starttls", "implicit"):

        @case(f"send to aiosmtpd, {mechanism}, {tls}")
        def aiosmtpd_case(running, mechanism=mechanism, tls=tls):
            sent, _ = message()
            user = f"{acceptor.DOMAIN}\\{acceptor.USER}" if mechanism == "ntlm" else acceptor.USER
            with acceptor.running(running.folder, running.cert, running.key) as server:
                port = server.starttls if tls == "starttls" else server.implicit
                send(running, port, tls, mechanism, sent, user=user)
                expect(server.handler.messages == [(USER, [TO], sent)],
                       f"{server.handler.messages}")


@case("send to aiosmtpd: NTLM without TLS")
def aiosmtpd_clear(running):
    sent, _ = message()
    with acceptor.running(running.folder, running.cert, running.key) as server:
        send(running, server.starttls, "off", "ntlm", sent,
             user=f"{acceptor.DOMAIN}\\{acceptor.USER}")
        expect(server.handler.messages == [(USER, [TO], sent)], f"{server.handler.messages}")


@case("send to aiosmtpd: one recipient refused, the other delivered")
def aiosmtpd_refused(running):
    sent, _ = message()
    with acceptor.running(running.folder, running.cert, running.key) as server:
        done = send(running, server.implicit, "implicit", "plain", sent, user=acceptor.USER,
                    to=("nobody@example.net", TO), status=1)
        expect(b"550 5.1.1 no such mailbox" in done.stderr, f"{done.stderr!r}")
        expect(server.handler.messages == [(USER, [TO], sent)], f"{server.handler.messages}")


@case("send to aiosmtpd: a wrong password")
def aiosmtpd_wrong(running):
    wrong = running.secret_file("wrong", "wrong")
    with acceptor.running(running.folder, running.cert, running.key) as server:
        for mechanism in ("plain", "login", "ntlm"):
            user = f"{acceptor.DOMAIN}\\{acceptor.USER}" if mechanism == "ntlm" else acceptor.USER
            done = send(running, server.implicit, "implicit", mechanism, message()[0], user=user,
                        password_file=wrong, status=1)
            expect(b"535" in done.stderr, f"{mechanism}: {done.stderr!r}")
        expect(server.handler.messages == [], f"{server.handler.messages}")


# --- Postfix with Cyrus SASL -------------------------------------------------------------------


@case("send to Postfix: PLAIN, LOGIN, NTLM, each with STARTTLS and implicit TLS; NTLM in clear")
def postfix_case(running):
    expect(os.geteuid() == 0, "Postfix must be started by root")
    ways = [(mechanism, tls) for mechanism in ("plain", "login", "ntlm")
            for tls in ("starttls", "implicit")] + [("ntlm", "off")]
    with postfix.running() as server:
        for mechanism, tls in ways:
            sent, identifier = message()
            port = server.implicit if tls == "implicit" else server.starttls
            try:
                send(running, port, tls, mechanism, sent, ca=server.ca,
                     user=postfix.USER if mechanism == "ntlm" else f"{postfix.USER}@{postfix.REALM}")
            except Exception as error:
                raise type(error)(f"{mechanism}, {tls}: {error}\n{server.log()[-2000:]}") from error
            kept = [content for content in server.held() if identifier.encode() in content]
            expect(len(kept) == 1, f"{mechanism}, {tls}: {len(kept)} messages are held")
            expect(kept[0].endswith(sent.replace(b"\r\n", b"\n")),
                   f"{mechanism}, {tls}: the message differs: {kept[0]!r}")


@case("send to Postfix: a wrong password for each mechanism")
def postfix_wrong(running):
    wrong = running.secret_file("wrong", "wrong")
    with postfix.running() as server:
        for mechanism in ("plain", "login", "ntlm"):
            done = send(running, server.implicit, "implicit", mechanism, message()[0], ca=server.ca,
                        user=postfix.USER, password_file=wrong, status=1)
            expect(b"535" in done.stderr, f"{mechanism}: {done.stderr!r}")
        expect(server.held() == [], "something is held")
