"""The server role, met by programs that people use: each submits a message, and what lies in the
Maildir afterwards is compared with it octet for octet."""

import asyncio
import json
import smtplib
import socket
import ssl
import subprocess

import aiosmtplib

from harness import (
    HERE, OTHER, OTHER_PASSWORD, PASSWORD, USER, Failure, case, compare, delivered, expect, message,
    run, wait_for,
)

TO = "bob@example.net"


def context(running):
    """TLS that trusts the test authority alone."""
    return ssl.create_default_context(cafile=str(running.ca))


def check(running, sent, identifier, protocol, to=TO):
    """The message that has this identifier arrived unharmed."""
    return compare(delivered(running, to, identifier.encode()), sent, protocol)


# --- the contract of standard output -----------------------------------------------------------


@case("serve prints one line per listener")
def listening(running):
    expected = [
        f"listening 127.0.0.1:{running.starttls} (starttls)",
        f"listening 127.0.0.1:{running.implicit} (implicit)",
        f"listening 127.0.0.1:{running.clear} (none)",
        f"listening 127.0.0.1:{running.relay} (none)",
    ]
    expect(running.lines == expected, f"printed: {running.lines}")


# --- Python's smtplib --------------------------------------------------------------------------


def with_smtplib(running, port, mechanism, tls, protocol):
    sent, identifier = message()
    if tls == "implicit":
        client = smtplib.SMTP_SSL("localhost", port, context=context(running), timeout=20)
    else:
        client = smtplib.SMTP("localhost", port, timeout=20)
    with client:
        if tls == "starttls":
            client.starttls(context=context(running))
        client.ehlo("client.example.org")
        client.user, client.password = USER, PASSWORD
        code, text = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        expect(code == 235 and text.startswith(b"2.7.0 "), f"{code} {text}")
        client.sendmail(USER, [TO], sent)
    check(running, sent, identifier, protocol)


for mechanism in ("PLAIN", "LOGIN"):
    for tls in ("starttls", "implicit", "none"):

        @case(f"smtplib {mechanism}, {tls}")
        def smtplib_case(running, mechanism=mechanism, tls=tls):
            port = {"starttls": running.starttls, "implicit": running.implicit, "none": running.clear}
            with_smtplib(running, port[tls], mechanism, tls,
                         b"ESMTPA" if tls == "none" else b"ESMTPSA")


@case("smtplib chooses a mechanism by itself; CRAM-MD5 is not offered")
def smtplib_login(running):
    sent, identifier = message()
    with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
        client.starttls(context=context(running))
        client.ehlo()
        offered = client.esmtp_features["auth"].split()
        expect("CRAM-MD5" not in offered, f"AUTH {offered}")
        expect({"NTLM", "LOGIN", "PLAIN"} <= set(offered), f"AUTH {offered}")
        client.login(USER, PASSWORD)
        client.sendmail(USER, [TO], sent)
    check(running, sent, identifier, b"ESMTPSA")


@case("smtplib: before TLS neither PLAIN nor LOGIN")
def smtplib_clear(running):
    with smtplib.SMTP("localhost", running.starttls, timeout=20) as client:
        client.ehlo()
        offered = client.esmtp_features["auth"].split()
        expect(offered == ["SCRAM-SHA-256", "NTLM"], f"AUTH {offered}")
        code, _ = client.docmd("AUTH", "PLAIN")
        expect(code == 538, f"AUTH PLAIN in clear: {code}")
        code, _ = client.docmd("MAIL", "FROM:<alice@example.org>")
        expect(code == 530, f"MAIL: {code}")


@case("smtplib: two recipients, three messages on one connection")
def smtplib_many(running):
    to = [TO, "carol@example.org"]
    sent = [message() for _ in range(3)]
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=20) as client:
        client.login(USER, PASSWORD)
        for octets, _ in sent:
            expect(client.sendmail(USER, to, octets) == {}, "a recipient was refused")
    for octets, identifier in sent:
        first = check(running, octets, identifier, b"ESMTPSA", to[0])
        second = check(running, octets, identifier, b"ESMTPSA", to[1])
        expect(first == second, f"identifiers {first} and {second}")


