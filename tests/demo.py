#!/usr/bin/env python3
"""Runs `pillarbox demo` in a scratch folder and compares what it delivered: one message for each
mechanism, below Return-Path and exactly one Received, octet for octet."""

import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "interop"))

from harness import Failure, binary, expect, fields, run  # noqa: E402

MECHANISMS = ("NTLM", "LOGIN", "SCRAM-SHA-256-PLUS")
MESSAGE = """From: Alice <alice@demo.example>
To: Bob <bob@demo.example>
Subject: submitted with AUTH {mechanism}
Date: Wed, 01 Jan 2025 12:00:00 +0000
Message-ID: <{name}@printer.demo.example>

Hello Bob,
.a line that begins with a dot
..and one with two
"""
TRACE = re.compile(
    rb"Received: from printer\.demo\.example \(\[127\.0\.0\.1\]\) by mail\.demo\.example"
    rb" with ESMTPSA id [A-Za-z0-9-]+ tls [A-Z0-9_]+; \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)


def compare(files):
    """The delivered messages are the three that the demo sent."""
    expect(len(files) == len(MECHANISMS), f"{len(files)} messages were delivered")
    contents = [file.read_bytes() for file in files]
    for mechanism in MECHANISMS:
        text = MESSAGE.format(mechanism=mechanism, name=mechanism.lower())
        sent = text.replace("\n", "\r\n").encode()
        found = [content for content in contents if content.endswith(b"\r\n" + sent)]
        expect(len(found) == 1, f"AUTH {mechanism}: {len(found)} messages end as sent:\n{contents}")
        head = fields(found[0][: -len(sent)])
        expect(head[:1] == [b"Return-Path: <alice@demo.example>"], f"AUTH {mechanism}: {head}")
        expect(len(head) == 2 and TRACE.fullmatch(head[1]), f"AUTH {mechanism}: {head}")


def main():
    parent = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-demo-"))
    try:
        folder = parent / "demo"
        done = run(binary(), "demo", "--folder", folder, status=0, timeout=120)
        print(done.stdout.decode(errors="replace"))
        compare(sorted((folder / "mail/demo.example/bob/new").glob("*")))
        for mechanism in MECHANISMS:
            expect(f"AUTH {mechanism}".encode() in done.stdout, f"AUTH {mechanism} is not shown")
        expect(b"a demo needs no secret" not in done.stdout + done.stderr, "the password is shown")
        # Without a folder it leaves nothing behind.
        scratch = parent / "scratch"
        scratch.mkdir()
        run(binary(), "demo", env={"TMPDIR": str(scratch)}, status=0, timeout=120)
        expect(not list(scratch.iterdir()), f"left behind: {list(scratch.iterdir())}")
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


if __name__ == "__main__":
    main()
