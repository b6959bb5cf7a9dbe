"""Many messages for a smarthost: they wait on a hold route until it is changed."""

import concurrent.futures
import os
import smtplib

DOMAIN = "far.example"
HELD = f'[[route]]\nname = "smarthost"\ndomains = ["{DOMAIN}"]\ndeliver = "hold"\n'


def smarthost(port, connections, *keys):
    """The route that the hold route becomes."""
    more = "\n".join(keys)
    return (f'[[route]]\nname = "smarthost"\ndomains = ["{DOMAIN}"]\n'
            f'deliver = "smtp://127.0.0.1:{port}"\nconnections = {connections}\n'
            f'retry = {{ first = "1s", longest = "5s", give-up = "1d" }}\n{more}\n')


def content(number):
    """A message, and its Message-ID."""
    mark = f"<{number}.{os.getpid()}@load.example>"
    head = (f"From: a@sender.test\r\nDate: Wed, 25 Nov 2026 03:04:05 +0000\r\n"
            f"Message-ID: {mark}\r\nSubject: load\r\n\r\n")
    line = "0123456789abcdef" * 4 + "\r\n"
    # Most are letters; one in a hundred is large enough for a file.
    lines = 6000 if number % 100 == 0 else 20 + number % 50
    return mark, (head + line * lines + f"end of {mark}\r\n").encode()


def fill(service, messages, threads=8):
    """Submits so many messages; Message-ID -> octets."""
    sent = {}

    def some(start):
        own = {}
        with smtplib.SMTP("127.0.0.1", service.port, timeout=60) as client:
            for number in range(start, messages, threads):
                mark, octets = content(number)
                client.sendmail("alice@sender.test", [f"box{number % 7}@{DOMAIN}"], octets)
                own[mark] = octets
        return own

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for own in pool.map(some, range(threads)):
            sent.update(own)
    print(f"queued {len(sent)}", flush=True)
    return sent