@case("smtplib: Date and Message-ID are completed")
def smtplib_completed(running):
    sent, _ = message(complete=False)
    mark = [line for line in sent.split(b"\r\n") if line.startswith(b"X-Count:")][0]
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=20) as client:
        client.login(USER, PASSWORD)
        client.sendmail(USER, [TO], sent)
    octets = delivered(running, TO, mark + b"\r\n")
    names = {b"Date", b"Message-ID"}
    head = octets[: len(octets) - len(sent)]
    found = tuple(name for name in (b"Date", b"Message-ID") if b"\r\n" + name + b":" in head)
    expect(set(found) == names, f"added: {found}")
    order = sorted(found, key=lambda name: head.index(b"\r\n" + name + b":"))
    compare(octets, sent, b"ESMTPSA", completed=order)


@case("smtplib: Bcc is removed, nothing else")
def smtplib_bcc(running):
    sent, identifier = message(extra=b"Bcc: hidden@example.net,\r\n more@example.net")
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=20) as client:
        client.login(USER, PASSWORD)
        client.sendmail(USER, [TO], sent)
    without = sent.replace(b"Bcc: hidden@example.net,\r\n more@example.net\r\n", b"")
    check(running, without, identifier, b"ESMTPSA")


@case("smtplib: a relay listener without TLS and AUTH")
def smtplib_relay(running):
    sent, identifier = message()
    with smtplib.SMTP("localhost", running.relay, timeout=20) as client:
        client.ehlo("printer")
        expect("auth" not in client.esmtp_features, "AUTH is offered")
        client.sendmail("scanner@example.org", [TO], sent)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTP",
            reverse_path="scanner@example.org")


@case("smtplib: the sender must be the user's own, the recipient must have a route")
def smtplib_refused(running):
    sent, _ = message()
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=20) as client:
        client.login(USER, PASSWORD)
        try:
            client.sendmail("mallory@example.org", [TO], sent)
        except smtplib.SMTPSenderRefused as error:
            expect(error.smtp_code == 550 and error.smtp_error.startswith(b"5.7.1 "), str(error))
        else:
            raise Failure("another's reverse-path was taken")
        try:
            client.sendmail(USER, ["bob@elsewhere.example"], sent)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients["bob@elsewhere.example"]
            expect(code == 550 and text.startswith(b"5.7.1 "), f"{code} {text}")
        else:
            raise Failure("a recipient without a route was taken")


@case("a hold route keeps the message; queue list and show find it, the service running or not")
def hold(running):
    sent, identifier = message(to="held@hold.example")
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=20) as client:
        client.login(USER, PASSWORD)
        client.sendmail(USER, ["held@hold.example"], sent)

    def queued():
        lines = running.command("queue", "list", "--json", status=0).stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["state"] == "held"]

    entry = wait_for(queued, "a held message")[0]
    expect(entry["reverse_path"] == USER, f"{entry}")
    expect(entry["identity"] == USER, f"{entry}")
    expect([one["mailbox"] for one in entry["recipients"]] == ["held@hold.example"], f"{entry}")
    for key in ("id", "state", "size", "received"):
        expect(key in entry, f"no {key}: {entry}")
    for key in ("mailbox", "state", "attempts", "next_attempt", "last_reply"):
        expect(key in entry["recipients"][0], f"no {key}: {entry}")
    content = running.command("queue", "show", entry["id"], "--content", status=0).stdout
    expect(content.endswith(sent), "queue show --content differs from what was sent")
    expect(running.stop() == 0, "SIGTERM: the exit status is not 0")
    try:
        content = running.command("queue", "show", entry["id"], "--content", status=0).stdout
        expect(content.endswith(sent), "without the service: the content differs")
        running.command("queue", "remove", entry["id"], status=0)
        expect(not queued(), "removed, and still there")
    finally:
        running.start()


# --- aiosmtplib --------------------------------------------------------------------------------


for options in ({"start_tls": True}, {"use_tls": True}):

    @case(f"aiosmtplib, {next(iter(options))}")
    def aiosmtplib_case(running, options=options):
        sent, identifier = message()
        port = running.implicit if "use_tls" in options else running.starttls
        asyncio.run(
            aiosmtplib.send(sent, sender=USER, recipients=[TO], hostname="localhost", port=port,
                            username=USER, password=PASSWORD, tls_context=context(running),
                            timeout=20, **options)
        )
        check(running, sent, identifier, b"ESMTPSA")


# --- curl --------------------------------------------------------------------------------------


