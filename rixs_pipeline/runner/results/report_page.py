"""The HTML report of a reduction: written after it, marked where it is outdated."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.errors import RixsError, describe_os_error
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.report.page import is_current, mark_outdated, page
from rixs_pipeline.runner.results.last_lines import quality_lines
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.stages.sample.pass_maps import PassMaps

log = logging.getLogger("rixs_pipeline")


@dataclass
class Report:
    """The report of a reduction.

    Attributes
    ----------
    summary
        Of the reduction.
    config
        Resolved.
    file_digest
        Returns a digest of the content of a product.
    pass_maps
        The maps of scans, of which most have been read.
    """

    summary: Summary
    config: Config
    file_digest: Callable[[Path], str]
    pass_maps: PassMaps

    def read_products(self) -> None:
        """Read what the report shows of products, which then takes no time at the end.

        Of one that cannot be read, `write` warns.
        """
        with suppress(RixsError, OSError):
            self._content()

    def write(self) -> bool:
        """Write the report, when the reduction has ended.

        It is left alone if it shows what there is, and marked if the reduction ended
        before the report, or products cannot be read.

        Returns
        -------
        bool
            Whether the report shows what there is.
        """
        path = paths.report(self.summary.out)
        if self.summary.is_as_before and is_current(path):
            return True
        try:
            if self.summary.options.with_figures:
                content = self._content()
                self._memo.save(is_complete=self.summary.is_complete)
                text = page(f"{self.summary.beamtime.path.name}: reduction", content)
                with atomic_path(path) as temporary:
                    temporary.write_text(text, encoding="utf-8")
                return True
            mark_outdated(path)
        except RixsError as error:
            log.warning("%s: not written (%s)", path, error)
        except OSError as error:
            log.warning("report not written: %s", describe_os_error(error, path))
        return False

    @cached_property
    def _memo(self) -> Memo:
        """What is known of products."""
        return Memo.load(self.summary.out / paths.REPORT_PARTS)

    def _content(self) -> dict[str, Any]:
        """Return what the report shows."""
        # imported here: it loads xarray, which a reduction with nothing to do does not
        # need
        from rixs_pipeline.stages.html_report.content import report_content
        from rixs_pipeline.stages.html_report.parts import ProductParts

        return report_content(
            self.summary.out,
            self.summary.beamtime,
            self.config,
            self.summary.as_dict(),
            quality_lines(self.summary),
            ProductParts(self._memo, self.file_digest, self.pass_maps),
        )
