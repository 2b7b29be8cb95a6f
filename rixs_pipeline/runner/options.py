"""What a command line asks for, apart from the config."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.runs import Beamtime, RefusedRun, Run

SHOWN_NAMES = 12  # scans that an error message lists

VERBS = ("calibrate", "bin", "combine", "extract", "xas", "compare", "report")


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
    def with_scans(self) -> bool:
        """Whether scans are reduced, as by all verbs but the first."""
        return self.until != VERBS[0]

    @property
    def with_figures(self) -> bool:
        """Whether figures are drawn, as by the last verb."""
        return self.until == VERBS[-1]

    @property
    def is_partial(self) -> bool:
        """Whether only some of the scans are reduced."""
        return self.scans is not None

    @property
    def is_complete(self) -> bool:
        """Whether all products are looked at."""
        return self.with_figures and not self.is_partial


def select_beamtime(beamtime: Beamtime, selection: str | None) -> Beamtime:
    """Return a beamtime without the refused scans that `--scans` does not select.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    selection : str or None
        As of `select_scans`.

    Returns
    -------
    Beamtime
        Its runs are all there: those selected may depend on the others.
    """
    if selection is None:
        return beamtime
    refused = tuple(
        run
        for run in beamtime.refused
        if not run.name.startswith("scan")
        or any(_matches(part, run.name) for part in _parts(selection))
    )
    return replace(beamtime, refused=refused)


def select_scans(
    scans: Sequence[Run], selection: str | None, refused: Sequence[RefusedRun] = ()
) -> list[Run]:
    """Return the scans that `--scans` selects.

    Parameters
    ----------
    scans : sequence of Run
        All scans.
    selection : str or None
        Numbers, ranges of numbers (`3-7`) or names, separated by commas; None selects
        all.
    refused : sequence of RefusedRun
        A part of the selection may match these alone.

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
    for part in _parts(selection):
        names = {s.name for s in scans if _matches(part, s.name, s.number)}
        is_refused = any(_matches(part, run.name) for run in refused)
        if not (names or is_refused):
            raise UsageError(
                f"--scans {selection}: '{part}' matches no scan; "
                f"available: {_list_names(scans)}"
            )
        selected |= names
    if not _parts(selection):
        raise UsageError(
            f"--scans {selection}: matches no scan; available: {_list_names(scans)}"
        )
    return [scan for scan in scans if scan.name in selected]


def _parts(selection: str) -> list[str]:
    """Return the numbers, ranges and names of a selection."""
    return [part for text in selection.split(",") if (part := text.strip())]


def _matches(part: str, name: str, number: int | None = None) -> bool:
    """Return whether a part of a selection means a scan, by its name or number."""
    low, dash, high = part.partition("-")
    is_range = low.isdecimal() and (high.isdecimal() or not dash)
    if number is None:
        digits = name.removeprefix("scan")
        number = int(digits) if digits.isdecimal() else -1
    is_in_range = is_range and int(low) <= number <= int(high or low)
    return name == part or is_in_range


def _list_names(scans: Sequence[Run]) -> str:
    names = ", ".join(scan.name for scan in scans[:SHOWN_NAMES]) or "none"
    return f"{names}, ..." if len(scans) > SHOWN_NAMES else names
