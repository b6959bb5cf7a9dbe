"""Delivery by MX (RFC 5321 section 5.1, RFC 7505): a DNS server of the test's own, and servers on
several addresses of the loopback network."""

import contextlib

import dnslib
import dnslib.server

import relay
import sink
from harness import case, expect, free_port, wait_for

HERE, THERE = "127.0.0.2", "127.0.0.3"


class Zone(dnslib.server.BaseResolver):
    """Answers from a dictionary: (name, type) -> texts. A name without any record is not there."""

    def __init__(self, records):
        self.records = records

    def resolve(self, request, handler):
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        kind = dnslib.QTYPE[request.q.qtype]
        for text in self.records.get((name, kind), ()):
            reply.add_answer(*dnslib.RR.fromZone(f"{name}. 0 IN {kind} {text}"))
        if not any(known == name for known, _ in self.records):
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        return reply


@contextlib.contextmanager
def dns(records):
    """Serves them; the port."""
    port = free_port()
    servers = [dnslib.server.DNSServer(Zone(records), address="127.0.0.1", port=port, tcp=tcp,
                                       logger=dnslib.server.DNSLogger(logf=lambda _: None))
               for tcp in (False, True)]
    for server in servers:
        server.start_thread()
    try:
        yield port
    finally:
        for server in servers:
            server.stop()
            server.server.server_close()


ADDRESSES = {("mx-1.test", "A"): [HERE], ("mx-2.test", "A"): [THERE]}


@contextlib.contextmanager
def exchange(records, addresses=(HERE, THERE), keys=""):
    """A relay by MX, with a sink on these addresses: (relay, sink)."""
    with sink.running(addresses) as server, dns({**ADDRESSES, **records}) as port:
        routes = (f'[[route]]\nname = "out"\ndomains = ["*.example"]\ndeliver = "mx:{server.port}"\n'
                  f'{relay.QUICK}\n{keys}\n')
        with relay.running(routes, f'[dns]\nservers = ["127.0.0.1:{port}"]\n') as sender:
            yield sender, server


def took(server):
    """The addresses that messages came to, in order."""
    return [one.address for one in server.messages]


@case("MX: the lower preference first, the other where it is away")
def preference(_):
    records = {("a.example", "MX"): ["20 mx-2.test.", "10 mx-1.test."]}
    with exchange(records) as (sender, server):
        sent = sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "delivered")
        expect(took(server) == [HERE], f"{took(server)}")
        expect(server.messages[0].octets.endswith(sent), "the message differs")
    with exchange(records, addresses=(THERE,)) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "delivered")
        expect(took(server) == [THERE], f"{took(server)}")


@case("MX: equal preferences share the load")
def equal(_):
    records = {("a.example", "MX"): ["10 mx-1.test.", "10 mx-2.test."]}
    # All on one side by chance: once in half a million runs.
    with exchange(records, keys="messages-per-connection = 1") as (sender, server):
        for _ in range(20):
            sender.submit(["x@a.example"])
        relay.settled(sender, 60)
        expect(len(took(server)) == 20, f"{len(took(server))} of 20 came")
        expect(set(took(server)) == {HERE, THERE}, f"{took(server)}")


@case("MX: a null MX fails at once with 5.1.10, and nobody is asked")
def null(_):
    records = {("a.example", "MX"): ["0 ."], ("a.example", "A"): [HERE]}
    with exchange(records) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "failed")
        sender.report("x@a.example", "5.1.10")
        expect(server.connections == [], f"{server.connections}")


@case("MX: a domain without MX is its own server")
def address(_):
    with exchange({("a.example", "A"): [HERE]}) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "delivered")
        expect(took(server) == [HERE], f"{took(server)}")


@case("MX: where the servers of a domain cannot be used, its own address is not")
def no_fallback(_):
    records = {("a.example", "MX"): ["10 nowhere.test."], ("a.example", "A"): [HERE]}
    with exchange(records) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "deferred", "nowhere.test")
        expect(server.connections == [], f"{server.connections}")


@case("MX: a domain that is not there fails with 5.1.2")
def unknown(_):
    with exchange({}) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "failed")
        sender.report("x@a.example", "5.1.2")


@case("MX: we are the best server of a domain that is not delivered here: 5.4.6")
def ourselves(_):
    records = {("a.example", "MX"): [f"10 {relay.HOSTNAME}.", "20 mx-1.test."],
               (relay.HOSTNAME, "A"): [HERE]}
    with exchange(records) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "failed")
        sender.report("x@a.example", "5.4.6")
        expect(server.connections == [], f"{server.connections}")


@case("MX: servers after ourselves are not asked")
def after_ourselves(_):
    records = {("a.example", "MX"): ["10 mx-1.test.", f"20 {relay.HOSTNAME}.", "30 mx-2.test."],
               (relay.HOSTNAME, "A"): [THERE]}
    with exchange(records, addresses=(THERE,)) as (sender, server):
        sender.submit(["x@a.example"])
        sender.becomes("x@a.example", "deferred", "refused")
        expect(server.connections == [], f"{server.connections}")
        server.open(HERE)
        sender.becomes("x@a.example", "delivered")
        expect(took(server) == [HERE], f"{took(server)}")


@case("MX: many domains, some away; those that are there do not wait")
def apart(_):
    records = {("a.example", "MX"): ["10 away.test."], ("away.test", "A"): ["127.0.0.9"],
               ("b.example", "MX"): ["10 mx-1.test."]}
    with exchange(records) as (sender, server):
        for _ in range(30):
            sender.submit(["x@a.example", "x@b.example"])
        wait_for(lambda: len(took(server)) == 30, "30 deliveries to b.example", 40)
        sender.becomes("x@a.example", "deferred", "127.0.0.9")
