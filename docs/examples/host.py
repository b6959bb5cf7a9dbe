#!/usr/bin/env python3
"""A host of the component in another language: takes mail on a port and prints it.

    pip install wasmtime
    host.py COMPONENT [PORT]          (default port: 2525, on 127.0.0.1)

One instance for each connection, the two imports and nothing else, limits on memory and time, and
the checks of form that this example cannot do without. No TLS, no AUTH, no timeouts, one connection
at a time: see docs/embedding.md for what a real host adds.
"""

import os
import socket
import sys
import threading
import time

import wasmtime
from wasmtime.component import Component, Linker, Record, Variant

PACKAGE, VERSION = "pillarbox:submission", "0.1.0-draft"
IMPORTS = {f"{PACKAGE}/types", "wasi:clocks/wall-clock", "wasi:random/random"}
BUFFER = 65_536  # most octets of one call
LINE = 12_288  # most octets that a session may leave unconsumed
ACTIONS = 64  # most actions of one call
TICK, TICKS = 0.05, 4  # a call may take four ticks of 50 ms


class Violation(Exception):
    """The component broke the contract."""


def record(**fields):
    """A record of the contract; its names have hyphens."""
    value = Record()
    value.__dict__.update({name.replace("_", "-"): field for name, field in fields.items()})
    return value


def settings(serial):
    """Who may connect needs no identity here; nothing is asked but to store."""
    return record(
        hostname="mail.example.org", serial=serial, admission="welcome", tls="absent",
        mechanisms=[], clear_text=False, authentication_required=False, extensions={"smtputf8"},
        max_message_size=10_000_000, max_recipients=100, max_hold=0, min_deliver_by=0,
        ntlm_domain="MAIL", ntlm_computer="MAIL", ask_sender=False, ask_recipient=False,
        add_date=True, add_message_id=True, add_sender=False, check_header_domains=False,
        keep_bcc=False, bare_lf="reject", legacy_auth_line=False,
    )


class Build:
    """A component that this host is willing to run."""

    def __init__(self, path):
        config = wasmtime.Config()
        config.epoch_interruption = True
        self.engine = wasmtime.Engine(config)
        self.component = Component.from_file(self.engine, path)
        imports = list(self.component.type.imports(self.engine))
        foreign = [name for name in imports if name.split("@")[0] not in IMPORTS]
        if foreign:
            raise Violation(f"it imports {foreign[0]}")
        self.linker = Linker(self.engine)
        with self.linker.root() as root:
            for name in imports:
                if name.startswith("wasi:clocks/"):
                    with root.add_instance(name) as clock:
                        clock.add_func("now", lambda _: self.now())
                elif name.startswith("wasi:random/"):
                    with root.add_instance(name) as chance:
                        chance.add_func("get-random-bytes", lambda _, n: os.urandom(min(n, 4096)))
        threading.Thread(target=self.tick, daemon=True).start()

    @staticmethod
    def now():
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        return record(seconds=seconds, nanoseconds=nanoseconds)

    def tick(self):
        while True:
            time.sleep(TICK)
            self.engine.increment_epoch()


class Session:
    """`server.session` in an instance of its own."""

    def __init__(self, build, serial, peer):
        self.store = wasmtime.Store(build.engine)
        self.store.set_limits(memory_size=8 << 20)
        self.store.set_epoch_deadline(TICKS)
        self.instance = build.linker.instantiate(self.store, build.component)
        self.server = self.instance.get_export_index(self.store, f"{PACKAGE}/server@{VERSION}")
        self.session = self.function("[static]session.start", settings(serial), peer)

    def function(self, name, *arguments):
        function = self.instance.get_func(
            self.store, self.instance.get_export_index(self.store, name, self.server))
        self.store.set_epoch_deadline(TICKS)
        answer = function(self.store, *arguments)
        function.post_return(self.store)
        if isinstance(answer, Variant):  # result<_, fault>
            if answer.tag == "err":
                raise Violation(answer.payload.text)
            return answer.payload
        return answer

    def call(self, name, given, *arguments):
        """One call; its progress, once its form is right."""
        progress = self.function(f"[method]session.{name}", self.session, *arguments)
        rest = given - progress.consumed
        last = progress.actions[-1].tag if progress.actions else None
        if rest < 0 or len(progress.actions) > ACTIONS:
            raise Violation("consumed more than was given, or too many actions")
        if rest > LINE and progress.question is None and last != "close":
            raise Violation("neither consumes nor asks nor ends")
        for action in progress.actions:
            if action.tag == "content" and (
                action.payload.offset + action.payload.length > progress.consumed
            ):
                raise Violation("a span outside the buffer")
        return progress


def serve(build, connection, serial, peer):
    """THE loop, as wit/submission.wit has it."""
    session = Session(build, serial, peer)
    buffer, envelope, content, answered = b"", None, None, False
    progress = session.call("open", 0)
    while True:
        if content is None and progress.envelope is not None:
            envelope, content = begin(progress.envelope, serial), bytearray()
        for action in progress.actions:
            match action.tag:
                case "send":
                    connection.sendall(action.payload)
                case "content":
                    end = action.payload.offset + action.payload.length
                    content += buffer[action.payload.offset:end]
                case "insert":
                    content += action.payload
                case "abandon":  # an envelope beside it is the next message's
                    content = None
                    if progress.envelope not in (None, envelope):
                        envelope, content = begin(progress.envelope, serial), bytearray()
                case "report":
                    print(f"{serial}: {action.payload}", file=sys.stderr)
                case "close":
                    return
                case other:  # start-tls, pass: nothing in the settings allows them
                    raise Violation(f"{other} was not offered")
        buffer = buffer[progress.consumed:]
        if progress.question is not None:
            if progress.question.tag != "store" or content is None:
                raise Violation(f"asks {progress.question.tag}")
            keep(envelope, content)
            content, answered = None, True
            progress = session.call("resume", 0, Variant("stored"))
            continue
        # What was left when the session had to ask is offered again at once.
        if not (answered and buffer):
            octets = connection.recv(BUFFER - len(buffer))
            if not octets:
                return
            buffer += octets
        answered = False
        progress = session.call("receive", len(buffer), buffer)


def begin(envelope, serial):
    if not envelope.id.startswith(f"{serial}-"):
        raise Violation("a message identifier without the connection's serial")
    return envelope


def keep(envelope, content):
    """A real host answers `stored` only when the message is on the disk."""
    recipients = ", ".join(path.mailbox for path in getattr(envelope, "forward-paths"))
    print(f"{envelope.id}: {len(content)} octets for {recipients}")
    print(content.decode(errors="replace").replace("\r\n", "\n"), flush=True)


def main():
    build = Build(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 2525
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"listening 127.0.0.1:{port}", flush=True)
        number = 0
        while True:
            connection, (address, peer_port) = listener.accept()
            number += 1
            with connection:
                try:
                    serve(build, connection, f"c{number}", record(address=address, port=peer_port))
                except (Violation, wasmtime.WasmtimeError, wasmtime.Trap) as error:
                    print(f"c{number}: ended by its component: {error}", file=sys.stderr)
                    connection.sendall(b"421 4.3.0 mail.example.org internal error\r\n")


if __name__ == "__main__":
    main()
