"""Which scans of a long open interval count: those at its ends.

While no reference run has closed an interval, each scan is corrected with the scans
before it. If it used all of them, the cost of a beamtime would grow with the square of
its number of scans, and that of the next scan without limit.
"""

from collections.abc import Sequence
from typing import TypeVar

Scan = TypeVar("Scan")

FIRST = 10  # scans just after the reference run: they tie the lines to its scale
LAST = 30  # scans before the one to be corrected: they share its drift


def ends_of(scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """Return the first and the last scans of those before a scan.

    Parameters
    ----------
    scans
        In order of time; the last one is the scan to be corrected.

    Returns
    -------
    tuple
        All, if there are at most `FIRST` + `LAST`.
    """
    if len(scans) <= FIRST + LAST:
        return tuple(scans)
    return (*scans[:FIRST], *scans[-LAST:])
