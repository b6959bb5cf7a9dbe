#!/usr/bin/env python3
"""Runs the interop tests against the built program ($PILLARBOX, else the release build).

    run.py [WORD ...]    only cases whose name has one of the words

Needs the packages and the Python environment that `tests/run` sets up. KEEP=1 leaves the scratch
folders."""

import os
import sys

for name in list(os.environ):
    if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        del os.environ[name]

import exchangers  # noqa: F401  (importing registers the cases)
import harness
import mechanisms  # noqa: F401
import microsoft  # noqa: F401
import nodemailers  # noqa: F401
import ntlm  # noqa: F401
import relays  # noqa: F401
import signatures  # noqa: F401
import submissions  # noqa: F401
import tokens  # noqa: F401
import transfers  # noqa: F401
import upstreams  # noqa: F401
import wishes  # noqa: F401


def main():
    words = sys.argv[1:]
    # Wrong passwords come last: they slow this address down.
    harness.CASES.sort(key=lambda one: "wrong" in one[0])
    if words:
        harness.CASES[:] = [one for one in harness.CASES if any(word in one[0] for word in words)]
        if not harness.CASES:
            sys.exit("no case has such a name")
    try:
        with harness.service() as running:
            failed = harness.run_cases(running)
            if failed:
                print("--- the end of the service's log", flush=True)
                print(running.log.read_text(errors="replace")[-6000:], flush=True)
    except harness.Failure as failure:
        print(f"FAILED to set up: {failure}\n0 passed, {len(harness.CASES)} failed", flush=True)
        sys.exit(1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
