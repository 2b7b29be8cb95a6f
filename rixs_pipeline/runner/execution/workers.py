"""The workers of a reduction: for numbers, and for figures."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from rixs_pipeline import paths
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.config.execution import LOCAL_SCHEDULERS
from rixs_pipeline.runner.execution.executor import (
    Executor,
    available_cores,
    load_shared,
)

# Modules that processes load once, together
COUNTING = "rixs_pipeline.runner.execution.preloaded_counting"
DRAWING = "rixs_pipeline.runner.execution.preloaded_drawing"


class Executors(NamedTuple):
    """For much work and for little; for figures, which hold the interpreter's lock."""

    numbers: Executor
    few: Executor
    figures: Executor


@dataclass
class Workers:
    """Executors that a reduction opens.

    Within `with Workers() as workers:` those on this machine stay open from one
    reduction to the next. Those on a cluster never do: they would occupy it.
    """

    _is_kept: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)
    _open: Executors | None = None
    _are_kept_open: bool = False

    def __enter__(self) -> Self:
        """Keep executors open until the block ends."""
        self._is_kept = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close them."""
        self._is_kept = False
        self._close()

    @property
    def running_processes(self) -> Executor | None:
        """Processes for figures that are running since an earlier reduction."""
        if self._open is None or not self._are_kept_open:
            return None
        return self._open.figures if self._open.figures.workers > 1 else None

    @contextmanager
    def opened(
        self, execution: ExecutionConfig, out: Path, *, with_figures: bool
    ) -> Iterator[Executors]:
        """Open executors, or use those that are open.

        Parameters
        ----------
        execution : ExecutionConfig
            Scheduler and number of workers.
        out : Path
            The folder of the results, for the logs of cluster jobs.
        with_figures : bool
            Whether figures are drawn.

        Yields
        ------
        Executors
            For one reduction; after an error they are not used again.
        """
        if self._open is None:
            self._open = self._new(execution, out / paths.LOGS, with_figures)
        is_whole = False
        try:
            yield self._open
            is_whole = True
        finally:
            is_local = execution.scheduler in LOCAL_SCHEDULERS
            self._are_kept_open = self._is_kept and is_local and is_whole
            if not self._are_kept_open:
                self._close()

    def _new(
        self, execution: ExecutionConfig, logs: Path, with_figures: bool
    ) -> Executors:
        counting = _counting(with_figures)
        few = self._enter(_with_scheduler(execution, "threads"), logs, counting)
        numbers = few
        if execution.scheduler == "auto" and few.workers > 1:
            processes = _with_scheduler(execution, "processes")
            numbers = self._enter(processes, logs, counting)
        figures = self._enter(_figure_execution(few), logs, (DRAWING,))
        return Executors(numbers, few, figures)

    def _enter(
        self, execution: ExecutionConfig, logs: Path, modules: Sequence[str]
    ) -> Executor:
        executor = Executor(execution, logs, preload=modules)
        return self._stack.enter_context(executor)

    def _close(self) -> None:
        self._open = None
        self._stack.close()


def load_early(
    execution: ExecutionConfig, *, with_figures: bool, with_pulses: bool
) -> None:
    """Load what worker processes share, before there is work for them.

    Parameters
    ----------
    execution : ExecutionConfig
        Scheduler and number of workers.
    with_figures : bool
        Whether figures are drawn.
    with_pulses : bool
        Whether pulses are counted.
    """
    if execution.scheduler != "auto" or (execution.workers or available_cores()) == 1:
        return
    if with_pulses:
        load_shared(_counting(with_figures))
    elif with_figures:
        load_shared((DRAWING,))


def _counting(with_figures: bool) -> tuple[str, ...]:
    """Return the modules of processes that count; those that draw are forked, too."""
    return (COUNTING, DRAWING) if with_figures else (COUNTING,)


def _with_scheduler(execution: ExecutionConfig, of_auto: str) -> ExecutionConfig:
    """Replace `auto` by a scheduler."""
    if execution.scheduler != "auto":
        return execution
    return execution.model_copy(update={"scheduler": of_auto})


def _figure_execution(executor: Executor) -> ExecutionConfig:
    """Draw figures in as many processes as there are workers, on this machine."""
    workers = min(executor.workers, available_cores())
    scheduler = "processes" if workers > 1 else "serial"
    return ExecutionConfig(scheduler=scheduler, workers=workers)
