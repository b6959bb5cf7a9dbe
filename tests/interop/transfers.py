"""Content on its way to servers that take it, or take less: BDAT, BINARYMIME, and conversion as
Python's email package reads it."""

import contextlib
import email
import email.policy
import pathlib
import random
import tempfile

import relay
import sink
from harness import binary, case, expect, run

SEED = 6152
WORDS = ("plain", "caf\u00e9", "\u4f60\u597d", ".", "--", "=", " ", "\t", "From here", "x" * 90)
TYPES = ("text/plain; charset=utf-8", "text/html; charset=utf-8", "application/octet-stream",
         "image/png")
BINARY = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")


@contextlib.contextmanager
def relaying(keywords, keys):
    """A relay, and the server that it relays to: (relay, sink)."""
    with sink.running(keywords=keywords) as server:
        routes = (f'[[route]]\nname = "out"\ndomains = ["example.org"]\n'
                  f'deliver = "smtp://127.0.0.1:{server.port}"\n{relay.QUICK}\n{keys}\n')
        with relay.running(routes) as own:
            yield own, server


def text(chance):
    """Lines of words."""
    lines = [" ".join(chance.choices(WORDS, k=chance.randrange(6)))
             for _ in range(chance.randrange(12))]
    return "\r\n".join(lines).encode()


def part(chance, depth):
    """A random entity: header section, empty line, body."""
    kind = chance.randrange(6 if depth < 3 else 3)
    if kind < 3:
        label = chance.choice(("8bit", "8bit", "8BIT"))
        return (f"Content-Type: {chance.choice(TYPES)}\r\n"
                f"Content-Transfer-Encoding: {label}\r\n\r\n").encode() + text(chance)
    if kind == 3:
        return (b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                b"Subject: inside\r\nMIME-Version: 1.0\r\n" + part(chance, depth + 1))
    boundary = f"=_{chance.randrange(1 << 60):x}".encode()
    parts = [part(chance, depth + 1) for _ in range(chance.randrange(1, 4))]
    return (b"Content-Type: multipart/mixed; boundary=\"" + boundary + b"\"\r\n\r\n"
            + b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
            + b"--" + boundary + b"--\r\n")


def message(number):
    """A random message, the same for each run."""
    header = (f"From: {relay.SENDER}\r\nTo: x@example.org\r\nSubject: number {number}\r\n"
              "Date: Wed, 25 Nov 2026 03:04:05 +0000\r\n"
              f"Message-ID: <{number}@sender.test>\r\nMIME-Version: 1.0\r\n")
    content = header.encode() + part(random.Random(SEED + number), 0)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def essence(octets):
    """What Python's email package finds: types, and decoded bodies."""
    found = email.message_from_bytes(octets, policy=email.policy.SMTP)
    defects = [defect for one in found.walk() for defect in one.defects]
    expect(not defects, f"{defects}")
    return [(one.get_content_type(), one.get_content_charset(),
             None if one.is_multipart() else one.get_payload(decode=True))
            for one in found.walk()]


def taken(server, number):
    """What the server has of this message."""
    mark = f"<{number}@sender.test>"
    return next(one for one in server.messages if one.mark == mark)


@case("CL-8bit: what is converted decodes to what was submitted, says Python's email package")
def converted(_):
    with relaying(("SIZE",), 'eight-bit = "convert"') as (sender, server):
        for number in range(40):
            sender.submit([f"x{number}@example.org"], message(number))
        relay.settled(sender, 60)
        expect(len(server.messages) == 40, f"{len(server.messages)} of 40 messages\n{sender.tail()}")
        for number in range(40):
            came = taken(server, number)
            expect(came.octets.isascii(), "octets above 127")
            expect(f"SIZE={len(came.octets)}" in came.mail, f"{came.mail}, {len(came.octets)} octets")
            expect(essence(came.octets) == essence(message(number)), f"message {number} differs")


@case("CL-bdat: DATA and BDAT deliver the same octets")
def same_octets(_):
    came = []
    for keywords in (BINARY[:2], BINARY):
        with relaying(keywords, "chunking = true") as (sender, server):
            for number in range(40):
                sender.submit([f"x{number}@example.org"], message(number))
            relay.settled(sender, 60)
            for number in range(40):
                octets = taken(server, number).octets
                expect(octets.endswith(message(number)), f"message {number} differs")
                # Without the trace field, which has the time.
                came.append(octets[-len(message(number)):])
    expect(came[:40] == came[40:], "DATA and BDAT differ")


@case("R3030-3-b: send --binary hands over every octet, or base64 of it")
def binary_content(_):
    header = (b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\n"
              b"Content-Transfer-Encoding: binary\r\n\r\n")
    body = random.Random(SEED).randbytes(3_000_000)
    with tempfile.TemporaryDirectory(prefix="pillarbox-binary-") as folder:
        file = pathlib.Path(folder) / "message"
        file.write_bytes(header + body)
        words = [binary(), "send", "--tls", "off", "--from", "a@example.org", "--to",
                 "b@example.org", "--binary"]
        with sink.running(keywords=BINARY) as server:
            run(*words, "--server", f"127.0.0.1:{server.port}", "--", file, status=0)
            came = server.messages[0]
            expect("BODY=BINARYMIME" in came.mail, came.mail)
            expect(came.octets == header + body, "the octets differ")
        with sink.running(keywords=("SIZE",)) as server:
            to = ("--server", f"127.0.0.1:{server.port}")
            run(*words, *to, "--", file, status=1)
            expect(not server.messages, "it was sent all the same")
            run(*words, *to, "--eight-bit", "convert", "--", file, status=0)
            came = email.message_from_bytes(server.messages[0].octets)
            expect(came.get_payload(decode=True) == body, "the octets differ")
