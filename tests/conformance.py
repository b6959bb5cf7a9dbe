#!/usr/bin/env python3
"""The conformance table: which tests show which requirement of docs/profile.md.

    conformance.py RESULTS    reads the outputs of the test steps in the folder RESULTS, writes
                              docs/conformance.md, and fails if a MUST or SHOULD row has no test
                              that passed in this very run
    conformance.py --list     prints the rows and the tests that name them, passed or not

How a test names a row:

  * a Rust test function: its name begins with the identifier in lower case, with `_` for `.` and
    `-`; or a comment directly above it has the identifier as it stands in the profile;
  * a transcript (tests/transcripts): its first line has the identifiers; it passed if every test
    function that plays the transcripts of its role did;
  * an interop case: its name begins with the identifier, or a comment directly above it has it.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROFILE = ROOT / "docs" / "profile.md"
TABLE = ROOT / "docs" / "conformance.md"

# Rust sources with tests: crate, its folder, and the name that cargo prints before its tests.
CRATES = [
    ("pillarbox_protocol", ROOT / "component" / "protocol" / "src"),
    ("pillarbox", ROOT / "host" / "src"),
    ("pillarbox_tests", ROOT / "tests" / "src"),
]
# Integration tests: one crate a file or folder.
WHOLE = ROOT / "tests" / "tests"

# Who plays the transcripts; each of them plays all files of its role.
PLAYERS = {
    "server": [
        ("transcripts", "server_transcripts_hold_for_the_library"),
        ("component", "server_transcripts_hold_for_the_component"),
        ("service", "server_transcripts_hold_for_the_service"),
    ],
    "client": [
        ("transcripts", "client_transcripts_hold_for_the_library"),
        ("component", "client_transcripts_hold_for_the_component"),
    ],
}

LEVELS = ["MUST", "SHOULD", "MAY", "OURS"]


class Requirement:
    """A row of the profile, and the tests that name it."""

    def __init__(self, identifier, level, text):
        self.identifier = identifier
        self.level = level
        self.text = text
        self.tests = []

    @property
    def is_needed(self):
        """Whether the run fails without a passing test."""
        return self.level in ("MUST", "SHOULD")

    def state(self):
        """`shown`, `failed`, or why not."""
        if any(test.passed for test in self.tests):
            return "shown"
        return "not shown" if self.tests else "no test"


class Test:
    """A test that names requirements."""

    def __init__(self, name, identifiers, passed):
        self.name = name
        self.identifiers = identifiers
        self.passed = passed


def requirements(text):
    """The rows of the profile's tables in order, by identifier."""
    rows = {}
    # Identifier | level | role | requirement | source, or identifier | level | keyword | choice.
    pattern = re.compile(r"\| ([A-Z][A-Za-z0-9]*-[A-Za-z0-9.-]+|R\d+-\d[\w.-]*) \| (MUST|SHOULD|MAY|OURS) \| (.*) \|$")
    for line in text.splitlines():
        match = pattern.match(line)
        if not match:
            continue
        identifier, level, rest = match.groups()
        cells = rest.split(" | ")
        # The role is one letter; in the table of extensions the first cell is a keyword.
        text = cells[1] if cells[0] in ("S", "C", "B") else ": ".join(cells)
        if identifier in rows:
            sys.exit(f"docs/profile.md has {identifier} twice")
        rows[identifier] = Requirement(identifier, level, text)
    return rows


class Names:
    """Finds identifiers in names and comments."""

    def __init__(self, identifiers):
        self.by_slug = {self.slug(one): one for one in identifiers}
        self.identifiers = set(identifiers)

    @staticmethod
    def slug(identifier):
        return re.sub(r"[.-]", "_", identifier.lower())

    def in_name(self, name):
        """The identifier that a function's name begins with: the longest that ends at a word."""
        words = name.split("_")
        for length in range(len(words), 1, -1):
            found = self.by_slug.get("_".join(words[:length]))
            if found:
                return [found]
        return []

    def in_text(self, text):
        """All identifiers in a comment."""
        words = re.findall(r"[A-Z][A-Za-z0-9]*(?:[-.][A-Za-z0-9]+)+", text)
        return [word for word in words if word in self.identifiers]


# --- what passed -------------------------------------------------------------------------------


