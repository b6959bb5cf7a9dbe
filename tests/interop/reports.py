#!/usr/bin/env python3
"""Reads reports with Python's email package, and compares what it finds with what it should.

    reports.py FOLDER

FOLDER has `NAME.eml` files, and `expected`: a line `NAME TAB media type of the third part` for each,
and after it a line `TAB mailbox TAB action TAB status` for each recipient. A test of the host writes
them (`python_reads_every_report_without_a_defect`)."""

import email
import email.errors
import email.policy
import pathlib
import sys

REPORT_FIELDS = ("from", "to", "subject", "date", "message-id", "mime-version", "auto-submitted")


def expectations(folder):
    cases = []
    for line in (folder / "expected").read_text().splitlines():
        name, *rest = line.split("\t")
        if name:
            cases.append((name, rest[0], []))
        else:
            cases[-1][2].append(tuple(rest))
    return cases


def own_defects(part, where):
    """Defects of a part and of its fields. What RFC 6532 section 3.2 allows is none."""
    found = [(where, defect) for defect in part.defects]
    for name, value in part.items():
        found += [(f"{where}: {name}", defect) for defect in getattr(value, "defects", ())]
    return [
        f"{place}: {defect!r}"
        for place, defect in found
        if not isinstance(defect, email.errors.NonASCIILocalPartDefect)
    ]


def defects(part, where):
    """Defects of a part and of the parts in it."""
    found = own_defects(part, where)
    if part.is_multipart():
        for number, inner in enumerate(part.get_payload(), 1):
            found += defects(inner, f"{where}.{number}")
    return found


def groups(part):
    """Groups of fields of message/delivery-status, and of the form of RFC 6533, which the package
    does not know: it takes it for a message."""
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()
    (first,) = part.get_payload()
    rest = first.get_payload().split("\n\n")
    return [first] + [email.message_from_string(one, policy=email.policy.default) for one in rest]


def check(path, third, recipients):
    octets = path.read_bytes()
    for line in octets.split(b"\r\n"):
        assert len(line) <= 998, f"a line of {len(line)} octets"
        assert b"\r" not in line and b"\n" not in line and b"\0" not in line
    try:
        # Fields with UTF-8 (RFC 6532) are read only from text.
        report = email.message_from_string(octets.decode(), policy=email.policy.default)
    except UnicodeDecodeError:
        report = email.message_from_bytes(octets, policy=email.policy.default)

    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    for name in REPORT_FIELDS:
        assert len(report.get_all(name, [])) == 1, f"{name} is not there once"
    assert report["auto-submitted"] == "auto-replied"
    assert len(report["to"].addresses) == 1
    parts = report.get_payload()
    assert len(parts) == (3 if third else 2), f"{len(parts)} parts"
    found = own_defects(report, "report")
    for number, part in enumerate(parts, 1):
        found += defects(part, f"part {number}")
    assert not found, "\n".join(found)

    text = parts[0]
    assert text.get_content_type() == "text/plain"
    words = text.get_content()
    for mailbox, _, _ in recipients:
        assert mailbox in words, f"{mailbox} is not in the text"

    kind = "message/global-delivery-status" if third.startswith("message/global") else ""
    assert parts[1].get_content_type() in ("message/delivery-status", kind)
    first, *others = groups(parts[1])
    assert first["reporting-mta"] == "dns; mail.example.org"
    assert first["arrival-date"]
    told = []
    for group in others:
        address_type, mailbox = str(group["final-recipient"]).split("; ", 1)
        assert address_type == ("rfc822" if mailbox.isascii() else "utf-8")
        told.append((mailbox, str(group["action"]), str(group["status"])))
    assert told == recipients, f"{told} instead of {recipients}"

    if third:
        assert parts[2].get_content_type() == third, parts[2].get_content_type()
        if third == "message/rfc822":
            assert parts[2].get_payload()[0].keys(), "no field in the original"


def main():
    folder = pathlib.Path(sys.argv[1])
    cases = expectations(folder)
    failed = 0
    for name, third, recipients in cases:
        try:
            check(folder / f"{name}.eml", third, recipients)
        except Exception as error:  # noqa: BLE001  (one bad report must not hide the others)
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}")
    if failed or not cases:
        sys.exit(f"{failed} of {len(cases)} reports failed")
    print(f"{len(cases)} reports without a defect")


if __name__ == "__main__":
    main()
