"""aiosmtpd as a server for our client role, with AUTH NTLM by pyspnego's acceptor."""

import asyncio
import base64
import contextlib
import hashlib
import logging
import os
import ssl
import threading
import warnings

import spnego
from aiosmtpd.smtp import SMTP, AuthResult, MISSING
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spnego.channel_bindings import GssChannelBindings

from harness import PASSWORD, free_port, wait_for_port

# It warns of AUTH without TLS, which is one of the cases.
warnings.filterwarnings("ignore", module="aiosmtpd")
logging.getLogger("mail.log").setLevel(logging.ERROR)

USER = "alice"
DOMAIN = "EXAMPLE"


class Handler:
    """Keeps what it is given, and knows NTLM."""

    def __init__(self, certificate):
        self.messages = []
        with open(certificate, "rb") as file:
            found = x509.load_pem_x509_certificate(file.read())
        der = found.public_bytes(serialization.Encoding.DER)
        digest = hashlib.new(found.signature_hash_algorithm.name, der).digest()
        self.bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)

    async def handle_DATA(self, server, session, envelope):
        if envelope.mail_from == "busy@example.org":
            return "451 4.3.0 later"
        self.messages.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return "250 2.6.0 kept"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def auth_NTLM(self, server, args):
        secure = server.transport.get_extra_info("ssl_object") is not None
        context = spnego.server(
            hostname="mail.example.org", service="smtp", protocol="ntlm",
            channel_bindings=self.bindings if secure else None,
            options=spnego.NegotiateOptions.use_ntlm,
        )
        if len(args) > 1:
            negotiate = base64.b64decode(args[1])
        else:
            # [MS-SMTPNTLM] section 2.2.1.2: text, not base64.
            await server.push("334 NTLM supported")
            line = (await server._reader.readline()).rstrip(b"\r\n")
            negotiate = base64.b64decode(line)
        challenge = context.step(negotiate)
        authenticate = await server.challenge_auth(challenge)
        if authenticate is MISSING:
            return AuthResult(success=False, handled=True)
        try:
            context.step(authenticate)
        except Exception:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=context.complete, auth_data="NTLM")


def check_password(server, session, envelope, mechanism, data):
    """For aiosmtpd's own LOGIN and PLAIN."""
    good = data.login == USER.encode() and data.password == PASSWORD.encode()
    # What is not handled is answered 535 by aiosmtpd.
    return AuthResult(success=good, handled=good)


class Server:
    """Two listeners in a thread: STARTTLS, and implicit TLS."""

    def __init__(self, folder, certificate, key):
        users = folder / "ntlm-users"
        users.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
        os.environ["NTLM_USER_FILE"] = str(users)
        self.handler = Handler(certificate)
        self.starttls, self.implicit = free_port(), free_port()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def session(self, **options):
        """What a new connection gets."""
        return SMTP(self.handler, hostname="mail.example.net", loop=self.loop,
                    enable_SMTPUTF8=True, auth_required=True, auth_require_tls=False,
                    authenticator=check_password, **options)

    def serve(self):
        asyncio.set_event_loop(self.loop)

        async def begin():
            await self.loop.create_server(
                lambda: self.session(tls_context=self.tls), "127.0.0.1", self.starttls)
            await self.loop.create_server(
                self.session, "127.0.0.1", self.implicit, ssl=self.tls)

        self.loop.run_until_complete(begin())
        self.loop.run_forever()


@contextlib.contextmanager
def running(folder, certificate, key):
    """A server that runs while the block does."""
    server = Server(folder, certificate, key)
    server.thread.start()
    wait_for_port(server.starttls)
    wait_for_port(server.implicit)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.loop.stop)
        server.thread.join(10)
