#!/usr/bin/env python3
"""kill -9 at random moments under load: every message that was answered 250 is found afterwards,
intact, once.

    kill9.py [--rounds N] [--seed N]      (default: $CRASH_ROUNDS, else 25)

A round starts the service, lets several threads submit, kills its process group with SIGKILL and
goes on with the next round on the same spool. After every tenth round, and at the end, everything
is counted: messages of the hold route in the queue, those of the Maildir route in their Maildirs.
What has been counted is removed, so that the counting stays quick.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

from harness import Failure, binary, free_port, run, wait_for  # noqa: E402

THREADS = 6
CHECK_EVERY = 10
HELD, FILED = "box@hold.example", "box@example.net"


class Load:
    """What was sent, and what was promised."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # mark -> (recipient, octets): whatever was offered
        self.accepted = {}  # mark -> identifier: answered 250
        self.count = 0

    def new(self, random_):
        """A message that nobody sent before; one in twenty is large enough for a file."""
        with self.lock:
            self.count += 1
            mark = f"<{self.count}.{os.getpid()}@crash.example>"
        size = random_.randrange(300_000, 700_000) if random_.random() < 0.05 else random_.randrange(8_000)
        head = (f"From: a@example.org\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
                f"Message-ID: {mark}\r\nSubject: crash\r\n\r\n").encode()
        line = random_.randbytes(36).hex().encode() + b"\r\n"
        octets = head + line * (size // len(line)) + f"end of {mark}\r\n".encode()
        recipient = HELD if random_.random() < 0.5 else FILED
        with self.lock:
            self.sent[mark] = (recipient, octets)
        return mark, recipient, octets


def submit(load, port, stop, seed):
    """One peer: a connection, a few messages on it, another connection, until the service dies."""
    random_ = random.Random(seed)
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as stream:
                stream.settimeout(30)
                session(load, stream.makefile("rwb"), random_)
        except (OSError, EOFError, ValueError):
            time.sleep(0.02)


def session(load, file, random_):
    def reply():
        while True:
            line = file.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                return line

    def expect(code):
        line = reply()
        if not line.startswith(code):
            raise ValueError(line)
        return line

    expect(b"220")
    file.write(b"EHLO crash.example\r\n")
    file.flush()
    expect(b"250")
    for _ in range(random_.randrange(1, 30)):
        mark, recipient, octets = load.new(random_)
        file.write(f"MAIL FROM:<a@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        file.flush()
        for code in (b"250", b"250", b"354"):
            expect(code)
        file.write(octets + b".\r\n")
        file.flush()
        line = expect(b"250 2.6.0 queued as ")
        with load.lock:
            load.accepted[mark] = line.split()[-1].decode()


class Service:
    """The service in its scratch folder."""

    def __init__(self, folder):
        self.folder = folder
        self.mail = folder / "mail"
        self.port = free_port()
        self.config = folder / "pillarbox.toml"
        self.log = folder / "service.log"
        self.child = None
        self.config.write_text(
            f"""hostname = "mail.example.org"
state-dir = "{folder}/state"

[[listener]]
address = "127.0.0.1:{self.port}"
tls = "none"
auth = "off"
networks = ["127.0.0.0/8"]

[[route]]
domains = ["hold.example"]
deliver = "hold"

[[route]]
domains = ["example.net"]
deliver = "maildir:{self.mail}/{{domain}}/{{local}}"
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

    def tail(self):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

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

    def queue(self, *arguments, status=0):
        """What a queue verb prints."""
        return run(binary(), "queue", *arguments, "--config", self.config, status=status,
                   timeout=120).stdout

    def entries(self):
        """What is queued."""
        return [json.loads(line) for line in self.queue("list", "--json").splitlines()]


def contents(service, entries):
    """The stored octets of the entries, a hundred at a time: `size` says where each ends."""
    found = {}
    for start in range(0, len(entries), 100):
        batch = entries[start : start + 100]
        # A message that cannot be shown is damaged, and counted as such below.
        octets = service.queue("show", *[entry["id"] for entry in batch], "--content", status=None)
        if len(octets) == sum(entry["size"] for entry in batch):
            for entry in batch:
                found[entry["id"]], octets = octets[: entry["size"]], octets[entry["size"] :]
        else:
            for entry in batch:
                found[entry["id"]] = service.queue("show", entry["id"], "--content", status=None)
    return found


def mark_of(octets):
    """The Message-ID of a message."""
    for line in octets.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.startswith(b"Message-ID: "):
            return line[12:].decode(errors="replace")
    return None


def verify(service, load, totals):
    """Counts everything, then removes it. The service runs."""

    def settled():
        entries = service.entries()
        moving = [entry for entry in entries
                  if any(one["mailbox"] == FILED for one in entry["recipients"])]
        return None if moving else [entries]

    entries = wait_for(settled, "the delivery of what is queued", 180)[0]
    found = {}
    stored = contents(service, entries)
    files = sorted(service.mail.rglob("new/*"))
    for place, octets in [*stored.items(), *((file.name, file.read_bytes()) for file in files)]:
        mark = mark_of(octets)
        sent = load.sent.get(mark)
        if sent is None or not octets.endswith(b"\r\n" + sent[1]):
            totals["damaged"] += 1
            print(f"damaged: {place}, {mark}", flush=True)
        found.setdefault(mark, []).append(place)
    for mark, places in found.items():
        if len(places) > 1:
            totals["doubled"] += 1
            print(f"doubled: {mark}: {places}", flush=True)
    for mark, identifier in load.accepted.items():
        if mark not in found:
            totals["lost"] += 1
            print(f"lost: {identifier}, {mark}, for {load.sent[mark][0]}", flush=True)
        elif load.sent[mark][0] == HELD and identifier not in stored:
            totals["lost"] += 1
            print(f"lost: {identifier}: {mark} is stored as {found[mark]}", flush=True)
    totals["accepted"] += len(load.accepted)
    for start in range(0, len(entries), 100):
        service.queue("remove", *[entry["id"] for entry in entries[start : start + 100]])
    for file in files:
        file.unlink()
    load.sent.clear()
    load.accepted.clear()


def one_round(service, load, random_):
    """Start, load, kill."""
    if random_.random() < 0.15:
        # In the middle of starting, perhaps of recovering.
        service.start(wait=False)
        time.sleep(random_.uniform(0, 0.4))
        service.kill()
        return
    service.start()
    stop = threading.Event()
    threads = [threading.Thread(target=submit, args=(load, service.port, stop, random_.random()))
               for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(random_.uniform(0.02, 1.2))
    service.kill()
    stop.set()
    for thread in threads:
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("CRASH_ROUNDS") or 25))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random_ = random.Random(arguments.seed)
    totals = {"accepted": 0, "lost": 0, "damaged": 0, "doubled": 0}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-crash-"))
    service, load = Service(folder), Load()
    failed = True
    try:
        for number in range(1, arguments.rounds + 1):
            one_round(service, load, random_)
            if number % CHECK_EVERY == 0 or number == arguments.rounds:
                service.start()
                verify(service, load, totals)
                service.stop()
                said = ", ".join(f"{key} {value}" for key, value in totals.items())
                print(f"rounds {number}, {said}", flush=True)
        failed = bool(totals["lost"] or totals["damaged"] or totals["doubled"]) or not totals["accepted"]
    except Failure as failure:
        print(f"FAILED: {failure}\n{service.tail()}", flush=True)
    finally:
        if service.child and service.child.poll() is None:
            service.kill()
        if failed:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
