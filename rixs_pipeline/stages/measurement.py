"""When and where the data of a product were measured, as attributes of its entries."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rixs_pipeline.config import ExperimentConfig
from rixs_pipeline.io.runs import Run

if TYPE_CHECKING:
    import xarray as xr

NO_EXPERIMENT = ExperimentConfig()


def measurement_attributes(
    runs: Sequence[Run], experiment: ExperimentConfig = NO_EXPERIMENT
) -> dict[str, Any]:
    """Return start, end and experiment of runs.

    Parameters
    ----------
    runs
        At least one.
    experiment
        Of the config. Products of single runs do without: they are not made again when
        it changes.

    Returns
    -------
    dict
        `start_time` and `end_time` (ISO 8601, UTC), and `experiment`, a dict of what is
        known, with the number of the beamtime from the logs.
    """
    known = experiment.known()
    numbers = dict.fromkeys(run.beamtime for run in runs if run.beamtime)
    if numbers:
        known.setdefault("beamtime", ", ".join(numbers))
    return {
        "start_time": _iso_time(min(run.start_ns for run in runs)),
        "end_time": _iso_time(max(run.end_ns for run in runs)),
        "experiment": known,
    }


def assign_measurement(
    datasets: Iterable["xr.Dataset"], runs: Sequence[Run], experiment: ExperimentConfig
) -> None:
    """Add the attributes of `measurement_attributes` to datasets.

    Parameters
    ----------
    datasets
        Of one product.
    runs
        That it was made from.
    experiment
        Of the config.
    """
    attributes = measurement_attributes(runs, experiment)
    for dataset in datasets:
        dataset.attrs |= attributes


def _iso_time(time_ns: int) -> str:
    """Return ns since 1970 as text, to the second."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).isoformat()
