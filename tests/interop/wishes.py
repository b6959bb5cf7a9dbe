"""What a sender asks for, from the command to the Maildir or the report: held, in time, first; and
aliases."""

import contextlib
import smtplib
import tempfile
import time

import relay
from harness import case, expect, free_port, wait_for

MORE = """[aliases]
postmaster = "root"
root = ["one@here.test", "two"]
single = "one@here.test"
away = "far@example.org"

[extensions]
futurerelease = "1h"
deliverby = true
mt-priority = true
"""


@contextlib.contextmanager
def service():
    """A relay with a Maildir domain `here.test`, and a server that is away for `example.org`."""
    with tempfile.TemporaryDirectory(prefix="pillarbox-wishes-") as folder:
        routes = (f'[[route]]\nname = "here"\ndomains = ["here.test", "{relay.HOSTNAME}"]\n'
                  f'deliver = "maildir:{folder}/here/{{domain}}/{{local}}"\n'
                  '[[route]]\nname = "out"\ndomains = ["example.org"]\n'
                  f'deliver = "smtp://127.0.0.1:{free_port()}"\n{relay.QUICK}\n')
        own = relay.Relay(folder, routes, MORE)
        own.start()
        try:
            yield own
        finally:
            own.stop()


def send(own, recipients, mail=(), rcpt=(), sender=relay.SENDER):
    """Submits a message with parameters; its octets."""
    sent = own.content()[0]
    with smtplib.SMTP("127.0.0.1", own.port, timeout=30) as client:
        client.sendmail(sender, recipients, sent, mail_options=list(mail),
                        rcpt_options=list(rcpt))
    return sent


def inbox(own, mailbox):
    """What is in a Maildir of `here.test` or of this host."""
    local, domain = mailbox.split("@")
    folder = own.folder / "here" / domain / local / "new"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def told(own, number):
    """What the sender is told of so many recipients, by the address in Final-Recipient; how many
    reports it takes is chance."""
    folder = own.folder / "mail" / "sender.test" / "alice" / "new"

    def groups():
        files = list(folder.iterdir()) if folder.is_dir() else []
        found = own.reports(len(files)) if files else []
        return found if len(found) >= number else None

    found = wait_for(groups, f"told of {number} recipients", 30)
    expect(len(found) == number, f"told of {len(found)} recipients, not {number}")
    return {one["Final-Recipient"].split("; ")[1]: one for one in found}


@case("R6409-7-QUEUE: EHLO offers what the configuration says")
def offered(_):
    with service() as own, smtplib.SMTP("127.0.0.1", own.port, timeout=30) as client:
        client.ehlo("client.test")
        offers = client.esmtp_features
        for keyword in ("futurerelease", "deliverby", "mt-priority", "chunking", "smtputf8"):
            expect(keyword in offers, f"{keyword} is not in {offers}")
        expect(offers["futurerelease"].startswith("3600 "), offers["futurerelease"])
        # REQUIRETLS only under TLS (R8689-2), BINARYMIME only if it is switched on.
        expect("requiretls" not in offers and "binarymime" not in offers, str(offers))


@case("R4865-4: a message is held for the time that its sender asked for")
def held(_):
    with service() as own:
        begun = time.monotonic()
        send(own, ["one@here.test"], ["HOLDFOR=4"])
        listed = own.objects("list")
        expect(listed[0]["recipients"][0]["hold_until"], str(listed))
        expect(b"as its sender asked" in own.queue("list", "--why"), "the queue does not say so")
        # A retry is not a release.
        own.queue("retry", listed[0]["id"])
        time.sleep(1)
        expect(not inbox(own, "one@here.test"), "it was delivered early")
        wait_for(lambda: inbox(own, "one@here.test"), "delivered")
        expect(time.monotonic() - begun >= 4, "it was delivered early")


@case("R2852-4: mode R comes back with 5.4.7, mode N is told of and tried on")
def in_time(_):
    with service() as own:
        send(own, ["return@example.org"], ["BY=3;R"])
        send(own, ["notify@example.org"], ["BY=3;N"])
        found = {mailbox: (group["Action"], group["Status"])
                 for mailbox, group in told(own, 2).items()}
        expect(found.get("return@example.org") == ("failed", "5.4.7"), str(found))
        expect(found.get("notify@example.org") == ("delayed", "4.4.7"), str(found))
        expect(own.fate("return@example.org")[0] == "failed", "it is still tried")
        expect(own.fate("notify@example.org")[0] == "deferred", "it is not tried on")


@case("R3461-5.2.7: an alias of several is expanded, and says so; of one it is silent")
def aliases(_):
    with service() as own:
        send(own, [f"root@{relay.HOSTNAME}", "one@here.test"], ["ENVID=x1"], ["NOTIFY=SUCCESS"])
        wait_for(lambda: inbox(own, f"two@{relay.HOSTNAME}"), "delivered to the alias")
        wait_for(lambda: inbox(own, "one@here.test"), "delivered directly")
        actions = {mailbox: group["Action"] for mailbox, group in told(own, 2).items()}
        expect(actions == {f"root@{relay.HOSTNAME}": "expanded", "one@here.test": "delivered"},
               str(actions))
        expect(len(inbox(own, "one@here.test")) == 1, "somebody got it twice")
    with service() as own:
        # With one target the parameters go on.
        send(own, ["single@here.test"], (), ["NOTIFY=SUCCESS"])
        group = told(own, 1)["one@here.test"]
        expect(group["Action"] == "delivered", str(group))
        expect(group["Original-Recipient"] == "rfc822; single@here.test", str(group))


@case("R6409-8.7: aliases lead away, change with a reload, and leave the header alone")
def reloaded(_):
    with service() as own:
        sent = send(own, ["away@here.test"])
        own.becomes("far@example.org", "deferred")
        text = own.config.read_text()
        own.config.write_text(text.replace('away = "far@example.org"', 'away = "two@here.test"'))
        own.reload()

        def arrives():
            send(own, ["away@here.test"])
            return inbox(own, "two@here.test")

        wait_for(arrives, "the new alias")
        stored = inbox(own, "two@here.test")[0].read_bytes()
        expect(sent.split(b"\r\n")[1] in stored, "the To field was changed")
