"""The server role, met by nodemailer, which most programs in Node.js send their mail with."""

import base64
import email
import email.policy
import json
import os

import mechanisms
from harness import HERE, OTHER, OTHER_PASSWORD, PASSWORD, USER, case, delivered, expect, run

TO = "bob@example.net"
# What a nodemailer message must bring with it: letters of several scripts, and a binary file.
TEXT = "Grüße aus Köln\n.\n..\nпривет\n"
FILE = bytes(range(256)) * 9


def submit(running, messages, **transport):
    """Sends the messages; a list of what became of them."""
    transport = {"host": "localhost", "name": "client.example.org", "ca": str(running.ca), **transport}
    argument = json.dumps({"transport": transport, "messages": messages})
    done = run("node", HERE / "node" / "submit.js", argument, status=0)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def with_attachment(number):
    """Options of a message, and its Message-ID."""
    identifier = f"<nodemailer-{number}-{os.getpid()}@client.example.org>"
    return {
        "from": f"Alice Ärmel <{USER}>", "to": TO, "subject": "Grüße", "messageId": identifier,
        "text": TEXT,
        "attachments": [{"filename": "all octets.bin", "encoding": "base64",
                         "content": base64.b64encode(FILE).decode()}],
    }, identifier


def check(running, identifier):
    """The message arrived, and its parts are what was put in."""
    octets = delivered(running, TO, identifier.encode())
    found = email.message_from_bytes(octets, policy=email.policy.default)
    expect(not found.defects, f"defects: {found.defects}")
    expect(found["subject"] == "Grüße", f"subject {found['subject']}")
    text, file = found.iter_parts()
    expect(text.get_content().replace("\r\n", "\n") == TEXT, f"text {text.get_content()!r}")
    expect(file.get_content() == FILE, "the file was damaged")


PLACES = {
    "starttls": lambda running: {"port": running.starttls, "requireTLS": True},
    "implicit": lambda running: {"port": running.implicit, "secure": True},
}

COUNT = [0]
for mechanism in ("PLAIN", "LOGIN"):
    for tls, place in PLACES.items():

        @case(f"nodemailer {mechanism}, {tls}")
        def nodemailer_case(running, mechanism=mechanism, place=place):
            COUNT[0] += 1
            sent, identifier = with_attachment(COUNT[0])
            auth = {"user": USER, "pass": PASSWORD}
            (became,) = submit(running, [sent], **place(running), auth=auth, authMethod=mechanism)
            expect(became.get("response", "").startswith("250 2.6.0 queued as "), f"{became}")
            check(running, identifier)


@case("R2195-2-a nodemailer CRAM-MD5")
def cram(_):
    COUNT[0] += 1
    sent, identifier = with_attachment(COUNT[0])
    running = mechanisms.own()
    auth = {"user": USER, "pass": PASSWORD}
    (became,) = submit(running, [sent], **PLACES["starttls"](running), auth=auth,
                       authMethod="CRAM-MD5")
    expect(became.get("response", "").startswith("250 2.6.0 queued as "), f"{became}")
    check(running, identifier)


@case("nodemailer: a pool sends many messages over one connection")
def pool(running):
    many = []
    for _ in range(5):
        COUNT[0] += 1
        many.append(with_attachment(COUNT[0]))
    became = submit(running, [sent for sent, _ in many], **PLACES["implicit"](running),
                    auth={"user": USER, "pass": PASSWORD}, pool=True, maxConnections=1)
    expect(all("response" in one and one["response"].startswith("250 ") for one in became), f"{became}")
    for _, identifier in many:
        check(running, identifier)


@case("nodemailer: DSN parameters of an envelope are taken")
def dsn(running):
    COUNT[0] += 1
    sent, identifier = with_attachment(COUNT[0])
    sent["dsn"] = {"id": "x1", "return": "headers", "notify": ["failure", "delay"], "recipient": USER}
    (became,) = submit(running, [sent], **PLACES["starttls"](running), auth={"user": USER, "pass": PASSWORD})
    expect(became.get("response", "").startswith("250 2.6.0 "), f"{became}")
    check(running, identifier)


@case("nodemailer: a wrong password is EAUTH with 535 5.7.8")
def wrong(running):
    COUNT[0] += 1
    sent, _ = with_attachment(COUNT[0])
    (became,) = submit(running, [sent], **PLACES["implicit"](running),
                       auth={"user": OTHER, "pass": OTHER_PASSWORD + "?"}, authMethod="PLAIN")
    expect(became["code"] == "EAUTH" and became["responseCode"] == 535, f"{became}")
    expect("535 5.7.8 " in became["response"], f"{became}")
