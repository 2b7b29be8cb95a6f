"""Whether what a reduction will write is likely to fit on the disk."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.files.opening import is_file
from rixs_pipeline.io.runs import Beamtime, Run

LOG = logging.getLogger(__name__)

# Measured on simulated beamtimes of 16 to 240 pixels, with a margin of about a half.
BYTES_OF_SCAN = 350_000  # its map, and what is kept of it for the next reduction
BYTES_OF_SAMPLE = 3_000_000  # map, spectra and figures of a sample and edge
BYTES_OF_REFERENCE_RUN = 5_000_000  # calibration and figures
SHARE_OF_PULSES = 0.15  # bytes of a map for one of a pulse file: its counts
SHARE_OF_PHOTONS = 0.3  # the same for calibrated photons


def expected_bytes(
    beamtime: Beamtime, scans: Sequence[Run], config: Config, out: Path
) -> int:
    """Return about how many bytes the products that are not there yet will take.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    scans : sequence of Run
        The scans to reduce.
    config : Config
        Resolved.
    out : Path
        The folder of the results.

    Returns
    -------
    int
        A rough estimate, rather too large.
    """
    new = [s for s in scans if not is_file(paths.scan_product(out, s.name))]
    new_samples = {
        (scan.sample, scan.edge)
        for scan in new
        if scan.edge and not is_file(paths.map_product(out, scan.sample, scan.edge))
    }
    new_references = [
        run
        for run in beamtime.calibrations
        if not is_file(paths.calibration_product(out, run.name))
    ]
    share = SHARE_OF_PULSES + SHARE_OF_PHOTONS * config.map.keep_photons
    all_seconds = sum(run.end_ns - run.start_ns for run in beamtime.runs)
    new_seconds = sum(scan.end_ns - scan.start_ns for scan in new)
    pulses = _pulse_bytes(new) * new_seconds / max(all_seconds, 1)
    return round(
        BYTES_OF_SCAN * len(new)
        + BYTES_OF_SAMPLE * len(new_samples)
        + BYTES_OF_REFERENCE_RUN * len(new_references)
        + share * pulses
    )


def _pulse_bytes(scans: Sequence[Run]) -> int:
    """Return the size of all files that have pulses of scans."""
    files = {path for scan in scans for path in scan.pulse_files}
    return sum(path.stat().st_size for path in files if is_file(path))


def little_room(
    beamtime: Beamtime, scans: Sequence[Run], config: Config, out: Path
) -> list[str]:
    """Return a line if the disk is likely to be too small for the new products.

    The reduction may still begin: products appear whole or not at all, and the
    estimate is rough.

    Parameters
    ----------
    beamtime, scans, config, out
        As of `expected_bytes`; the folder exists.

    Returns
    -------
    list of str
        Empty if there is room, or it is not known.
    """
    needed = expected_bytes(beamtime, scans, config, out)
    try:
        free = shutil.disk_usage(out).free
    except OSError as error:
        LOG.debug("%s: free space unknown (%s)", out, error)
        return []
    if needed <= free:
        return []
    return [
        f"{out}: little room on the disk: about {_megabytes(needed)} needed, "
        f"{_megabytes(free)} free; free some, or choose another folder with -o"
    ]


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"
