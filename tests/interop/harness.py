"""What the interop tests share: a case registry with a runner, the service under test with its
configuration in a scratch folder, messages, and the comparison of what was delivered.

Listens and connects on 127.0.0.1 alone. Ends every process that it started, by its id.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

USER = "alice@example.org"
PASSWORD = "s3cret+/=x"
# A second account, so that wrong passwords do not slow the first one down.
OTHER = "carol@example.org"
OTHER_PASSWORD = "an0ther-one"

HERE = pathlib.Path(__file__).resolve().parent


def binary():
    """The built program: $PILLARBOX, else the release build."""
    if os.environ.get("PILLARBOX"):
        return os.environ["PILLARBOX"]
    target = os.environ.get("CARGO_TARGET_DIR") or HERE.parents[1] / "target"
    return str(pathlib.Path(target) / "release" / "pillarbox")


class Failure(Exception):
    """An expectation that does not hold; the text says which."""


def expect(condition, text):
    """Fails the running case unless the condition holds."""
    if not condition:
        raise Failure(text)


# --- cases -------------------------------------------------------------------------------------

CASES = []


def case(name):
    """Registers a function as a case."""

    def register(function):
        CASES.append((name, function))
        return function

    return register


def run_cases(context):
    """Runs every case in the order of registration; the number of failures."""
    failed = 0
    for name, function in CASES:
        start = time.monotonic()
        try:
            function(context)
        except (Exception, SystemExit) as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
            if not isinstance(error, Failure):
                traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok     {name} ({time.monotonic() - start:.2f} s)", flush=True)
    print(f"{len(CASES) - failed} passed, {failed} failed", flush=True)
    return failed


# --- processes ---------------------------------------------------------------------------------


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*arguments, input=None, env=None, timeout=60, status=None):
    """Runs a program to its end. With `status` that exit status is expected."""
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        words,
        input=input,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
    )
    if status is not None and done.returncode != status:
        raise Failure(
            f"{' '.join(words)}: exit status {done.returncode}, not {status}\n"
            f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}"
        )
    return done


@contextlib.contextmanager
def process(*arguments, **options):
    """A program that runs while the block does; SIGTERM, then SIGKILL after ten seconds."""
    child = subprocess.Popen([str(argument) for argument in arguments], **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()


def wait_for(condition, what, seconds=15):
    """The first true value of `condition`, looked at ten times a second and more."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what} did not come within {seconds} s")
        time.sleep(0.05)


def wait_for_port(port, seconds=15):
    """Waits until something accepts connections there."""

    def accepts():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_for(accepts, f"a listener on port {port}", seconds)


# --- certificates ------------------------------------------------------------------------------


def certificates(folder):
    """An authority and a certificate for localhost: (ca.pem, cert.pem, key.pem)."""
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    if cert.exists():
        return ca, cert, key
    request, names = folder / "cert.csr", folder / "names"
    names.write_text("subjectAltName=DNS:localhost,DNS:mail.example.org,IP:127.0.0.1\n")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    run(*new, "-x509", "-days", "30", "-subj", "/CN=Pillarbox test authority",
        "-keyout", folder / "ca.key", "-out", ca, status=0)
    run(*new, "-subj", "/CN=localhost", "-keyout", key, "-out", request, status=0)
    run("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", folder / "ca.key",
        "-CAcreateserial", "-days", "30", "-extfile", names, "-out", cert, status=0)
    key.chmod(0o600)
    return ca, cert, key


# --- the service -------------------------------------------------------------------------------


class Service:
    """A running `pillarbox serve`, with four listeners and two routes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca, self.cert, self.key = certificates(self.folder)
        self.mail = self.folder / "mail"
        self.config = self.folder / "pillarbox.toml"
        self.log = self.folder / "service.log"
        self.password_file = self.secret_file("password", PASSWORD)
        self.starttls, self.implicit, self.clear, self.relay = (free_port() for _ in range(4))
        self.lines = []
        self.child = None
        self.config.write_text(
            f"""hostname = "mail.example.org"
state-dir = "{self.folder}/state"

[tls]
certificate = "{self.cert}"
key = "{self.key}"

[[listener]]
address = "127.0.0.1:{self.starttls}"
tls = "starttls"

[[listener]]
address = "127.0.0.1:{self.implicit}"
tls = "implicit"

[[listener]]
address = "127.0.0.1:{self.clear}"
tls = "none"
clear-text = true

[[listener]]
address = "127.0.0.1:{self.relay}"
tls = "none"
auth = "off"
networks = ["127.0.0.0/8"]
bare-lf = "convert"

[[route]]
domains = ["hold.example"]
deliver = "hold"

