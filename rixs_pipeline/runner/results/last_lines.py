"""What ends the output of a reduction: what was made, warnings by kind, what is lost.

Lines about one kind of problem differ in their subject (the text before the first
colon) and in numbers alone. They are reported once, with a count.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rixs_pipeline import paths
from rixs_pipeline.runner.text_table import format_table

if TYPE_CHECKING:
    from rixs_pipeline.runner.results.summary import Summary

SHOWN_WARNINGS = 3  # kinds in the last lines
SHOWN_SUBJECTS = 4  # of one kind
SHOWN_LOSSES = 10

# In messages about numbers that may be wrong, and about data that are left out.
SERIOUS_WORDS = (
    ("inconsistent", "contradict", "disagree", "differ", "wrong", "ambiguous"),
    ("not used", "left out", "exposure there is 0", "excluded"),
)

_NUMBERS = re.compile(
    r"[+-]?\d[\d.]*(e[+-]?\d+)?(, [+-]?\d[\d.]*(e[+-]?\d+)?)*(, \.+)?"
)


def warning_kind(line: str) -> str:
    """Return what all lines about the same kind of problem have in common."""
    _, colon, problem = line.partition(": ")
    return _NUMBERS.sub("#", problem if colon else line)


def group_by_kind(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return the lines of each kind, in the order in which the kinds appear."""
    groups: dict[str, list[str]] = {}
    for line in lines:
        groups.setdefault(warning_kind(line), []).append(line)
    return groups


def summarise_kind(lines: Sequence[str]) -> str:
    """Return one line for all lines of a kind: the first one, and how many more."""
    first, further = lines[0], list(lines[1:])
    if not further:
        return first
    subjects = list(dict.fromkeys(line.partition(": ")[0] for line in further))
    listed = ", ".join(subjects[:SHOWN_SUBJECTS])
    if len(subjects) > SHOWN_SUBJECTS:
        listed += ", ..."
    return f"{first} [and {len(further)} more: {listed}]"


def line_identity(line: str) -> str:
    """Return what a line has in common with the same line of another reduction.

    Its subject, and its text without numbers, which may have changed.
    """
    subject, _, _ = line.partition(": ")
    return f"{subject}: {warning_kind(line)}"


def _rank(lines: Sequence[str]) -> tuple[int, int]:
    """Return a key that sorts kinds of warnings from the worst to the least.

    What the config names in vain comes first: something that is wanted is missing.
    """
    if lines[0].startswith("config: "):
        return -1, -len(lines)
    for rank, words in enumerate(SERIOUS_WORDS):
        if any(word in lines[0] for word in words):
            return rank, -len(lines)
    return len(SERIOUS_WORDS), -len(lines)


def last_lines(summary: "Summary") -> list[str]:
    """Return the lines that end the output of a reduction; losses come last."""
    lines = [*_products(summary), *_warnings(summary)]
    lines.append(f"results: {summary.out}, summary: {summary.out / paths.RUN_SUMMARY}")
    if summary.options.with_figures:
        lines.append(f"report: {paths.report(summary.out)}")
    groups = _lost(summary)
    lines += [f"lost: {summarise_kind(group)}" for group in groups[:SHOWN_LOSSES]]
    if len(groups) > SHOWN_LOSSES:
        lines.append(f"lost: {len(groups) - SHOWN_LOSSES} more, in run.json")
    return lines


def quality_lines(summary: "Summary") -> list[dict[str, str]]:
    """Return a line for each kind of loss, then of warning, the worst first.

    Parameters
    ----------
    summary
        Of a reduction.

    Returns
    -------
    list of dict of str to str
        `text`, and `level`: lost or warning.
    """
    warnings = sorted(group_by_kind(summary.reports).values(), key=_rank)
    levels = {"lost": _lost(summary), "warning": warnings}
    return [
        {"text": summarise_kind(group), "level": level}
        for level, groups in levels.items()
        for group in groups
    ]


