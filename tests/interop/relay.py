"""A pillarbox that relays: a service of its own with the routes of a test, a listener that takes
everything, a Maildir for the reports to senders, and what its queue says."""

import contextlib
import email
import email.policy
import itertools
import json
import os
import pathlib
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time

from harness import Failure, binary, expect, free_port, run, wait_for

SENDER = "alice@sender.test"
HOSTNAME = "relay.test"
# One for all relays: several may send to one server.
COUNT = itertools.count(1)
QUICK = 'retry = { first = "1s", longest = "2s", give-up = "1h" }'


class Relay:
    """The service. `routes` is TOML; `more` comes before it, for other tables."""

    def __init__(self, folder, routes="", more=""):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.config = self.folder / "pillarbox.toml"
        self.log = self.folder / "service.log"
        self.child = None
        self.configure(routes, more)

    def configure(self, routes, more=""):
        """Writes the configuration."""
        self.config.write_text(
            f"""hostname = "{HOSTNAME}"
state-dir = "{self.folder}/state"
{more}
[[listener]]
address = "127.0.0.1:{self.port}"
tls = "none"
auth = "off"
networks = ["127.0.0.0/8"]

{routes}
[[route]]
name = "senders"
domains = ["sender.test"]
deliver = "maildir:{self.folder}/mail/{{domain}}/{{local}}"
"""
        )

    def start(self, wait=True):
        """Starts it; with `wait`, until it listens."""
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [binary(), "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        if wait and not self.child.stdout.readline().startswith(b"listening "):
            raise Failure(f"the service does not start:\n{self.tail()}")
        return self

    def reload(self):
        """SIGHUP, for changed routes."""
        self.child.send_signal(signal.SIGHUP)

    def kill(self):
        """SIGKILL to the group that was started here."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.child.stdout.close()

    def stop(self):
        """SIGTERM."""
        self.child.terminate()
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure("the service does not end after SIGTERM") from None
        self.child.stdout.close()

    def tail(self, octets=4000):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-octets:] if self.log.exists() else ""

    # --- messages

    def content(self, mark=None):
        """A message with what is easily damaged, and its Message-ID."""
        number = next(COUNT)
        mark = mark or f"<{number}.{os.getpid()}@sender.test>"
        lines = [f"From: {SENDER}", "To: somebody@example.org", f"Subject: message {number}",
                 "Date: Wed, 25 Nov 2026 03:04:05 +0000", f"Message-ID: {mark}", "", ".", "..",
                 ".a dot first", "x" * 990, "trailing blanks  ", "the end", ""]
        return "\r\n".join(lines).encode(), mark

    def submit(self, recipients, sent=None, sender=SENDER):
        """Hands a message over; its octets."""
        sent = sent or self.content()[0]
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, recipients, sent)
        return sent

    # --- the queue

    def queue(self, *arguments, status=0):
        """What a queue verb prints."""
        return run(binary(), "queue", *arguments, "--config", self.config, status=status,
                   timeout=300).stdout

    def objects(self, *arguments):
        """What a queue verb prints with --json."""
        return [json.loads(line) for line in self.queue(*arguments, "--json").splitlines()]

    def fate(self, mailbox):
        """(state or end, all that is known as text) of a recipient; the history goes before."""
        queued = self.objects("list")
        for past in self.objects("history"):
            if past["mailbox"] == mailbox:
                return past["end"], json.dumps(past)
        for entry in queued:
            for recipient in entry["recipients"]:
                if recipient["mailbox"] == mailbox:
                    return recipient["state"], recipient["last_reply"] or ""
        return None, ""

    def becomes(self, mailbox, state, words="", seconds=40):
        """Waits until a recipient is in a state, with these words in its last reply."""
        last = []

        def so():
            last[:] = self.fate(mailbox)
            return last[0] == state and words.lower() in last[1].lower()

        try:
            wait_for(so, f"{mailbox} {state} {words}", seconds)
        except Failure as failure:
            raise Failure(f"{failure}; it is {last}\n{self.tail()}") from None
        return last[1]

    # --- reports

    def reports(self, number, sender=SENDER, seconds=30):
        """The reports to a sender, when there are so many: a list of fields for each recipient."""
        local, domain = sender.split("@")
        folder = self.folder / "mail" / domain / local / "new"

        def there():
            files = sorted(folder.glob("*")) if folder.is_dir() else []
            return files if len(files) >= number else None

        files = there() or [] if number == 0 else wait_for(there, f"{number} reports", seconds)
        expect(len(files) == number, f"{len(files)} reports, not {number}")
        told = []
        for file in files:
            message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            expect(message.get_content_type() == "multipart/report", f"{message['content-type']}")
            expect(message["auto-submitted"] == "auto-replied", "no Auto-Submitted")
            status = [part for part in message.iter_parts()
                      if part.get_content_type() == "message/delivery-status"]
            expect(len(status) == 1, "no message/delivery-status")
            # The first group is about the message.
            told += list(status[0].get_payload())[1:]
        return told

    def report(self, mailbox, status, diagnostic=""):
        """The one report says this about this recipient."""
        told = self.reports(1)
        expect(len(told) == 1, f"the report is about {len(told)} recipients")
        said = {name: str(told[0][name] or "") for name in
                ("Final-Recipient", "Action", "Status", "Diagnostic-Code")}
        good = (mailbox in said["Final-Recipient"] and said["Action"].lower() == "failed"
                and said["Status"] == status and diagnostic in said["Diagnostic-Code"])
        expect(good, f"the report says {said}, not {mailbox} {status} {diagnostic}")


@contextlib.contextmanager
def running(routes, more="", prepare=None):
    """A relay that runs while the block does. `routes` may name its folder as `{folder}`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-relay-"))
    try:
        if prepare:
            prepare(folder)
        routes = routes.replace("{folder}", str(folder))
        relay = Relay(folder, routes, more.replace("{folder}", str(folder)))
        relay.start()
        try:
            yield relay
        finally:
            if relay.child.poll() is None:
                relay.stop()
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def secret(folder, name, text):
    """A file that nobody else may read."""
    file = pathlib.Path(folder) / name
    file.touch(mode=0o600)
    file.write_text(text + "\n")
    return file


def settled(relay, seconds):
    """Waits until nothing is queued."""
    end = time.monotonic() + seconds
    while True:
        queued = relay.queue("list", "--json").count(b"\n")
        if not queued:
            return
        if time.monotonic() > end:
            raise Failure(f"{queued} messages are still queued\n{relay.tail()}")
        time.sleep(0.2)
