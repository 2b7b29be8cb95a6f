"""The HTML report of a reduction: written after it, marked where it is outdated."""

import logging
from collections.abc import Callable
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.errors import RixsError
from rixs_pipeline.io.memo import Memo
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.report.page import is_current, mark_outdated, page
from rixs_pipeline.runner.last_lines import quality_lines
from rixs_pipeline.runner.summary import Summary
from rixs_pipeline.stages.sample.pass_maps import PassMaps

log = logging.getLogger("rixs_pipeline")


def write_report(
    summary: Summary,
    config: Config,
    file_digest: Callable[[Path], str],
    pass_maps: PassMaps,
) -> bool:
    """Write the report of a reduction.

    It is left alone if it shows what there is, and marked if the reduction ended before
    the report, or products cannot be read.

    Parameters
    ----------
    summary
        Of the reduction that has just ended.
    config
        Resolved.
    file_digest
        Returns a digest of the content of a product.
    pass_maps
        The maps of scans, of which most have been read.

    Returns
    -------
    bool
        Whether the report shows what there is.
    """
    # imported here: it loads xarray, which a reduction with nothing to do does not need
    from rixs_pipeline.stages.html_report.content import report_content
    from rixs_pipeline.stages.html_report.parts import ProductParts

    path = paths.report(summary.out)
    if summary.is_as_before and is_current(path):
        return True
    try:
        if summary.options.with_figures:
            memo = Memo.load(summary.out / paths.REPORT_PARTS)
            content = report_content(
                summary.out,
                summary.beamtime,
                config,
                summary.as_dict(),
                quality_lines(summary),
                ProductParts(memo, file_digest, pass_maps),
            )
            memo.save(is_complete=summary.is_complete)
            text = page(f"{summary.beamtime.path.name}: reduction", content)
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            return True
        mark_outdated(path)
    except (RixsError, OSError) as error:
        log.warning("%s: not written (%s)", path, error)
    return False
