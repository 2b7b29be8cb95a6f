"""The scans that `--scans` selects."""

from collections.abc import Sequence

from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.runs import Run

SHOWN_NAMES = 12  # scans that an error message lists


def select_scans(scans: Sequence[Run], selection: str | None) -> list[Run]:
    """Return the scans that `--scans` selects.

    Parameters
    ----------
    scans : sequence of Run
        All scans.
    selection : str or None
        Numbers, ranges of numbers (`3-7`) or names, separated by commas; None selects
        all.

    Returns
    -------
    list of Run
        In the order of `scans`.

    Raises
    ------
    UsageError
        A part of the selection matches no scan.
    """
    if selection is None:
        return list(scans)
    selected: set[str] = set()
    for part in filter(None, (text.strip() for text in selection.split(","))):
        low, dash, high = part.partition("-")
        is_range = low.isdecimal() and (high.isdecimal() or not dash)
        numbers = range(int(low), int(high or low) + 1) if is_range else ()
        names = {s.name for s in scans if s.name == part or s.number in numbers}
        if not names:
            raise UsageError(
                f"--scans {selection}: '{part}' matches no scan; "
                f"available: {_list_names(scans)}"
            )
        selected |= names
    if not selected:
        raise UsageError(
            f"--scans {selection}: matches no scan; available: {_list_names(scans)}"
        )
    return [scan for scan in scans if scan.name in selected]


def _list_names(scans: Sequence[Run]) -> str:
    names = ", ".join(scan.name for scan in scans[:SHOWN_NAMES]) or "none"
    return f"{names}, ..." if len(scans) > SHOWN_NAMES else names
