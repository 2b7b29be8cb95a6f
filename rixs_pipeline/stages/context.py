"""What there is to reduce, and with what: shared by all stages of one reduction."""

from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config.models import Config, ReferenceSet
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.runner.executor import Executor
from rixs_pipeline.runner.freshness import Ledger
from rixs_pipeline.runner.summary import Summary


@dataclass(frozen=True)
class Work:
    """One reduction; `scans`: those that were asked for, of all in `beamtime`."""

    beamtime: Beamtime
    scans: list[Run]
    config: Config
    out: Path
    reference: ReferenceSet
    executor: Executor
    summary: Summary
    ledger: Ledger

    def product_of(self, calibration: Run) -> Path:
        """The product of a reference run."""
        return paths.calibration_product(self.out, calibration.name)

    def is_plainly_stale(self, path: Path) -> bool:
        """A dry run reads no pulses to find that what was never made has to be made."""
        return self.summary.dry_run and not path.is_file()
