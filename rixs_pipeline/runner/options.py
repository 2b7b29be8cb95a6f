"""What a command line asks for, apart from the config."""

from collections.abc import Sequence
from dataclasses import dataclass

from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.stage_list import VERBS

SHOWN_NAMES = 12  # scans that an error message lists


@dataclass(frozen=True)
class Options:
    """What a command line asks for, apart from the config.

    Attributes
    ----------
    until : str
        The verb of the last stage.
    scans : str or None
        As `--scans`: numbers, ranges and names.
    force : bool
        Make everything again.
    dry_run : bool
        Make nothing.
    command : str
        Stored in products.
    """

    until: str = VERBS[-1]
    scans: str | None = None
    force: bool = False
    dry_run: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.until not in VERBS:
            raise UsageError(
                f"--until {self.until}: no such stage; choose from {', '.join(VERBS)}"
            )

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs of all stages to run."""
        return VERBS[: VERBS.index(self.until) + 1]

    @property
    def is_partial(self) -> bool:
        """Whether only some of the scans are reduced."""
        return self.scans is not None

    @property
    def is_complete(self) -> bool:
        """Whether all products are looked at."""
        return self.until == VERBS[-1] and not self.is_partial


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
