"""Kinds of values that are others in each run: a line of a chapter becomes a pattern for what may come instead.

Everything else in a line has to come as it stands there; how wide a gap or a rule is, does not matter.
"""

import re
from collections.abc import Iterator
from functools import cache

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?"
NUMBER = r"-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?"

KINDS = {
    "uuid": UUID,
    "sha256": r"\b[0-9a-f]{64}\b",
    "identifier": r"\b[0-9a-f]{32}\b",  # a UUID as Keystone writes it
    "digest": r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12}\b",
    "time": TIME,
    "clock": r"\b\d+:\d\d:\d\d\b",
    "leased": r"\b(?:172\.24\.4|10\.20\.0)\.(?![01]\b)\d{1,3}\b",  # of a server in the cloud
    "address": r"\b\d{1,3}(?:\.\d{1,3}){3}\b",  # no fraction, and always the same
    "ephemeral_port": r"(?<=:)(?:3[3-9]|[45]\d|6[0-5])\d{3}\b",  # of the client's end of a connection
    "erlang_pid": r"<\d+\.\d+\.\d+(?:\.\d+)*>",
    "pixels": r"\b\d+ ?× ?\d+\b",
    "parameter": r"""\b(?:width|height|iterations|size)\b[\\'"]*\s*[:│]\s*\d+""",
    "measure": rf"{NUMBER} ?(?:µs|ms|s|seconds|[KMG]i?B|bytes)\b",
    "percentage": rf"{NUMBER} ?%",
    "job": r"^\[\d+\] \d+",
    "pid": r"\bpid \d+",
    "decimal": r"(?<![\w.])-?\d+\.\d+(?:e[+-]?\d+)?(?![\w.]*\d)",
    "version": r"\b\d+\.\d+\.\d+[\w.+~-]*",
}
SAME = {"address"}

COUNT = r"\b\d+\b"
ELLIPSIS = "..."


def token_pattern(counts_vary: bool) -> re.Pattern[str]:
    """Return the pattern that finds what varies in a line, gaps, rules and ellipses."""
    kinds = KINDS | ({"count": COUNT} if counts_vary else {})
    parts = [f"(?P<{name}>{pattern})" for name, pattern in kinds.items()]
    return re.compile("|".join([*parts, r"(?P<gap>\s+)", r"(?P<rule>[─━═╺╸]{2,}|-{3,})", r"(?P<ellipsis>\.\.\.)"]))


def pieces(line: str, counts_vary: bool) -> Iterator[tuple[str, str]]:
    """Yield the kind of each part of `line`, "" for what does not vary, and the pattern of what may come there."""
    end = 0
    for found in token_pattern(counts_vary).finditer(line):
        yield "", re.escape(line[end : found.start()])
        end = found.end()
        kind = found.lastgroup or ""
        if kind in SAME:
            yield kind, re.escape(found[0])
        elif kind in ("parameter", "pid"):
            yield kind, re.escape(re.sub(r"\d+$", "", found[0])) + r"\d+"
        else:
            others = {"gap": r"\s+", "rule": "(?:[─━═╺╸]{2,}|-{3,})", "ellipsis": ".*?", "count": COUNT}
            yield kind, others.get(kind, f"(?:{KINDS.get(kind, '')})")
    yield "", re.escape(line[end:])


@cache
def pattern_of(line: str, counts_vary: bool) -> re.Pattern[str]:
    """Return the pattern of the lines that are like `line`; its groups are the UUIDs."""
    return re.compile("".join(f"({part})" if kind == "uuid" else part for kind, part in pieces(line, counts_vary)))


def shortened(came: str, line: str, counts_vary: bool) -> str:
    """Return `came` with an ellipsis wherever `line`, which it is like, has one."""
    parts = list(pieces(line, counts_vary))
    found = re.fullmatch("".join(f"({part})" for _, part in parts), came)
    assert found, (came, line)
    return "".join(
        ELLIPSIS if kind == "ellipsis" else text for (kind, _), text in zip(parts, found.groups(), strict=True)
    )


def uuids_in(line: str) -> list[str]:
    """Return the UUIDs that a line names."""
    return re.findall(UUID, line)


def is_log(line: str) -> bool:
    """Return whether a line is one of a service's log: it begins with the time."""
    return re.match(TIME, line) is not None
