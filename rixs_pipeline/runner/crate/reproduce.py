"""Repeat a packed reduction, and compare the products bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.runner.crate.unpack import unpack
from rixs_pipeline.runner.results.record import Record, describe_differences
from rixs_pipeline.runner.run import Options, run

UNPACKED = "crate"  # folder beside that of the new results
REPEATED = "out"


@dataclass(frozen=True)
class Reproduction:
    """What came of the repetition of a packed reduction.

    Attributes
    ----------
    circumstances
        Lines on versions and raw data that differ.
    differences
        Lines on products that differ.
    """

    circumstances: Sequence[str]
    differences: Sequence[str]

    @property
    def is_equal(self) -> bool:
        """Whether every value of every product is equal, bit by bit."""
        return not self.differences

    def text(self, archive: Path) -> list[str]:
        """Return the lines for users."""
        result = self.differences or ["all products are equal, bit by bit"]
        lines = [*self.circumstances, *result]
        return [f"compared with {archive}:", *(f"  {line}" for line in lines)]


def reproduce(
    archive: Path,
    beamtime: Path,
    work: Path,
    out: Path | None,
    execution: dict[str, Any],
    command: str,
) -> Reproduction:
    """Repeat a packed reduction.

    Parameters
    ----------
    archive
        As `pack` wrote it.
    beamtime
        The beamtime directory.
    work
        An empty folder for what is unpacked.
    out
        The folder of the new results, which must be empty; None: in `work`.
    execution
        What the command line sets of the section `execution`.
    command
        For the products.

    Returns
    -------
    Reproduction

    Raises
    ------
    UsageError
        The folder for the results has files.
    RixsError
        The archive or the beamtime cannot be used.
    """
    if out is not None and out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out}: not empty; choose a new folder with -o")
    unpacked = work / UNPACKED
    unpacked.mkdir()
    unpack(archive, unpacked)
    out = out or work / REPEATED
    try:
        record = Record.read(unpacked / paths.RUN_SUMMARY)
        config = load_config(
            record.config, overrides={"execution": execution} if execution else None
        )
        options = Options(until=record.until, scans=record.scans, command=command)
        run(beamtime, config, out, options)
        circumstances = record.circumstances(out)
        differences = describe_differences(unpacked, out, tolerance=0.0)
    except RixsError as error:
        raise type(error)(str(error).replace(str(unpacked), str(archive))) from error
    names = {str(unpacked): str(archive), str(work / REPEATED): "the repetition"}
    for path, name in names.items():
        differences = [line.replace(path, name) for line in differences]
    return Reproduction(circumstances, differences)
