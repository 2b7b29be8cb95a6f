"""What all stages of a reduction share."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from rixs_pipeline import paths, progress
from rixs_pipeline.config import Config, ReferenceSet
from rixs_pipeline.core.maps.binning import emission_edges
from rixs_pipeline.io import provenance
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages import chunks
from rixs_pipeline.stages.sample.pass_maps import PassMaps
from rixs_pipeline.types import Edge, FloatArray, Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int], None]


MANY_FILES = 500  # pulse files, which threads read and count in 4 s or more


class Executor(Protocol):
    """Runs functions on tasks: `runner.execution.executor.Executor`."""

    workers: int

    @property
    def has_running_processes(self) -> bool:
        """Whether worker processes on this machine run already."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether a task can be handed out without a wait for processes to start."""
        ...

    def warm_up(self) -> None:
        """Load what worker processes share, while other work goes on."""
        ...

    def start_processes(self) -> None:
        """Start the worker processes, if there are any, while other work goes on."""
        ...

    def outcomes(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        progress: Progress | None = None,
    ) -> Iterator[Outcome[Result]]:
        """Yield the outcome of every task, in order."""
        ...

    def map_reduce(
        self,
        function: Callable[[Task], Result],
        groups: Iterable[Sequence[Task]],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None = None,
        at_once: int | None = None,
    ) -> Iterator[Outcome[Result]]:
        """Yield the combined outcome of every group of tasks, in order."""
        ...


class ProductKeys(Protocol):
    """The keys of the products that are there: `runner.results.freshness.Freshness`."""

    @property
    def keys(self) -> Mapping[Path, Mapping[str, str]]:
        """The keys by path: attributes that each product carries."""
        ...

    def key_digest(self, path: Path) -> str:
        """Return a digest of the key of a product."""
        ...

    def file_digest(self, path: Path) -> str:
        """Return a digest of the content of a product."""
        ...

    def pulse_digest(self, run: Run) -> str:
        """Return a digest of the pulses that a run uses."""
        ...

    def has_product(
        self, path: Path, options: Mapping[str, object], inputs: Mapping[str, str]
    ) -> bool:
        """Whether a fresh product with these options and inputs is on disk."""
        ...

    def drawn_figures(self, name: str) -> Mapping[str, str]:
        """Return the figures of a set that are there: file -> digest of its content."""
        ...


@dataclass(frozen=True)
class SampleEdge:
    """The scans of one sample at one edge, in order of time."""

    sample: str
    edge: Edge
    scans: tuple[Run, ...]

    @property
    def is_at_one_energy(self) -> bool:
        """Whether all points have the same incident energy: no absorption spectrum."""
        energies = [scan.points.incident_energy for scan in self.scans]
        return len({energy for scan in energies for energy in scan.tolist()}) == 1

    def map_path(self, out: Path) -> Path:
        """Return the path of the co-added map."""
        return paths.map_product(out, self.sample, self.edge)

    def spectra_path(self, out: Path) -> Path:
        """Return the path of the spectra."""
        return paths.spectra_product(out, self.sample, self.edge)

    def scan_paths(self, out: Path) -> list[Path]:
        """Return the paths of the maps of the single scans."""
        return [paths.scan_product(out, scan.name) for scan in self.scans]


