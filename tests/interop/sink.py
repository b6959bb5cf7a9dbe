"""An SMTP server that takes everything and remembers it: on any addresses, with TLS and XOAUTH2 if
wanted, as slow as wanted. In a thread of its own."""

import asyncio
import base64
import contextlib
import dataclasses
import socket
import threading
import time

from harness import free_port

REFUSED_TOKEN = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"smtp"}').decode()


@dataclasses.dataclass
class Message:
    """One that got its 250."""

    reverse_path: str
    recipients: list
    octets: bytes
    address: str
    connection: int
    at: float
    user: str
    mail: str = ""

    @property
    def mark(self):
        """Message-ID."""
        for line in self.octets.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
            if line.lower().startswith(b"message-id: "):
                return line[12:].decode(errors="replace")
        return None


class Sink:
    """`tls`: an SSLContext, and STARTTLS is needed before MAIL. `token`: says whether a user's access
    token is good, and AUTH is needed before MAIL. `delay`: seconds, asked before each final reply.
    `keywords`: what EHLO lists."""

    KEYWORDS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 100000000")

    def __init__(self, addresses=("127.0.0.1",), port=None, tls=None, token=None, delay=None,
                 keywords=KEYWORDS):
        self.keywords = keywords
        self.addresses, self.port = addresses, port or free_port()
        self.tls, self.token, self.delay = tls, token, delay
        self.messages = []
        self.connections = []  # (time, address) of each that came
        self.standing = self.most_standing = 0
        self.logins = []  # (user, token, good)
        self.away = False  # closes what comes
        self.loop = asyncio.new_event_loop()
        self.servers = {}
        self.thread = threading.Thread(target=self.serve, daemon=True)

    # --- control, from other threads

    def start(self):
        """Listens."""
        self.thread.start()
        for address in self.addresses:
            self.open(address)
        return self

    def open(self, address):
        """Listens there."""
        self.call(self.listen(address))

    def shut(self, address):
        """Listens there no more."""

        async def close():
            self.servers.pop(address).close()

        self.call(close())

    def stop(self):
        """Ends."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def call(self, coroutine):
        """Runs something in the sink's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def serve(self):
        """The thread."""
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def listen(self, address):
        self.servers[address] = await asyncio.start_server(
            self.connected, address, self.port, limit=1 << 26, backlog=512)

    # --- one connection

    async def connected(self, reader, writer):
        address = writer.get_extra_info("sockname")[0]
        number = len(self.connections)
        self.connections.append((time.monotonic(), address))
        self.standing += 1
        self.most_standing = max(self.most_standing, self.standing)
        # Replies are small and come one by one.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if not self.away:
                await Session(self, reader, writer, address, number).run()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            self.standing -= 1
            with contextlib.suppress(OSError):
                writer.close()


class Session:
    """The dialogue."""

    def __init__(self, sink, reader, writer, address, number):
        self.sink, self.reader, self.writer = sink, reader, writer
        self.address, self.number = address, number
        self.secure, self.user = False, ""
        self.reverse_path, self.recipients = None, []
        self.mail, self.chunks = "", b""

    def say(self, text):
        """A reply; written at once, sent when the client waits for it."""
        self.writer.write(text.encode() + b"\r\n")

    async def line(self):
        """A command."""
        await self.writer.drain()
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode(errors="replace").rstrip()

    async def run(self):
        self.say("220 sink.test ESMTP")
        while True:
            line = await self.line()
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                self.say("221 2.0.0 bye")
                await self.writer.drain()
                return
            handler = getattr(self, "do_" + verb, None)
            if handler is None:
                self.say("500 5.5.1 what?")
            else:
                await handler(line)

    async def wait(self, seconds):
        """As long as the client is there: one that is gone hears nothing."""
        end = time.monotonic() + seconds
        while True:
            await asyncio.sleep(max(0, min(end - time.monotonic(), 0.02)))
            if self.reader.at_eof() or self.reader.exception() or self.writer.is_closing():
                raise EOFError
            if time.monotonic() >= end:
                return

    async def do_EHLO(self, _):
        keywords = ["sink.test", *self.sink.keywords]
        if self.sink.tls and not self.secure:
            keywords.append("STARTTLS")
        elif self.sink.token:
            keywords.append("AUTH XOAUTH2")
        for keyword in keywords[:-1]:
            self.say("250-" + keyword)
        self.say("250 " + keywords[-1])

    async def do_STARTTLS(self, _):
        self.say("220 2.0.0 go on")
        await self.writer.start_tls(self.sink.tls)
        self.secure = True

    async def do_AUTH(self, line):
        words = line.split(" ")
        if words[1].upper() != "XOAUTH2" or not self.sink.token:
            return self.say("504 5.5.4 no such mechanism")
        if len(words) < 3:
            self.say("334 ")
            words.append(await self.line())
        # XOA-1: user=U ^A auth=Bearer T ^A ^A
        fields = base64.b64decode(words[2]).decode().split("\x01")
        user, token = fields[0].removeprefix("user="), fields[1].removeprefix("auth=Bearer ")
        good = self.sink.token(user, token)
        self.sink.logins.append((user, token, good))
        if good:
            self.user = user
            return self.say("235 2.7.0 Authentication successful")
        self.say("334 " + REFUSED_TOKEN)
        await self.line()
        self.say("535 5.7.3 Authentication unsuccessful")

    async def do_MAIL(self, line):
        if self.sink.tls and not self.secure:
            return self.say("530 5.7.0 Must issue a STARTTLS command first")
        if self.sink.token and not self.user:
            return self.say("530 5.7.57 Client not authenticated to send mail")
        self.reverse_path, self.recipients = line.split("<")[1].split(">")[0], []
        self.mail, self.chunks = line, b""
        self.say("250 2.1.0 ok")

    async def do_RCPT(self, line):
        self.recipients.append(line.split("<")[1].split(">")[0])
        self.say("250 2.1.5 ok")

    async def do_RSET(self, _):
        self.reverse_path, self.recipients = None, []
        self.say("250 2.0.0 ok")

    async def do_DATA(self, _):
        if self.reverse_path is None or not self.recipients:
            return self.say("503 5.5.1 MAIL and RCPT first")
        self.say("354 go on")
        await self.writer.drain()
        content = await self.reader.readuntil(b"\r\n.\r\n")
        await self.take((b"\r\n" + content[:-3]).replace(b"\r\n.", b"\r\n")[2:])

    async def do_BDAT(self, line):
        """RFC 3030: so many octets, whatever they are."""
        words = line.split(" ")
        self.chunks += await self.reader.readexactly(int(words[1]))
        if not self.recipients:
            return self.say("503 5.5.1 MAIL and RCPT first")
        if len(words) < 3:
            return self.say("250 2.0.0 have it")
        await self.take(self.chunks)

    async def take(self, octets):
        """The content is complete."""
        if self.sink.delay:
            await self.wait(self.sink.delay())
        self.sink.messages.append(Message(
            self.reverse_path, self.recipients, octets, self.address, self.number,
            time.monotonic(), self.user, self.mail))
        self.reverse_path = None
        self.say("250 2.6.0 kept")


@contextlib.contextmanager
def running(*arguments, **options):
    """A sink that runs while the block does."""
    sink = Sink(*arguments, **options).start()
    try:
        yield sink
    finally:
        sink.stop()
