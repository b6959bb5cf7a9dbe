"""The relay against real servers, with TLS by a private authority: Postfix with Cyrus SASL, Exim,
aiosmtpd with an NTLM acceptor, Dovecot's LMTP, another pillarbox."""

import os

import acceptor
import dovecot
import exim
import postfix
import relay
from harness import PASSWORD, USER, case, delivered, expect, message, wait_for

TO = "bob@peer.example"


def route(deliver, *keys, domains=("*",), name="up"):
    """A [[route]] table."""
    listed = ", ".join(f'"{domain}"' for domain in domains)
    lines = ["[[route]]", f'name = "{name}"', f"domains = [{listed}]", f'deliver = "{deliver}"',
             relay.QUICK, *keys, ""]
    return "\n".join(lines)


def login(user, *mechanisms):
    """`auth` with the password of all the servers here."""
    listed = ", ".join(f'"{mechanism}"' for mechanism in mechanisms)
    return (f'auth = {{ user = "{user}", mechanisms = [{listed}], '
            f'password-file = "{{folder}}/password" }}')


def password(folder):
    """For `login`."""
    relay.secret(folder, "password", PASSWORD)


def upstream(server, tls, ca, user, *mechanisms):
    """A route to localhost. The senders' own route is after it, so it is not for everybody."""
    scheme, port = ("smtps", server.implicit) if tls == "implicit" else ("smtp", server.starttls)
    keys = [f'tls-authorities = "{ca}"', login(user, *mechanisms)]
    if tls == "starttls":
        keys.append('tls = "required"')
    return route(f"{scheme}://localhost:{port}", *keys, domains=("peer.example", "example.net"))


def with_lf(sent):
    """As a Unix server keeps it."""
    return sent.replace(b"\r\n", b"\n")


def one_more(contents, sent, what):
    """Exactly one of the contents ends as it was sent."""
    found = wait_for(lambda: [one for one in contents() if one.endswith(with_lf(sent))], what, 20)
    expect(len(found) == 1, f"{what}: {len(found)} copies")


# --- Postfix with Cyrus SASL -------------------------------------------------------------------


@case("relay to Postfix: PLAIN, LOGIN, NTLM, each with STARTTLS and implicit TLS")
def relay_to_postfix(_):
    expect(os.geteuid() == 0, "Postfix must be started by root")
    with postfix.running() as server:
        for mechanism in ("plain", "login", "ntlm"):
            user = postfix.USER if mechanism == "ntlm" else f"{postfix.USER}@{postfix.REALM}"
            for tls in ("starttls", "implicit"):
                with relay.running(upstream(server, tls, server.ca, user, mechanism),
                                   prepare=password) as sender:
                    sent = sender.submit([TO])
                    text = sender.becomes(TO, "delivered")
                    expect("TLS" in text, f"the history does not name TLS: {text}")
                    one_more(server.held, sent, f"{mechanism}, {tls}")
                    sender.reports(0)


@case("relay to Postfix: a wrong password pauses the route; queue retry sets it going")
def relay_to_postfix_wrong(_):
    with postfix.running() as server:
        user = f"{postfix.USER}@{postfix.REALM}"
        with relay.running(upstream(server, "implicit", server.ca, user, "plain"),
                           prepare=lambda folder: relay.secret(folder, "password", "wrong")) as sender:
            sent = sender.submit([TO])
            sender.becomes(TO, "deferred", "535")
            wait_for(lambda: b'"paused"' in sender.queue("routes", "--json"), "the pause", 40)
            tries = server.log().count("authentication failed")
            expect(1 <= tries <= 4, f"{tries} tries with the wrong password")
            relay.secret(sender.folder, "password", PASSWORD)
            sender.queue("retry", "--all")
            sender.becomes(TO, "delivered")
            one_more(server.held, sent, "after the repair")
            sender.reports(0)


# --- Exim --------------------------------------------------------------------------------------


@case("relay to Exim: PLAIN, LOGIN, each with STARTTLS and implicit TLS; many messages")
def relay_to_exim(_):
    expect(os.geteuid() == 0, "Exim must be started by root")
    with exim.running() as server:
        for mechanism in ("plain", "login"):
            for tls in ("starttls", "implicit"):
                with relay.running(upstream(server, tls, server.ca, exim.USER, mechanism),
                                   prepare=password) as sender:
                    everything = [sender.submit([TO]) for _ in range(5)]
                    relay.settled(sender, 60)
                    for sent in everything:
                        one_more(server.kept, sent, f"{mechanism}, {tls}")