@dataclass(frozen=True)
class RunContext:
    """One reduction: the beamtime, the config, and the means.

    Attributes
    ----------
    beamtime : Beamtime
        All runs.
    scans : sequence of Run
        The scans that were asked for.
    config : Config
        Resolved.
    out : Path
        The folder of the results.
    reference_set : ReferenceSet
        The reference lines.
    executor, few_executor, figure_executor : Executor
        For much work and for little, see `executor_for`; for figures, which hold the
        interpreter's lock.
    products : ProductKeys
        What is there by now.
    warn : callable
        Reports a line once.
    dry_run : bool
        Nothing is computed.
    memo : Memo
        What was decided from products, by their keys.
    """

    beamtime: Beamtime
    scans: Sequence[Run]
    config: Config
    out: Path
    reference_set: ReferenceSet
    executor: Executor
    few_executor: Executor
    figure_executor: Executor
    products: ProductKeys
    warn: Callable[[str], None]
    dry_run: bool = False
    memo: Memo = field(default_factory=Memo)

    @cached_property
    def emission_edges(self) -> FloatArray:
        """Edges of the emission bins of all maps, f8 (bin + 1,), eV."""
        return emission_edges(self.config.map.emission, self.config.map.step)

    @cached_property
    def pass_maps(self) -> PassMaps:
        """The maps of scans that are averaged over the passes of a sample and edge."""
        return PassMaps(self.out)

    def executor_for(self, n_files: int) -> Executor:
        """Return the executor for tasks that read so many pulse files.

        Processes take seconds to start, but threads wait for each other: work on a
        pixel is many short steps in Python.
        """
        return self.executor if n_files >= MANY_FILES else self.few_executor

    def excluded_points(self, scan: Run) -> tuple[int, ...]:
        """Return the numbers of a scan's points that the config excludes."""
        points = self.config.beamtime.exclude.points
        by_number = points.get(scan.number, ())
        return points.get(scan.name, by_number)

    def progress(
        self, activity: str, total: int, unit: str
    ) -> AbstractContextManager[Progress]:
        """Show the progress of an activity.

        Parameters
        ----------
        activity, total, unit
            As of `progress.show_progress`.

        Returns
        -------
        context manager
            Of a function to be called with the number of tasks done.
        """
        return progress.show_progress(activity, total, unit)

    def check_memory(self, scan: Run) -> None:
        """Check that the map of a scan fits in the memory that the config allows.

        Raises
        ------
        RunFailed
            It does not.
        """
        memory = self.config.execution.memory_bytes
        chunks.check_memory(scan, len(self.emission_edges) - 1, memory)

    def plan_blocks(
        self, scans: Sequence[Run], pixels: Sequence[int]
    ) -> chunks.BlockPlan:
        """Divide the pixels of scans into blocks.

        Parameters
        ----------
        scans : sequence of Run
            The scans.
        pixels : sequence of int
            How many pixels of each scan have to be counted.

        Returns
        -------
        BlockPlan
            Within the memory that the config allows.
        """
        n_bins = len(self.emission_edges) - 1
        largest_map = max((chunks.map_bytes(scan, n_bins) for scan in scans), default=0)
        memory = self.config.execution.memory_bytes
        return chunks.plan_blocks(pixels, largest_map, self.executor.workers, memory)

    def has(self, path: Path) -> bool:
        """Whether a product is there, as made by this reduction or fresh."""
        return path in self.products.keys

    def digest(self, values: Mapping[str, object]) -> str:
        """Return a digest of plain JSON values."""
        return provenance.digest_values(values)

    def run_digest(self, run: Run, *, with_readings: bool = True) -> str:
        """Return a digest of what the log says of a run."""
        return provenance.digest_run(run, with_readings=with_readings)

    def key_digest(self, path: Path) -> str:
        """Return a digest of the key of a product."""
        return self.products.key_digest(path)

    def file_digests(self, products: Iterable[Path]) -> dict[Path, str]:
        """Return digests of the contents of products."""
        return {path: self.products.file_digest(path) for path in products}

    def key_digests(self, products: Sequence[Path]) -> str:
        """Return one digest of the keys of several products."""
        return self.digest({"keys": [self.key_digest(path) for path in products]})

    def calibration_paths(self) -> list[Path]:
        """Return the products of all reference runs, in order of time."""
        return [
            paths.calibration_product(self.out, run.name)
            for run in self.beamtime.calibrations
        ]

    def scan_groups(self) -> list[SampleEdge]:
        """Return the scans that have a product, grouped by sample and edge."""
        groups: dict[tuple[str, Edge], list[Run]] = {}
        for scan in self.scans:
            if scan.edge is None:
                continue
            if self.has(paths.scan_product(self.out, scan.name)):
                groups.setdefault((scan.sample, scan.edge), []).append(scan)
        return [
            SampleEdge(sample, edge, tuple(scans))
            for (sample, edge), scans in groups.items()
        ]

    def sample_edges(self) -> list[SampleEdge]:
        """Return the samples and edges to reduce.

        Of samples whose names make the same file name, only the first one is returned.
        """
        by_path: dict[Path, SampleEdge] = {}
        for group in self.scan_groups():
            by_path.setdefault(group.map_path(self.out), group)
        return list(by_path.values())