def with_curl(running, mechanism, tls, protocol, *more):
    sent, identifier = message()
    file = running.folder / "message"
    file.write_bytes(sent)
    scheme, port = ("smtps", running.implicit) if tls == "implicit" else ("smtp", running.starttls)
    if tls == "none":
        port = running.clear
    else:
        more = ("--ssl-reqd", "--cacert", running.ca, *more)
    run("curl", "--silent", "--show-error", "-4", "--noproxy", "*", "--max-time", "30",
        f"{scheme}://localhost:{port}/client.example.org",
        "--login-options", f"AUTH={mechanism}", "--user", f"{USER}:{PASSWORD}",
        "--mail-from", USER, "--mail-rcpt", TO, "--upload-file", file, *more, status=0)
    check(running, sent, identifier, protocol)


for mechanism in ("PLAIN", "LOGIN", "NTLM"):
    for tls in ("starttls", "implicit", "none"):
        for more in ((), ("--sasl-ir",)):

            @case(f"curl {mechanism}, {tls}{', initial response' if more else ''}")
            def curl_case(running, mechanism=mechanism, tls=tls, more=more):
                with_curl(running, mechanism, tls, b"ESMTPA" if tls == "none" else b"ESMTPSA", *more)


# --- swaks -------------------------------------------------------------------------------------


def swaks(running, mechanism, tls, file, *more, user=USER, password=PASSWORD, v2=True, status=0):
    port = {"starttls": running.starttls, "implicit": running.implicit, "none": running.clear}[tls]
    options = {"starttls": ["--tls"], "implicit": ["--tls-on-connect"], "none": []}[tls]
    env = {"PERL5OPT": f"-I{HERE}/perl -MNtlmV2"} if mechanism == "NTLM" and v2 else {}
    return run("swaks", "--server", "127.0.0.1", "--port", port, *options, "--ehlo",
               "client.example.org", "--auth", mechanism, "--auth-user", user, "--auth-password",
               password, "--from", USER, "--to", TO, "--data", f"@{file}", *more,
               env=env, status=status)


for mechanism in ("PLAIN", "LOGIN", "NTLM"):
    for tls in ("starttls", "implicit", "none"):

        @case(f"swaks {mechanism}, {tls}")
        def swaks_case(running, mechanism=mechanism, tls=tls):
            sent, identifier = message()
            file = running.folder / "message"
            file.write_bytes(sent)
            swaks(running, mechanism, tls, file)
            # swaks ends the data with an empty line of its own.
            octets = delivered(running, TO, identifier.encode())
            expect(octets.removesuffix(b"\r\n").endswith(sent) or octets.endswith(sent),
                   f"the message differs: {octets!r}")
            tail = sent if octets.endswith(sent) else sent + b"\r\n"
            compare(octets, tail, b"ESMTPA" if tls == "none" else b"ESMTPSA")


@case("swaks NTLMv1 is refused as too weak")
def swaks_v1(running):
    file = running.folder / "message"
    file.write_bytes(message()[0])
    done = swaks(running, "NTLM", "starttls", file, v2=False, status=None)
    expect(done.returncode != 0, "NTLMv1 was taken")
    expect(b"534 5.7.9 " in done.stdout, done.stdout.decode(errors="replace"))


# --- msmtp -------------------------------------------------------------------------------------


for mechanism in ("plain", "login"):
    for tls in ("starttls", "implicit"):

        @case(f"msmtp {mechanism}, {tls}")
        def msmtp_case(running, mechanism=mechanism, tls=tls):
            sent, identifier = message()
            port = running.starttls if tls == "starttls" else running.implicit
            settings = running.folder / "msmtprc"
            settings.touch(mode=0o600)
            settings.write_text(
                f"account default\nhost localhost\nport {port}\nprotocol smtp\ntls on\n"
                f"tls_starttls {'on' if tls == 'starttls' else 'off'}\n"
                f"tls_trust_file {running.ca}\nauth {mechanism}\nuser {USER}\n"
                f"password {PASSWORD}\nfrom {USER}\ndomain client.example.org\n"
            )
            run("msmtp", "-C", settings, TO, input=sent.replace(b"\r\n", b"\n"), status=0)
            check(running, sent, identifier, b"ESMTPSA")


# --- openssl s_client --------------------------------------------------------------------------


