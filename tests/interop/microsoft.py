"""Two nodes: a printer's AUTH LOGIN submission goes into one, and out by XOAUTH2 to a server that is
like Microsoft 365, with tokens of a token server, one of which runs out in between."""

import contextlib
import http.server
import json
import smtplib
import ssl
import threading
import time
import urllib.parse

import relay
import sink
from harness import PASSWORD, binary, case, expect, free_port, run, wait_for

USER = "scanner@contoso.test"
CLIENT, SECRET = "0f1e2d3c-client", "cl1ent~secret"
SCOPE = "https://outlook.office365.example/.default"


class Tokens:
    """Who may have a token, and which are good."""

    def __init__(self, lifetime):
        self.lifetime = lifetime
        self.lock = threading.Lock()
        self.given = {}  # token -> when it runs out
        self.requests = []
        self.refresh = "refresh-0"

    def grant(self, form):
        """A token response (RFC 6749 sections 4.4.2, 5.1 and 6), or an error (section 5.2)."""
        with self.lock:
            self.requests.append(form)
            if form.get("client_id") != CLIENT:
                return 401, {"error": "invalid_client"}
            kind = form.get("grant_type")
            if kind == "client_credentials":
                if form.get("client_secret") != SECRET or form.get("scope") != SCOPE:
                    return 401, {"error": "invalid_client"}
            elif kind == "refresh_token":
                if form.get("refresh_token") != self.refresh:
                    return 400, {"error": "invalid_grant"}
            else:
                return 400, {"error": "unsupported_grant_type"}
            # As long as those of Microsoft 365, so that AUTH does not fit a command line.
            token = f"eyJ0eXAi{len(self.requests):04}" + "x" * 1500
            self.given[token] = time.monotonic() + self.lifetime
            answer = {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": token}
            if kind == "refresh_token":
                self.refresh = f"refresh-{len(self.requests)}"
                answer["refresh_token"] = self.refresh
            return 200, answer

    def good(self, user, token):
        """What the mail server asks."""
        with self.lock:
            return user == USER and self.given.get(token, 0) > time.monotonic()

    def revoke(self):
        """All that were given are good no more."""
        with self.lock:
            self.given.clear()


@contextlib.contextmanager
def token_server(tokens):
    """Serves them over HTTP; the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
            status, answer = tokens.grant(form)
            octets = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/contoso/oauth2/v2.0/token"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def office(running, tokens, grant):
    """The mail server, and a node that relays to it: (relay, sink). `grant` is TOML."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(running.cert, running.key)

    def secrets(folder):
        relay.secret(folder, "client-secret", SECRET)
        relay.secret(folder, "refresh-token", "refresh-0")

    with sink.running(tls=tls, token=tokens.good) as server, token_server(tokens) as url:
        routes = f"""[[route]]
name = "office"
domains = ["*"]
senders = ["{USER}"]
deliver = "smtp://localhost:{server.port}"
tls = "required"
tls-authorities = "{running.ca}"
idle = "10ms"
{relay.QUICK}
auth = {{ user = "{USER}", mechanism = "xoauth2", token-url = "{url}", client-id = "{CLIENT}", {grant} }}
"""
        with relay.running(routes, prepare=secrets) as node:
            yield node, server


CREDENTIALS = f'client-secret-file = "{{folder}}/client-secret", scope = "{SCOPE}"'
REFRESH = 'refresh-token-file = "{folder}/refresh-token"'


def arrived(server, sent):
    """Waits for a message; how it came."""
    found = wait_for(lambda: [one for one in server.messages if one.octets.endswith(sent)],
                     "the message", 40)
    expect(len(found) == 1, f"{len(found)} copies")
    expect(found[0].user == USER, f"by {found[0].user!r}")


@case("two nodes: a printer's AUTH LOGIN goes in, out by XOAUTH2, and the token runs out in between")
def two_nodes(running):
    # The second message comes when the first token is worth nothing.
    tokens = Tokens(lifetime=4)
    with office(running, tokens, CREDENTIALS) as (second, server):
        # The first node knows the printer, and hands everything to the second.
        port = free_port()
        routes = ('[[route]]\nname = "next"\ndomains = ["*"]\n'
                  f'deliver = "smtp://127.0.0.1:{second.port}"\n{relay.QUICK}\n')
        more = (f'[[listener]]\naddress = "127.0.0.1:{port}"\ntls = "none"\nclear-text = true\n'
                'mechanisms = ["login"]\n')
        with relay.running(routes, more) as first:
            run(binary(), "user", "add", USER, "--password-stdin", "--config", first.config,
                input=PASSWORD.encode() + b"\n", status=0)

            def scan():
                sent, _ = first.content()
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as printer:
                    printer.ehlo("printer")
                    printer.user, printer.password = USER, PASSWORD
                    printer.auth("LOGIN", printer.auth_login, initial_response_ok=False)
                    printer.sendmail(USER, ["boss@elsewhere.test"], sent)
                return sent

            arrived(server, scan())
            expect(len(tokens.requests) == 1, f"{len(tokens.requests)} token requests")
            time.sleep(4.5)
            arrived(server, scan())
            expect(len(tokens.requests) == 2, f"{len(tokens.requests)} token requests")
            expect(all(good for _, _, good in server.logins), f"{len(server.logins)} logins")


@case("XOAUTH2: a token that is refused is replaced once; many messages share one")
def replaced(running):
    tokens = Tokens(lifetime=3600)
    with office(running, tokens, CREDENTIALS) as (node, server):
        everything = [node.submit(["boss@elsewhere.test"], sender=USER) for _ in range(20)]
        for sent in everything:
            arrived(server, sent)
        expect(len(tokens.requests) == 1, f"{len(tokens.requests)} token requests for 20 messages")
        time.sleep(0.5)
        tokens.revoke()
        arrived(server, node.submit(["boss@elsewhere.test"], sender=USER))
        expect(len(tokens.requests) == 2, f"{len(tokens.requests)} token requests")
        refused = [one for one in server.logins if not one[2]]
        expect(len(refused) == 1, f"{len(refused)} refused logins")


@case("XOAUTH2: a refresh token, which the token server replaces each time")
def refreshed(running):
    tokens = Tokens(lifetime=3600)
    with office(running, tokens, REFRESH) as (node, server):
        for number in (1, 2, 3):
            arrived(server, node.submit(["boss@elsewhere.test"], sender=USER))
            expect(len(tokens.requests) == number, f"{len(tokens.requests)} token requests")
            time.sleep(0.5)
            tokens.revoke()
        kept = (node.folder / "refresh-token").read_text().strip()
        expect(kept == tokens.refresh, "the new refresh token was not kept")


@case("XOAUTH2: a client secret that is no longer good pauses the route, and mail waits")
def expired_secret(running):
    tokens = Tokens(lifetime=3600)
    with office(running, tokens, CREDENTIALS) as (node, server):
        secret = node.folder / "client-secret"
        secret.write_text("an old one\n")
        sent = node.submit(["boss@elsewhere.test"], sender=USER)
        node.becomes("boss@elsewhere.test", "deferred", "invalid_client")
        wait_for(lambda: b'"paused"' in node.queue("routes", "--json"), "the pause", 40)
        expect(SECRET not in node.tail(1 << 20) and "an old one" not in node.tail(1 << 20),
               "the log shows a secret")
        secret.write_text(SECRET + "\n")
        node.queue("retry", "--all")
        arrived(server, sent)
        for token in tokens.given:
            expect(token not in node.tail(1 << 20), "the log shows a token")