def _lost(summary: "Summary") -> list[list[str]]:
    """Return the lines about what is lost, by kind."""
    lost = [with_name(name, reason) for name, reason in summary.failed.items()]
    return list(group_by_kind([*lost, *summary.losses]).values())


def with_name(name: str, reason: str) -> str:
    """Return a reason that begins with the name of the product."""
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _products(summary: "Summary") -> list[str]:
    """Return the lines about scans, pixels, maps and figures."""
    scans = [summary.items.get(scan.name, {}) for scan in summary.scans]
    is_made = [_is_there(facts) for facts in scans]
    parts = []
    if any("pixels_live" in facts for facts in scans):
        parts.append(f"{sum(is_made)} of {len(scans)} scans")
        parts.append(_pixels(scans))
    maps = [facts for facts in summary.items.values() if "passes" in facts]
    if maps:
        parts.append(f"{sum(map(_is_there, maps))} maps")
    statuses = [facts["status"] for facts in summary.items.values()]
    counts = {status: statuses.count(status) for status in dict.fromkeys(statuses)}
    made = ", ".join(f"{number} {status}" for status, number in counts.items())
    lines = [made or "nothing to do"]
    if parts:
        lines.insert(0, ", ".join(parts))
    if unchecked := _unchecked_energies(scans):
        lines.append(unchecked)
    lines += _samples(summary.items)
    if summary.figures:
        lines.append(f"figures: {paths.figures_folder(summary.out)}")
    return lines


SAMPLE_HEADER = ("sample-edge", "scans", "photons", "pixels", "p of passes")
SHOWN_SAMPLES = 20


def _samples(items: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of samples and edges, none without maps."""
    rows = []
    for name, facts in items.items():
        if "passes" not in facts or not _is_there(facts):
            continue
        scans = [items[scan] for scan in facts.get("scans", []) if scan in items]
        used = [scan["pixels_used"] for scan in scans if "pixels_used" in scan]
        low, high = min(used, default=0), max(used, default=0)
        p = facts["passes"].get("p")
        row = [
            name,
            str(len(facts.get("scans", []))),
            str(facts.get("photons", "")),
            f"{low} to {high}" if low < high else str(high),
            "" if p is None else f"{p:.2g}",
        ]
        rows.append(row)
    lines = format_table(SAMPLE_HEADER, rows[:SHOWN_SAMPLES])
    if len(rows) > SHOWN_SAMPLES:
        lines.append(f"and {len(rows) - SHOWN_SAMPLES} more, in run.json")
    return lines


def _unchecked_energies(scans: Sequence[Mapping[str, Any]]) -> str:
    """Return a line about the scans whose elastic line could not be fitted, if any."""
    fitted = [facts["elastic_offset"] for facts in scans if "elastic_offset" in facts]
    number = sum(offset is None for offset in fitted)
    if not number:
        return ""
    return (
        f"elastic line not fitted in {number} of {len(fitted)} scans: their incident "
        "energies are those of the logs, unchecked"
    )


def _is_there(facts: Mapping[str, Any]) -> bool:
    return facts.get("status") in ("done", "fresh")


def _pixels(scans: Sequence[Mapping[str, Any]]) -> str:
    """Return how many pixels the scans use, such as `6 to 7 of 8 live pixels`."""
    counted = [facts for facts in scans if "pixels_live" in facts]
    used = [facts.get("pixels_used", 0) for facts in counted]
    live = max(facts["pixels_live"] for facts in counted)
    low, high = min(used), max(used)
    number = f"{low} to {high}" if low < high else f"{high}"
    return f"{number} of {live} live pixels"


def _warnings(summary: "Summary") -> list[str]:
    """Return the number of warnings, and the worst kinds."""
    groups = group_by_kind(summary.reports)
    if not groups:
        return []
    number = sum(map(len, groups.values()))
    worst = sorted(groups.values(), key=_rank)[:SHOWN_WARNINGS]
    kinds = f"{len(groups)} kind{'s' if len(groups) > 1 else ''}"
    lines = [f"warnings: {number} of {kinds}, all of them in run.json; the worst:"]
    return lines + [f"  {summarise_kind(group)}" for group in worst]
