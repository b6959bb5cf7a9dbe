"""AUTH NTLM as Windows programs do it: the messages come from pyspnego, the SMTP around them is
written by hand ([MS-SMTPNTLM] section 4)."""

import base64
import hashlib
import socket
import ssl

import spnego
from cryptography import x509
from spnego.channel_bindings import GssChannelBindings

from harness import OTHER, PASSWORD, USER, case, compare, delivered, expect, message

TO = "bob@example.net"


class Dialogue:
    """An SMTP connection without opinions."""

    def __init__(self, running, tls):
        port = {"starttls": running.starttls, "implicit": running.implicit, "none": running.clear}
        self.context = ssl.create_default_context(cafile=str(running.ca))
        self.stream = socket.create_connection(("localhost", port[tls]), 60)
        self.certificate = None
        if tls == "implicit":
            self.secure()
        self.file = self.stream.makefile("rwb")
        self.reply(b"220 ")
        if tls == "starttls":
            self.say(b"EHLO client.example.org", b"250 ")
            self.say(b"STARTTLS", b"220 2.0.0 ")
            self.file.close()
            self.secure()
            self.file = self.stream.makefile("rwb")
        self.say(b"EHLO client.example.org", b"250 ")

    def secure(self):
        """TLS, and the certificate for the channel binding."""
        self.stream = self.context.wrap_socket(self.stream, server_hostname="localhost")
        self.certificate = self.stream.getpeercert(binary_form=True)

    def reply(self, start=b""):
        """The last line of a reply."""
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                expect(line.startswith(start), f"{line!r} instead of {start!r}")
                return line.rstrip(b"\r\n")

    def say(self, line, start=b""):
        """A line and its reply."""
        self.file.write(line + b"\r\n")
        self.file.flush()
        return self.reply(start)

    def binding(self, flip=False):
        """tls-server-end-point (RFC 5929 section 4.1)."""
        if self.certificate is None:
            return None
        algorithm = x509.load_der_x509_certificate(self.certificate).signature_hash_algorithm.name
        if algorithm in ("md5", "sha1"):
            algorithm = "sha256"
        digest = hashlib.new(algorithm, self.certificate).digest()
        if flip:
            digest = bytes([digest[0] ^ 1]) + digest[1:]
        return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)

    def authenticate(self, user, password, binding, initial=True):
        """The exchange; the reply that ends it."""
        client = spnego.client(user, password, hostname="mail.example.org", service="smtp",
                               protocol="ntlm", channel_bindings=binding,
                               options=spnego.NegotiateOptions.use_ntlm)
        negotiate = base64.b64encode(client.step())
        if initial:
            challenge = self.say(b"AUTH NTLM " + negotiate, b"334 ")
        else:
            expect(self.say(b"AUTH NTLM") == b"334 ntlm supported", "no `334 ntlm supported`")
            challenge = self.say(negotiate, b"334 ")
        return self.say(base64.b64encode(client.step(base64.b64decode(challenge[4:]))))

    def submit(self, sent):
        """One message."""
        self.say(b"MAIL FROM:<alice@example.org>", b"250 2.1.0 ")
        self.say(b"RCPT TO:<bob@example.net>", b"250 2.1.5 ")
        self.say(b"DATA", b"354 ")
        self.file.write(sent.replace(b"\r\n.", b"\r\n.."))
        self.say(b".", b"250 2.6.0 queued as ")
        self.say(b"QUIT", b"221 2.0.0 ")
        self.close()

    def close(self):
        """Both ways."""
        self.file.close()
        self.stream.close()


GRANTED = b"235 2.7.0 authentication successful"
REFUSED = b"535 5.7.3 authentication unsuccessful"

for tls in ("starttls", "implicit", "none"):
    for initial in (True, False):

        @case(f"pyspnego, {tls}, {'NEGOTIATE in AUTH' if initial else '334 ntlm supported'}")
        def spnego_case(running, tls=tls, initial=initial):
            sent, identifier = message()
            dialogue = Dialogue(running, tls)
            reply = dialogue.authenticate(USER, PASSWORD, dialogue.binding(), initial)
            expect(reply == GRANTED, f"{reply}")
            dialogue.submit(sent)
            compare(delivered(running, TO, identifier.encode()), sent,
                    b"ESMTPA" if tls == "none" else b"ESMTPSA")


@case("pyspnego without a channel binding")
def unbound(running):
    dialogue = Dialogue(running, "implicit")
    reply = dialogue.authenticate(USER, PASSWORD, None)
    expect(reply == GRANTED, f"{reply}")
    dialogue.close()


@case("pyspnego as DOMAIN\\user")
def with_domain(running):
    dialogue = Dialogue(running, "implicit")
    reply = dialogue.authenticate("example.org\\alice", PASSWORD, dialogue.binding())
    expect(reply == GRANTED, f"{reply}")
    dialogue.close()


@case("pyspnego: the binding of another connection is refused")
def wrong_binding(running):
    dialogue = Dialogue(running, "implicit")
    reply = dialogue.authenticate(USER, PASSWORD, dialogue.binding(flip=True))
    expect(reply == REFUSED, f"{reply}")
    reply = dialogue.authenticate(USER, PASSWORD, dialogue.binding())
    expect(reply == GRANTED, f"then, with the right one: {reply}")
    dialogue.close()


@case("pyspnego: a recorded AUTHENTICATE is refused in a new exchange")
def replayed(running):
    dialogue = Dialogue(running, "none")
    client = spnego.client(USER, PASSWORD, hostname="mail.example.org", service="smtp",
                           protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    negotiate = base64.b64encode(client.step())
    challenge = dialogue.say(b"AUTH NTLM " + negotiate, b"334 ")
    authenticate = base64.b64encode(client.step(base64.b64decode(challenge[4:])))
    reply = dialogue.say(authenticate)
    expect(reply == GRANTED, f"{reply}")
    dialogue.close()
    dialogue = Dialogue(running, "none")
    again = dialogue.say(b"AUTH NTLM " + negotiate, b"334 ")
    expect(again != challenge, "the same challenge twice")
    reply = dialogue.say(authenticate)
    expect(reply == REFUSED, f"{reply}")
    dialogue.close()


@case("pyspnego: a wrong password, an unknown user")
def wrong_password(running):
    for user in (OTHER, "nobody@example.org"):
        dialogue = Dialogue(running, "implicit")
        reply = dialogue.authenticate(user, "wrong", dialogue.binding())
        expect(reply == REFUSED, f"{user}: {reply}")
        dialogue.close()
