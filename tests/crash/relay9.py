#!/usr/bin/env python3
"""kill -9 of the service at random moments while it relays: every message arrives, intact; some
arrive twice, and only where the kill fell between the server's final 250 and our commit.

    relay9.py [--rounds N] [--messages N] [--seed N]   (default: $CRASH_ROUNDS, else 25; 2000)

The messages wait on a hold route, which becomes a smarthost. A round starts the service, lets it
relay its share, and kills its process group with SIGKILL. The smarthost here is slow, so that each
kill finds transactions at every stage. After the last round the service may finish.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

import relay  # noqa: E402
import sink  # noqa: E402
from harness import Failure, wait_for  # noqa: E402
from load import HELD, fill, smarthost  # noqa: E402

# A reply that was on its way, a commit that waited for others: seconds before the kill.
WINDOW = 1.0
CONNECTIONS = 10


class Pace:
    """How long the smarthost takes for its final reply: a moment, and for ever when the round has had
    its share, so that the rounds share the messages."""

    def __init__(self, random_, server):
        self.random_, self.server = random_, server
        self.until = sys.maxsize

    def __call__(self):
        if len(self.server.messages) >= self.until:
            return 3600
        return self.random_.uniform(0, 0.03)


def one_round(service, random_):
    """Start, relay, kill; when it was killed."""
    if random_.random() < 0.1:
        # In the middle of starting, perhaps of recovering.
        service.start(wait=False)
        time.sleep(random_.uniform(0, 0.4))
    else:
        service.start()
        time.sleep(random_.uniform(0.1, 0.9))
    before = time.monotonic()
    service.kill()
    return before, time.monotonic()


def verify(service, server, sent, kills):
    """Counts; what is wrong."""
    wrong = []
    arrived = collections.defaultdict(list)
    for one in server.messages:
        arrived[one.mark].append(one)
    for mark, octets in sent.items():
        copies = arrived.pop(mark, [])
        if not copies:
            wrong.append(f"lost: {mark}")
            continue
        if any(not copy.octets.endswith(octets) for copy in copies):
            wrong.append(f"damaged: {mark}")
        if len({hashlib.sha256(copy.octets).digest() for copy in copies}) != 1:
            wrong.append(f"sent again with other octets: {mark}")
    wrong += [f"nobody sent {mark}" for mark in arrived]
    doubled, gaps = 0, []
    for mark in sent:
        copies = sorted(one.at for one in server.messages if one.mark == mark)
        for at in copies[:-1]:
            doubled += 1
            # The kill that came next, or was happening.
            gap = min((end - at for _, end in kills if end >= at - 0.05), default=None)
            gaps.append(gap)
            if gap is None or gap > WINDOW:
                wrong.append(f"doubled though no kill was near: {mark}, {gap} s before one")
    ends = collections.Counter(past["id"] for past in service.objects("history"))
    if len(ends) != len(sent) or set(ends.values()) != {1}:
        wrong.append(f"the history has {sum(ends.values())} ends of {len(ends)} messages")
    widest = max((gap for gap in gaps if gap is not None), default=0)
    print(f"messages {len(sent)}, arrived {len(server.messages)}, doubled {doubled} "
          f"(at most {widest * 1000:.0f} ms before a kill), kills {len(kills)}, wrong {len(wrong)}",
          flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("CRASH_ROUNDS") or 25))
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random_ = random.Random(arguments.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-relay9-"))
    service, wrong = relay.Relay(folder, HELD), ["it did not come to the end"]
    server = sink.Sink()
    server.delay = pace = Pace(random_, server)
    server.start()
    try:
        service.start()
        sent = fill(service, arguments.messages)
        service.stop()
        service.configure(smarthost(server.port, CONNECTIONS))
        service.queue("release", "--all")
        kills = []
        for number in range(1, arguments.rounds + 1):
            left = arguments.messages - len({one.mark for one in server.messages})
            # The last quarter is for the end, where nobody is killed.
            share = max(1, (3 * left) // (4 * (arguments.rounds - number + 1)))
            pace.until = len(server.messages) + share
            kills.append(one_round(service, random_))
            if number % 25 == 0 or number == arguments.rounds:
                print(f"rounds {number}, arrived {len(server.messages)}", flush=True)
        pace.until = sys.maxsize
        service.start()
        relay.settled(service, 300)
        wait_for(lambda: server.standing == 0, "the end of the connections", 30)
        wrong = verify(service, server, sent, kills)
        service.stop()
    except Failure as failure:
        print(f"FAILED: {failure}\n{service.tail()}", flush=True)
    finally:
        if service.child and service.child.poll() is None:
            service.kill()
        server.stop()
        for one in wrong[:20]:
            print(one, flush=True)
        if wrong:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
