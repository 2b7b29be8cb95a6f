"""What reductions by one process share."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.find_files import FileReader
from rixs_pipeline.io.caches.digest_cache import DigestCache
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.execution.workers import Workers
from rixs_pipeline.runner.results.output_folder import held


@dataclass
class Session:
    """Files that were read, and workers. `watch` has a session of its own.

    Attributes
    ----------
    reader
        Has read files before.
    workers
        Of which some may be open.
    """

    reader: FileReader = field(default_factory=FileReader)
    workers: Workers = field(default_factory=Workers)
    _digests: DigestCache | None = None

    def digests(self, out: Path) -> DigestCache:
        """Return the digests of files that are kept in a folder of results."""
        path = out / paths.DIGEST_CACHE
        if self._digests is None or self._digests.path != path:
            self._digests = DigestCache(path)
        return self._digests

    def holding(
        self, out: Path, config: Config, beamtime_path: Path
    ) -> AbstractContextManager[None]:
        """Return what holds a folder of results during a reduction: see `held`."""
        return held(out, config, beamtime_path)

    def select(self, beamtime: Beamtime) -> Beamtime:
        """Return the beamtime that is to be reduced now."""
        return beamtime

    def is_known(self, line: str) -> bool:
        """Whether a warning or error need not be logged."""
        return False