[[route]]
domains = ["example.net", "example.org"]
deliver = "maildir:{self.mail}/{{domain}}/{{local}}"
"""
        )

    def secret_file(self, name, secret):
        """A file that nobody else may read."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(secret + "\n")
        return file

    def command(self, *arguments, **options):
        """Runs another verb with the same configuration."""
        return run(binary(), *arguments, "--config", self.config, **options)

    def start(self):
        """Starts the service and waits for its `listening` lines."""
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [binary(), "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.lines = []
        for _ in range(4):
            line = self.child.stdout.readline().decode()
            if not line:
                raise Failure(f"the service ended:\n{self.log.read_text(errors='replace')}")
            self.lines.append(line.rstrip("\n"))

    def stop(self):
        """SIGTERM; the exit status."""
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(40)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failure("the service did not end within 40 s of SIGTERM") from None


@contextlib.contextmanager
def service():
    """A service with its users, in a scratch folder that goes with it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-interop-"))
    try:
        running = Service(folder)
        for name, password in ((USER, PASSWORD), (OTHER, OTHER_PASSWORD)):
            running.command("user", "add", name, "--password-stdin",
                            input=(password + "\n").encode(), status=0)
        running.start()
        try:
            yield running
        finally:
            if running.child.poll() is None:
                running.stop()
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


# --- messages ----------------------------------------------------------------------------------

COUNT = [0]


def message(to="bob@example.net", complete=True, eight_bit=True, extra=b""):
    """A message with what is easily damaged: lines of dots, long lines, trailing blanks, eight
    bits. Octets with CRLF, and its Message-ID."""
    COUNT[0] += 1
    identifier = f"<{COUNT[0]}.{os.getpid()}@client.example.org>"
    lines = [b"From: Alice <alice@example.org>", b"To: " + to.encode(), b"Subject: test"]
    if complete:
        lines += [b"Date: Fri, 02 Jan 2026 03:04:05 +0000", b"Message-ID: " + identifier.encode()]
    lines += [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8",
              b"Content-Transfer-Encoding: " + (b"8bit" if eight_bit else b"7bit")]
    lines += [b"X-Count: %d" % COUNT[0], b"X-Folded: one", b"\ttwo"]
    lines += [extra] if extra else []
    lines += [b"", b"Hello,", b".", b"..", b".begins with a dot", b"x" * 990, b"a tab\tand, at last",
              b"From the start of a line", b"", b"--", b"Alice"]
    if eight_bit:
        lines.insert(-2, "Grüße aus Köln".encode())
    return b"\r\n".join(lines) + b"\r\n", identifier


def delivered(running, to, mark):
    """The one file in the Maildir of `to` that has `mark`; its octets."""
    local, domain = to.split("@")
    folder = running.mail / domain / local / "new"

    def found():
        files = sorted(folder.glob("*")) if folder.is_dir() else []
        return [octets for octets in (file.read_bytes() for file in files) if mark in octets]

    files = wait_for(found, f"a message for {to}")
    time.sleep(0.1)
    files = found()
    expect(len(files) == 1, f"{len(files)} copies were delivered to {to}")
    return files[0]


TRACE = re.compile(
    rb"Received: from \S+ \(\[127\.0\.0\.1\]\) by mail\.example\.org with ([A-Z0-9]+)"
    rb" id ([A-Za-z0-9-]+)( tls [A-Z0-9_]+)?; \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)


def fields(head):
    """Unfolded header fields of octets that are nothing but fields."""
    lines = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b" " + line.strip()
        elif line:
            lines.append(line)
    return lines


def compare(octets, sent, protocol, reverse_path=USER, completed=()):
    """What was delivered is what was sent, octet for octet, below exactly one Return-Path, one
    Received and the fields that had to be completed."""
    expect(octets.endswith(sent), f"the message differs:\n{octets!r}\nis not\n{sent!r}")
    head = fields(octets[: len(octets) - len(sent)])
    expect(head[:1] == [f"Return-Path: <{reverse_path}>".encode()], f"no Return-Path first: {head}")
    trace = TRACE.fullmatch(head[1]) if len(head) > 1 else None
    expect(trace, f"no Received second: {head}")
    expect(trace[1] == protocol, f"with {trace[1].decode()}, not {protocol.decode()}")
    secure = b"S" in protocol.removeprefix(b"ESMTP").removeprefix(b"SMTP")
    expect(bool(trace[3]) == secure, f"tls clause: {head[1]!r}")
    names = [field.split(b":")[0] for field in head[2:]]
    expect(names == list(completed), f"completed fields are {names}, not {list(completed)}")
    return trace[2].decode()
