"""A comparison of two reductions as a short text for users."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rixs_pipeline.files.opening import one_line
from rixs_pipeline.io.compare_products import TOLERANCE
from rixs_pipeline.runner.diff.changes import Change
from rixs_pipeline.runner.diff.comparison import Comparison
from rixs_pipeline.runner.text_table import format_table

SHOWN_LINES = 6  # of one kind
SHOWN_VALUE = 60  # characters of values of the config

SAMPLE_HEADER = (
    "sample-edge",
    "photons",
    "change",
    "line",
    "eV",
    "std.err.",
    "spectrum",
    "std.err.",
)
COMPARISON_HEADER = ("comparison", "region", "p", "feature", "std.err.")
LINE_HEADER = ("reference line", "before / eV", "change / eV", "std.err.", "largest in")


def comparison_text(comparison: Comparison) -> list[str]:
    """Return the lines that `diff` prints.

    Parameters
    ----------
    comparison
        Of two reductions.

    Returns
    -------
    list of str
        What differs in how the results were made, and tables of the reference lines,
        of samples and edges, and of comparisons, with the largest changes of each.
    """
    of_results: dict[str, Sequence[Any]] = {}
    of_figures: dict[str, Sequence[Any]] = {}
    for key, values in comparison.config.items():
        is_of_figures = key.startswith(("plots.", "figures."))
        (of_figures if is_of_figures else of_results)[key] = values
    lines = [
        f"before: {comparison.before.out}",
        f"after:  {comparison.after.out}",
        *_shortened(_pairs("config", of_results)),
        *_shortened(_pairs("config", of_figures)),
        *_shortened(_pairs("version", comparison.versions)),
        *_shortened(
            f"input {run}: {' and '.join(kinds)} changed"
            for run, kinds in comparison.inputs.items()
        ),
        *_shortened(f"only before: {name}" for name in comparison.only_before),
        *_shortened(f"only after: {name}" for name in comparison.only_after),
    ]
    lines_of_scale = [each for each in comparison.references if each.quantity == "line"]
    reference_lines = map(_line_row, _changed(lines_of_scale, "name"))
    samples = map(_sample_row, _changed(comparison.samples, "subject"))
    compared = map(_comparison_row, _changed(comparison.comparisons, "subject"))
    tables = (
        format_table(LINE_HEADER, list(reference_lines)),
        format_table(SAMPLE_HEADER, list(samples)),
        format_table(COMPARISON_HEADER, list(compared)),
    )
    for table in tables:
        lines += ["", *table] if table else []
    return [*lines, *([""] if any(tables) else []), _values(comparison)]


def _pairs(kind: str, values: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for key, (before, after) in values.items():
        texts = [one_line(str(value), SHOWN_VALUE) for value in (before, after)]
        yield f"{kind} {key}: {' -> '.join(texts)}"


def _shortened(lines: Iterable[str]) -> list[str]:
    """Return the first lines, and how many more there are."""
    every = list(lines)
    if len(every) <= SHOWN_LINES + 1:
        return every
    return [*every[:SHOWN_LINES], f"  and {len(every) - SHOWN_LINES} more (--json)"]


def _changed(changes: Sequence[Change], attribute: str) -> Iterator[list[Change]]:
    """Yield the changes of each subject or name if there is one."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(getattr(change, attribute), []).append(change)
    for group in groups.values():
        if any(change.is_change for change in group):
            yield group


def _largest(group: Sequence[Change], quantity: str) -> Change | None:
    """Return the line or spectrum that changed most in standard errors, if any."""
    changes = [each for each in group if each.quantity == quantity and each.is_change]
    return max(changes, key=lambda each: abs(each.size or 0.0), default=None)


def _line_row(group: Sequence[Change]) -> list[str]:
    """Return the row of a reference line: the run in which it changed most."""
    line = _largest(group, "line") or group[0]
    before = "" if line.before is None else f"{line.before:.3f}"
    change = _signed(line.change, 3)
    return [line.name, before, change, _size(line), line.subject]


def _sample_row(group: Sequence[Change]) -> list[str]:
    photons = next((each for each in group if each.quantity == "photons"), None)
    counts = ["", ""]
    if photons is not None and photons.before is not None:
        counts = [f"{photons.before:.0f}", _signed(photons.change, 0)]
    line, spectrum = _largest(group, "line"), _largest(group, "spectrum")
    return [
        group[0].subject,
        *counts,
        *([line.name, _signed(line.change, 3), _size(line)] if line else [""] * 3),
        *([spectrum.name, _size(spectrum)] if spectrum else [""] * 2),
    ]


def _comparison_row(group: Sequence[Change]) -> list[str]:
    """Return the row of a comparison and sample: p and ratio that changed most."""
    tests = [each for each in group if each.quantity == "p" and each.is_change]
    p = max(tests, key=_logarithmic_change, default=None)
    ratio = _largest(group, "ratio")
    return [
        group[0].subject,
        *([p.name, _before_after(p, ".2g")] if p else [""] * 2),
        *([_before_after(ratio, ".3f"), _size(ratio)] if ratio else [""] * 2),
    ]


def _logarithmic_change(p: Change) -> float:
    """Return the size of the change of log p; infinite from or to 0."""
    if not p.before or not p.after:
        return math.inf
    return abs(math.log(p.after / p.before))


def _before_after(change: Change, digits: str) -> str:
    values = (change.before, change.after)
    return " -> ".join(
        "?" if value is None else f"{value:{digits}}" for value in values
    )


def _size(change: Change) -> str:
    return _signed(change.size, 2)


def _signed(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:+.{digits}f}"


def _values(comparison: Comparison) -> str:
    """Return the line on all values of the products that both have."""
    number = sum(comparison.values.values())
    if not number:
        subject = "no values" if comparison.is_equal else "no values of common products"
        return f"{subject} differ beyond rounding ({TOLERANCE:g})"
    return (
        f"{number} values in {len(comparison.values)} products differ beyond rounding "
        f"({TOLERANCE:g})"
    )
