"""Products that are gone though run.json lists them, and those of earlier runs."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.compare_products import products
from rixs_pipeline.io.export import Selection, missing_from_export
from rixs_pipeline.runner.results.last_lines import summarise_kind
from rixs_pipeline.runner.results.summary_file import (
    check_results,
    leftover_products,
    made_products,
)

LOG = logging.getLogger("rixs_pipeline")


def current_products(out: Path) -> dict[str, Path]:
    """Return the products in a folder, by name: not those of earlier reductions."""
    leftovers = leftover_products(out)
    return {name: path for name, path in products(out).items() if name not in leftovers}


def warn_excluded(out: Path, products: list[str], what: str) -> None:
    """Report products of earlier reductions in one line.

    Parameters
    ----------
    out
        Folder of the results.
    products
        Their files, such as `maps/LMR_RT-Co_L.nxs`.
    what
        What is not done with them: exported, packed, compared.
    """
    lines = [
        f"{out / name}: of an earlier reduction, not {what}; delete it if no longer "
        "needed"
        for name in products
    ]
    if lines:
        LOG.warning("%s", summarise_kind(lines))


def select_current(
    out: Path, formats: Iterable[str], selection: Selection
) -> Selection:
    """Leave products of earlier reductions out of an export, and report them.

    Parameters
    ----------
    out
        Folder of the results.
    formats
        Those of the export.
    selection
        Samples and regions.

    Returns
    -------
    Selection
        The same samples and regions.

    Raises
    ------
    UsageError
        Not a folder of results.
    """
    check_results(out, with_summary=False)
    leftovers = leftover_products(out)
    warn_excluded(out, missing_from_export(leftovers, formats, selection), "exported")
    return replace(selection, excluded=leftovers)


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