@case("openssl s_client -starttls smtp, a dialogue by hand")
def s_client(running):
    sent, identifier = message()
    child = subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-starttls", "smtp", "-name", "client.example.org",
         "-connect", f"127.0.0.1:{running.starttls}", "-CAfile", str(running.ca),
         "-verify_return_error", "-servername", "localhost"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    try:
        def say(octets, code):
            child.stdin.write(octets)
            child.stdin.flush()
            while True:
                line = child.stdout.readline()
                expect(line, f"closed instead of {code}")
                if line[3:4] != b"-":
                    break
            expect(line.startswith(code), f"{line!r} instead of {code}")

        # The reply to s_client's own EHLO in clear was read by s_client.
        say(b"EHLO client.example.org\r\n", b"250")
        say(b"AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6")
        say(b"YWxpY2VAZXhhbXBsZS5vcmc=\r\n", b"334 UGFzc3dvcmQ6")
        say(b"czNjcmV0Ky89eA==\r\n", b"235 2.7.0")
        say(b"MAIL FROM:<alice@example.org>\r\n", b"250 2.1.0")
        say(b"RCPT TO:<bob@example.net>\r\n", b"250 2.1.5")
        say(b"DATA\r\n", b"354")
        say(sent.replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250 2.6.0 queued as ")
        say(b"QUIT\r\n", b"221 2.0.0 ")
        child.stdin.close()
        child.wait(10)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        child.stdout.close()
    check(running, sent, identifier, b"ESMTPSA")


@case("a connection that is dropped inside the content stores nothing")
def dropped(running):
    with socket.create_connection(("127.0.0.1", running.relay), 10) as stream:
        file = stream.makefile("rwb")

        def say(octets):
            file.write(octets)
            file.flush()
            while file.readline()[3:4] == b"-":
                pass

        say(b"")
        for line in (b"EHLO printer", b"MAIL FROM:<scanner@example.org>",
                     b"RCPT TO:<dropped@hold.example>", b"DATA"):
            say(line + b"\r\n")
        file.write(b"Subject: half\r\n\r\nhalf of it")
        file.flush()
        file.close()
    with smtplib.SMTP("localhost", running.relay, timeout=20) as client:
        client.noop()
    listed = running.command("queue", "list", "--json", status=0).stdout
    expect(b"dropped@hold.example" not in listed, f"queued: {listed!r}")


# --- wrong passwords, last: they slow this address down ----------------------------------------


@case("a wrong password: smtplib PLAIN and LOGIN, 535 5.7.8")
def wrong_smtplib(running):
    for mechanism in ("PLAIN", "LOGIN"):
        with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=60) as client:
            client.ehlo()
            client.user, client.password = OTHER, "wrong"
            try:
                client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
            except smtplib.SMTPAuthenticationError as error:
                expect(error.smtp_code == 535, f"{mechanism}: {error}")
                expect(error.smtp_error == b"5.7.8 authentication failed", f"{mechanism}: {error}")
            else:
                raise Failure(f"{mechanism}: a wrong password was taken")
            code, _ = client.docmd("MAIL", "FROM:<carol@example.org>")
            expect(code == 530, f"MAIL after it: {code}")


@case("a wrong password: curl NTLM, swaks NTLM, 535 5.7.3")
def wrong_ntlm(running):
    file = running.folder / "message"
    file.write_bytes(message()[0])
    done = run("curl", "--silent", "--show-error", "--verbose", "-4", "--noproxy", "*",
               "--max-time", "60", f"smtps://localhost:{running.implicit}", "--cacert", running.ca,
               "--login-options", "AUTH=NTLM", "--user", f"{OTHER}:wrong", "--mail-from", OTHER,
               "--mail-rcpt", TO, "--upload-file", file)
    expect(done.returncode == 67, f"curl: exit status {done.returncode}")
    expect(b"< 535 5.7.3 authentication unsuccessful" in done.stderr, done.stderr.decode())
    done = swaks(running, "NTLM", "starttls", file, user=OTHER, password="wrong", status=None)
    expect(b"535 5.7.3 authentication unsuccessful" in done.stdout, done.stdout.decode())


@case("the right password still works after wrong ones")
def right_again(running):
    sent, identifier = message()
    with smtplib.SMTP_SSL("localhost", running.implicit, context=context(running), timeout=60) as client:
        client.login(OTHER, OTHER_PASSWORD)
        client.sendmail(OTHER, [TO], sent)
    compare(delivered(running, TO, identifier.encode()), sent, b"ESMTPSA", reverse_path=OTHER)