def cargo_results(log):
    """Of the output of `cargo test`: crate -> {path of a test: passed}."""
    results = {}
    crate = None
    for line in log.splitlines():
        match = re.search(r"Running (?:unittests )?\S+ \(\S*/deps/(\w+?)-[0-9a-f]+\)", line)
        if match:
            crate = results.setdefault(match.group(1), {})
            continue
        match = re.match(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", line)
        if match and crate is not None:
            path, verdict = match.groups()
            # Two binaries of one name (a library and its program) share the crate's name.
            crate[path] = crate.get(path, True) and verdict == "ok"
    return results


def case_results(log):
    """Of the output of interop: name of a case -> passed."""
    results = {}
    for line in log.splitlines():
        if match := re.match(r"ok     (.*) \(\d+\.\d+ s\)$", line):
            results[match.group(1)] = True
        elif match := re.match(r"FAILED (.*?): ", line):
            results[match.group(1)] = False
    return results


# --- what there is -----------------------------------------------------------------------------

FUNCTION = re.compile(r"^\s*(?:pub )?(?:async )?fn (\w+)\s*[(<]")
ATTRIBUTE = re.compile(r"^\s*#\[(.*)")


def functions(source):
    """The test functions of a Rust file: name, and the comment lines directly above it."""
    comments, tested, in_proptest = [], False, 0
    for line in source.splitlines():
        text = line.strip()
        if text.startswith("proptest!"):
            in_proptest = 1
        if text.startswith("//"):
            comments.append(text)
        elif ATTRIBUTE.match(line):
            tested |= bool(re.match(r"\s*#\[(tokio::)?test\b", line))
        elif match := FUNCTION.match(line):
            if tested:
                yield match.group(1), " ".join(comments)
            comments, tested = [], False
        elif text and not (tested and text.endswith((")]", ","))):
            comments, tested = [], False
        elif not text:
            comments = [] if not tested else comments


def rust_tests(names, results):
    """Every Rust test that names a row."""
    sources = [
        (crate, path, path.relative_to(ROOT))
        for crate, folder in CRATES
        for path in sorted(folder.rglob("*.rs"))
    ]
    for path in sorted(WHOLE.rglob("*.rs")):
        crate = path.relative_to(WHOLE).parts[0].removesuffix(".rs")
        sources.append((crate, path, path.relative_to(ROOT)))
    for crate, path, shown in sources:
        ran = results.get(crate, {})
        for name, comments in functions(path.read_text()):
            identifiers = list(dict.fromkeys(names.in_name(name) + names.in_text(comments)))
            if not identifiers:
                continue
            verdicts = [ok for test, ok in ran.items() if test.split("::")[-1] == name]
            yield Test(f"{shown}: {name}", identifiers, bool(verdicts) and all(verdicts))


def transcripts(names, results):
    """Every transcript."""
    for role, players in PLAYERS.items():
        passed = all(results.get(crate, {}).get(name, False) for crate, name in players)
        for path in sorted((ROOT / "tests" / "transcripts" / role).glob("*.txt")):
            first = path.read_text(errors="replace").splitlines()[0]
            identifiers = names.in_text(first.partition(";")[0])
            if identifiers:
                yield Test(str(path.relative_to(ROOT)), identifiers, passed)


def cases(names, results):
    """Every interop case that names a row."""
    for path in sorted((ROOT / "tests" / "interop").glob("*.py")):
        comments = []
        for line in path.read_text().splitlines():
            text = line.strip()
            if text.startswith("#"):
                comments.append(text)
                continue
            match = re.match(r"@case\((f?)([\"'])(.*)\2\)$", text)
            if match:
                is_format, _, name = match.groups()
                pattern = re.escape(name)
                if is_format:
                    pattern = re.sub(r"\\\{.*?\\\}", ".*", pattern)
                verdicts = [ok for one, ok in results.items() if re.fullmatch(pattern, one)]
                identifiers = list(dict.fromkeys(names.in_text(name) + names.in_text(" ".join(comments))))
                if identifiers:
                    shown = re.sub(r"\{.*?\}", "…", name) if is_format else name
                    yield Test(f"interop: {shown}", identifiers, bool(verdicts) and all(verdicts))
            comments = []


# --- the table ---------------------------------------------------------------------------------


def cell(text):
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


def table(rows):
    """docs/conformance.md."""
    lines = [
        "# Conformance",
        "",
        "Which tests show which requirement. The requirements are the rows of the",
        "[profile](profile.md); `tests/run` writes this file from the tests that passed and fails when",
        "a MUST or SHOULD row has none. Transcripts are played against the library and the built",
        "component, with the input whole, by line and split at every octet; the service plays those whose",
        "settings and answers an ordinary configuration can have.",
        "",
        "| level | requirements | shown | without a test |",
        "| --- | ---: | ---: | ---: |",
    ]
    for level in LEVELS:
        of_level = [row for row in rows.values() if row.level == level]
        shown = sum(row.state() == "shown" for row in of_level)
        lines.append(f"| {level} | {len(of_level)} | {shown} | {len(of_level) - shown} |")
    total = len(rows)
    shown = sum(row.state() == "shown" for row in rows.values())
    lines.append(f"| all | {total} | {shown} | {total - shown} |")
    lines += ["", "| ID | level | requirement | tests | state |", "| --- | --- | --- | --- | --- |"]
    for row in rows.values():
        passed = [test.name for test in row.tests if test.passed]
        tests = "<br>".join(f"`{cell(name)}`" for name in passed)
        lines.append(f"| {row.identifier} | {row.level} | {cell(row.text)} | {tests} | {row.state()} |")
    return "\n".join(lines) + "\n"


def main():
    arguments = sys.argv[1:]
    if len(arguments) != 1:
        sys.exit(__doc__)
    rows = requirements(PROFILE.read_text())
    names = Names(rows)
    cargo, interop = {}, {}
    if arguments != ["--list"]:
        folder = pathlib.Path(arguments[0])
        for path in sorted(folder.glob("*.log")):
            text = path.read_text(errors="replace")
            for crate, ran in cargo_results(text).items():
                cargo.setdefault(crate, {}).update(ran)
            interop.update(case_results(text))
        if not cargo:
            sys.exit(f"no output of cargo test in {folder}")
    for test in [*rust_tests(names, cargo), *transcripts(names, cargo), *cases(names, interop)]:
        for identifier in test.identifiers:
            rows[identifier].tests.append(test)
    if arguments == ["--list"]:
        for row in rows.values():
            print(f"{row.identifier} {row.level} {len(row.tests)}")
            for test in row.tests:
                print(f"    {test.name}")
        return
    TABLE.write_text(table(rows))
    missing = [row for row in rows.values() if row.is_needed and row.state() != "shown"]
    for row in missing:
        print(f"{row.identifier} ({row.level}): {row.state()}: {row.text}")
        for test in row.tests:
            print(f"    did not pass: {test.name}")
    shown = sum(row.state() == "shown" for row in rows.values())
    print(f"{shown} of {len(rows)} requirements shown; {len(missing)} MUST or SHOULD rows are not")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
