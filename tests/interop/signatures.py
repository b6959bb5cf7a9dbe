"""DKIM signatures, verified by dkimpy with the records that `pillarbox dkim key` prints; and what a
site may have against a message: From, recipients, a check command."""

import atexit
import contextlib
import json
import pathlib
import shutil
import smtplib
import tempfile

import dkim

import harness
from harness import PASSWORD, USER, case, delivered, expect, run, wait_for

CHECK = "if grep -q FORBIDDEN; then echo 'not this word'; exit 1; fi"


class Signing(harness.Service):
    """A service with a key of each kind for example.org, and rules."""

    def __init__(self, folder):
        super().__init__(folder)
        self.records = {}
        tables = []
        for selector, algorithm in (("rsa2026", "rsa"), ("ed2026", "ed25519")):
            file = self.folder / f"{selector}.pem"
            told = run(harness.binary(), "dkim", "key", "--domain", "example.org", "--selector",
                       selector, "--algorithm", algorithm, "--out", file, "--json", status=0)
            record = json.loads(told.stdout)
            expect(record["made"] and record["algorithm"] == algorithm, f"made: {record}")
            expect("".join(record["strings"]) == record["text"], "the strings are not the text")
            expect(max(map(len, record["strings"])) <= 255, "a string of more than 255 octets")
            self.records[record["name"] + "."] = record["text"]
            tables.append(f'[[dkim]]\ndomain = "example.org"\nsubdomains = true\n'
                          f'selector = "{selector}"\nkey = "{file}"\nexpire = "7d"\n')
        with open(self.config, "a", encoding="utf-8") as config:
            config.write(f"""
[submission]
from = "own"
local-domain = "example.org"
check = "{CHECK}"

[[route]]
domains = ["*.example.org"]
deliver = "maildir:{self.mail}/{{domain}}/{{local}}"
""")
            config.write("\n".join(tables))

    def record(self, name, timeout=None):
        """What the DNS would say."""
        name = name.decode() if isinstance(name, bytes) else name
        text = self.records.get(name)
        return text.encode() if text else None

    def submit(self, octets, to="bob@example.net", sender=USER):
        """Sends octets as they are, but for dots."""
        with smtplib.SMTP("127.0.0.1", self.clear, local_hostname="client.example.org") as client:
            client.login(USER, PASSWORD)
            return client.sendmail(sender, [to], octets, mail_options=["BODY=8BITMIME"])


@contextlib.contextmanager
def signing():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-signatures-"))
    try:
        running = Signing(folder)
        running.command("user", "add", USER, "--password-stdin", input=(PASSWORD + "\n").encode(),
                        status=0)
        running.command("user", "allow", USER, "--sender", "*@news.example.org", "--sender",
                        "*@unsigned.example", "--recipient", "@example.net", "--recipient",
                        "bob@host.example.org", status=0)
        found = running.command("check", "--json", status=0)
        findings = [json.loads(line) for line in found.stdout.splitlines()]
        expect(not [one for one in findings if "dkim" in one["key"]], f"check: {findings}")
        running.start()
        try:
            yield running
        finally:
            if running.child.poll() is None:
                running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SHARED = []


def shared():
    """The one service of all cases, which ends with this program."""
    if not SHARED:
        stack = contextlib.ExitStack()
        SHARED.append(stack.enter_context(signing()))
        atexit.register(stack.close)
    return SHARED[0]


FROM = b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\n"

ODD = {
    "plain": FROM + b"Subject: hello\r\n\r\nHello\r\n",
    "folded": FROM + b"Subject: one\r\n\ttwo  three \r\n   four\r\nX-A:  b\r\n\r\nHello\r\n",
    "empty body": FROM + b"Subject: empty\r\n\r\n",
    "no body": FROM + b"Subject: none\r\n",
    "trailing empty lines": FROM + b"Subject: lines\r\n\r\nHello\r\n\r\n\r\n\r\n",
    "only empty lines": FROM + b"Subject: lines\r\n\r\n\r\n\r\n",
    "white space": FROM + b"Subject:\t  a \t\r\n\r\n a  b\t \r\n \t\r\nc \r\n  \r\n\t\r\n",
    "eight bits": FROM + "Subject: Grüße\r\n\r\nGrüße aus Köln\r\n".encode(),
    "latin-1": FROM + b"Subject: x\r\n\r\nGr\xfc\xdfe\r\n",
    "no end of line": FROM + b"Subject: end\r\n\r\nthe last line",
    "dots": FROM + b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n",
    "long": FROM + b"Subject: long\r\n\r\n" + b"x" * 990 + b"\r\n",
    "empty subject": FROM + b"Subject:\r\n\r\nx\r\n",
    "no subject": FROM + b"\r\nx\r\n",
    "several fields": FROM + b"Comments: a\r\nComments: b\r\nReferences: <a@b>\r\nReferences: <c@d>\r\n\r\nx\r\n",
    "group": b"From: Team: alice@example.org;\r\nTo: bob@example.net\r\n\r\nx\r\n",
    "encoded word": b"From: =?utf-8?q?ceo=40example=2Ecom?= <alice@example.org>\r\n\r\nx\r\n",
    "signed already": b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x;\r\n h=from; bh=; b=\r\n"
                      + FROM + b"\r\nx\r\n",
    "larger than a row": FROM + b"Subject: large\r\n\r\n" + b"0123456789 abcdef\r\n" * 40_000,
}


