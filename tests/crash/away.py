#!/usr/bin/env python3
"""The smarthost is away while many messages are queued for it, and comes back: it is asked seldom
while it is away, and when it is back it is not stormed, and gets everything.

    away.py [--messages N] [--away SECONDS]       (default 10000, 12)

Prints how many connections a second it saw, while away and after."""

import argparse
import collections
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

import relay  # noqa: E402
import sink  # noqa: E402
from harness import Failure, wait_for  # noqa: E402
from load import HELD, fill, smarthost  # noqa: E402

CONNECTIONS = 20
# A smarthost that is busy: seconds for its final reply.
WORK = 0.01
# Connections that may come before the first of them has brought a message.
FIRST = 3


def by_second(times, start, seconds):
    """How many in each second."""
    counts = collections.Counter(int(at - start) for at in times if start <= at < start + seconds)
    return [counts[second] for second in range(seconds)]


def check_away(server, start, seconds):
    """While it is away: probes, with growing intervals; no attempt for each message."""
    times = [at for at, _ in server.connections if at >= start]
    counts = by_second(times, start, int(seconds))
    print(f"away for {seconds:.0f} s: connections a second {counts}", flush=True)
    # What had begun when it went down may come at once; then one every second or so.
    allowed = CONNECTIONS + 2 * int(seconds)
    if len(times) > allowed:
        return [f"{len(times)} connections to a smarthost that is away"]
    if max(counts[2:], default=0) > 2:
        return [f"{max(counts[2:])} connections in one second to a smarthost that is away"]
    return []


def check_back(server, back, messages):
    """When it is back: few first, more with success, never more than configured."""
    wrong = []
    opened = [at for at, _ in server.connections if at >= back]
    taken = [one.at for one in server.messages]
    seconds = int(taken[-1] - back) + 1
    print(f"back: first connection after {opened[0] - back:.2f} s, "
          f"first message after {taken[0] - back:.2f} s, last after {taken[-1] - back:.2f} s; "
          f"{messages / (taken[-1] - taken[0]):.0f} messages/s", flush=True)
    shown = min(seconds, 12)
    print(f"      connections a second {by_second(opened, back, shown)}, "
          f"messages a second {by_second(taken, back, shown)}, "
          f"{server.most_standing} connections at a time, {len(opened)} in all", flush=True)
    if server.most_standing > CONNECTIONS:
        wrong.append(f"{server.most_standing} connections at a time, {CONNECTIONS} are configured")
    early = sum(at < taken[0] for at in opened)
    if early > FIRST:
        wrong.append(f"{early} connections before the first message: a storm")
    # At most a hundred messages on each, and some that were closed in between.
    if len(opened) > messages // 50 + 2 * CONNECTIONS:
        wrong.append(f"{len(opened)} connections for {messages} messages")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--away", type=float, default=12)
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-away-"))
    service, wrong = relay.Relay(folder, HELD), ["it did not come to the end"]
    server = sink.Sink(delay=lambda: WORK)
    server.away = True
    server.start()
    try:
        service.start()
        sent = fill(service, arguments.messages)
        service.configure(smarthost(server.port, CONNECTIONS))
        service.reload()
        # The reload is in force when a released message is tried.
        time.sleep(1)
        start = time.monotonic()
        service.queue("release", "--all")
        wait_for(lambda: b'"down"' in service.queue("routes", "--json"), "the lane to be down", 30)
        time.sleep(arguments.away)
        wrong = check_away(server, start, time.monotonic() - start)
        server.most_standing = 0
        back = time.monotonic()
        server.away = False
        relay.settled(service, 300)
        arrived = collections.Counter(one.mark for one in server.messages)
        lost, doubled = set(sent) - set(arrived), [mark for mark in arrived if arrived[mark] > 1]
        print(f"queued {len(sent)}, arrived {len(server.messages)}, lost {len(lost)}, "
              f"doubled {len(doubled)}", flush=True)
        if lost or doubled or len(arrived) != len(sent):
            wrong.append(f"{len(lost)} lost, {len(doubled)} doubled")
        wrong += check_back(server, back, len(sent))
        service.stop()
    except Failure as failure:
        print(f"FAILED: {failure}\n{service.tail()}", flush=True)
    finally:
        if service.child and service.child.poll() is None:
            service.kill()
        server.stop()
        for one in wrong:
            print(one, flush=True)
        if wrong:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