@case("relay to Exim: its NTLM knows version 1 alone, so the next mechanism is used")
def relay_to_exim_ntlm(_):
    with exim.running() as server:
        with relay.running(upstream(server, "starttls", server.ca, exim.USER, "ntlm", "plain"),
                           prepare=password) as sender:
            sent = sender.submit([TO])
            sender.becomes(TO, "delivered")
            one_more(server.kept, sent, "by PLAIN")
            expect("A=plain" in server.log(), f"{server.log()[-1500:]}")


@case("relay to Exim: one of two recipients is refused, and the sender learns of it")
def relay_to_exim_refused(_):
    with exim.running() as server:
        with relay.running(upstream(server, "implicit", server.ca, exim.USER, "plain"),
                           prepare=password) as sender:
            sent = sender.submit([TO, "nobody@peer.example"])
            sender.becomes(TO, "delivered")
            sender.becomes("nobody@peer.example", "failed", "550")
            one_more(server.kept, sent, "the good recipient")
            sender.report("nobody@peer.example", "5.0.0", "nobody of that name")


# --- aiosmtpd ----------------------------------------------------------------------------------


@case("relay to aiosmtpd: NTLM, PLAIN, LOGIN, each with STARTTLS and implicit TLS")
def relay_to_aiosmtpd(running):
    for mechanism in ("ntlm", "plain", "login"):
        user = f"{acceptor.DOMAIN}\\\\{acceptor.USER}" if mechanism == "ntlm" else acceptor.USER
        for tls in ("starttls", "implicit"):
            with acceptor.running(running.folder, running.cert, running.key) as server:
                with relay.running(upstream(server, tls, running.ca, user, mechanism),
                                   prepare=password) as sender:
                    sent = sender.submit([TO])
                    sender.becomes(TO, "delivered")
                    kept = server.handler.messages
                    expect(len(kept) == 1 and kept[0][2].endswith(sent), f"{mechanism}: {kept}")
                    expect(kept[0][:2] == (relay.SENDER, [TO]), f"{kept[0][:2]}")


# --- Dovecot's LMTP ----------------------------------------------------------------------------


@case("relay to Dovecot: LMTP over TCP and over a socket; an unknown user")
def relay_to_dovecot(_):
    good, bad = f"bob@{dovecot.DOMAIN}", f"nobody@{dovecot.DOMAIN}"
    with dovecot.running() as server:
        for deliver in (f"lmtp://127.0.0.1:{server.port}", f"lmtp:{server.socket}"):
            with relay.running(route(deliver, domains=(dovecot.DOMAIN,))) as sender:
                sent = sender.submit([good, bad])
                sender.becomes(good, "delivered")
                sender.becomes(bad, "failed", "5.1.1")
                one_more(server.kept, sent, deliver)
                sender.report(bad, "5.1.1", "User doesn't exist")


# --- another pillarbox -------------------------------------------------------------------------


@case("relay to pillarbox: NTLM, LOGIN, PLAIN, each with STARTTLS and implicit TLS")
def relay_to_pillarbox(running):
    for mechanism in ("ntlm", "login", "plain"):
        for tls in ("starttls", "implicit"):
            with relay.running(upstream(running, tls, running.ca, USER, mechanism),
                               prepare=password) as sender:
                sent, identifier = message(to="bob@example.net")
                sender.submit(["bob@example.net"], sent, sender=USER)
                sender.becomes("bob@example.net", "delivered")
                octets = delivered(running, "bob@example.net", identifier.encode())
                expect(octets.endswith(sent), f"the message differs: {octets!r}")
                expect(octets.count(b"Received: ") == 2, f"{octets[:600]!r}")


@case("relay to pillarbox: a certificate of a strange authority pauses the route")
def relay_untrusted(running):
    keys = [login(USER, "plain"), 'tls = "required"']
    deliver = f"smtp://localhost:{running.starttls}"
    with relay.running(route(deliver, *keys, domains=("example.net",)), prepare=password) as sender:
        sender.submit(["bob@example.net"], sender=USER)
        sender.becomes("bob@example.net", "deferred", "certificate")
        wait_for(lambda: b'"paused"' in sender.queue("routes", "--json"), "the pause", 40)
        sender.reports(0)