def signatures(octets):
    """How many signatures of ours stand first, and all of them."""
    head = octets.split(b"\r\n\r\n")[0]
    fields = harness.fields(head)
    own = [field for field in fields if field.startswith(b"DKIM-Signature: ")
           and b"d=example.org" in field]
    return fields, own


@case("R6409-8.5: dkimpy verifies both signatures of every odd message")
def verified(_context):
    running = shared()
    for count, (name, octets) in enumerate(ODD.items()):
        mark = b"X-Case: %d.\r\n" % count
        running.submit(mark + octets)
        stored = delivered(running, "bob@example.net", mark)
        fields, own = signatures(stored)
        expect(len(own) == 2, f"{name}: {len(own)} signatures")
        # Ours first, below what delivery added.
        expect(fields[1:3] == own, f"{name}: not first: {fields}")
        for index, algorithm in enumerate((b"a=rsa-sha256;", b"a=ed25519-sha256;")):
            expect(algorithm in own[index], f"{name}: {own[index]}")
            verifier = dkim.DKIM(stored)
            good = verifier.verify(idx=index, dnsfunc=running.record)
            expect(good, f"{name}: {algorithm.decode()} does not verify")
            damaged = stored.replace(b"From: ", b"From: X", 1)
            bad = dkim.DKIM(damaged).verify(idx=index, dnsfunc=running.record)
            expect(not bad, f"{name}: a changed From verifies")


@case("R6409-8.5: the author's domain decides who signs")
def authors(_context):
    running = shared()
    running.submit(b"X-Case: below.\r\nFrom: x@news.example.org\r\n\r\nx\r\n",
                   sender="x@news.example.org")
    stored = delivered(running, "bob@example.net", b"X-Case: below.")
    expect(dkim.verify(stored, dnsfunc=running.record), "a domain below does not verify")
    running.submit(b"X-Case: other.\r\nFrom: x@unsigned.example\r\n\r\nx\r\n")
    stored = delivered(running, "bob@example.net", b"X-Case: other.")
    expect(b"DKIM-Signature" not in stored, "signed without a key")


@case("R6409-8.5: a new key is in force without a restart")
def renewed(_context):
    running = shared()
    file = running.folder / "rsa2026.pem"
    file.unlink()
    told = run(harness.binary(), "dkim", "key", "--domain", "example.org", "--selector",
               "rsa2026", "--out", file, "--json", status=0)
    running.records["rsa2026._domainkey.example.org."] = json.loads(told.stdout)["text"]
    wait_for(lambda: b"new DKIM key in force" in running.log.read_bytes(), "the new key", 20)
    running.submit(b"X-Case: new.\r\n" + ODD["plain"])
    stored = delivered(running, "bob@example.net", b"X-Case: new.")
    expect(dkim.verify(stored, dnsfunc=running.record), "the new key does not verify")


def refusal(running, octets, **options):
    """Code and text of the refusal."""
    try:
        running.submit(octets, **options)
    except smtplib.SMTPRecipientsRefused as refused:
        return next(iter(refused.recipients.values()))
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code, refused.smtp_error
    return 250, b""


@case("R6409-6.3-b: From of somebody else is refused where it must be one's own")
def own_from(_context):
    running = shared()
    code, text = refusal(running, b"From: ceo@example.org\r\n\r\nx\r\n")
    expect((code, text[:5]) == (550, b"5.7.1"), f"{code} {text}")
    code, text = refusal(running, b"From: alice@example.org, ceo@example.org\r\n\r\nx\r\n")
    expect((code, text[:5]) == (550, b"5.7.1"), f"{code} {text}")
    expect(refusal(running, ODD["plain"])[0] == 250, "one's own From is refused")


@case("R6409-6.3-c: a check command refuses with its own words")
def check_command(_context):
    running = shared()
    code, text = refusal(running, FROM + b"\r\nthis is FORBIDDEN\r\n")
    expect((code, text) == (550, b"5.7.0 not this word"), f"{code} {text}")
    large = FROM + b"\r\n" + b"0123456789\r\n" * 60_000
    code, text = refusal(running, large + b"FORBIDDEN\r\n")
    expect((code, text) == (550, b"5.7.0 not this word"), f"{code} {text}")
    expect(refusal(running, ODD["plain"])[0] == 250, "a good message is refused")


@case("R6409-6.2: a user reaches only the recipients of his record")
def recipients(_context):
    running = shared()
    code, text = refusal(running, ODD["plain"], to="bob@example.org")
    expect((code, text[:5]) == (550, b"5.7.1"), f"{code} {text}")
    expect(refusal(running, ODD["plain"])[0] == 250, "a listed recipient is refused")


@case("R6409-4.2-b: a name of one label is completed where it is configured")
def local_domain(_context):
    running = shared()
    running.submit(b"X-Case: label.\r\n" + ODD["plain"], to="bob@host")
    delivered(running, "bob@host.example.org", b"X-Case: label.")
