"""Products that run.json lists as made, and that are no longer there."""

from collections.abc import Iterable
from pathlib import Path

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.export import Selection, missing_from_export
from rixs_pipeline.runner.results.summary_file import made_products


def check_export(out: Path, formats: Iterable[str], selection: Selection) -> None:
    """Check that no product was missing when others were exported.

    Parameters
    ----------
    out
        Folder of the results.
    formats
        Those of the export.
    selection
        Samples and regions.

    Raises
    ------
    RunFailed
        Names those that are missing.
    """
    lost = [name for name in made_products(out) if not (out / name).is_file()]
    if missing := missing_from_export(lost, formats, selection):
        raise RunFailed(
            f"{out}: {', '.join(missing)} missing, not exported; run again: "
            f"rixs-pipeline run BEAMTIME -o {out}"
        )
