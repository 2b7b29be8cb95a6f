"""Divide the pixels of scans into blocks, within a limit of memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run

PIXELS_PER_BLOCK = 32  # at most: a block has a map, which must not cost more than it
BLOCKS_PER_WORKER = 4  # at least, so that no worker waits long for the last block
BLOCKS_AHEAD = 8  # a worker, at most: workers go on while a scan is written
PROGRAM_BYTES = 350_000_000  # libraries and what does not grow with the maps
MAPS_WHILE_WRITING = 8  # counts, intensities, errors and their intermediate values
FAN_IN = (
    8  # maps that are added at once; `runner.execution.tree_reduction` uses the same
)


@dataclass(frozen=True)
class BlockPlan:
    """How pixels are divided: `size` pixels a block, `at_once` blocks handed out."""

    size: int
    at_once: int


def map_bytes(scan: Run, n_bins: int) -> int:
    """Return the size of a scan's counts.

    Parameters
    ----------
    scan : Run
        The scan.
    n_bins : int
        Number of emission bins.

    Returns
    -------
    int
        Bytes.
    """
    return 8 * len(scan.points) * (n_bins + 1)


def check_memory(scan: Run, n_bins: int, memory: int) -> None:
    """Check that a scan's map fits in `memory` bytes.

    Raises
    ------
    RunFailed
        It does not, even with one pixel after the other.
    """
    least = PROGRAM_BYTES + (MAPS_WHILE_WRITING + 2) * map_bytes(scan, n_bins)
    if least > memory:
        raise RunFailed(
            f"{scan.name}: a map of {len(scan.points)} points and {n_bins} bins needs "
            f"{least / 1e9:.1f} GB, but `execution.memory` is {memory / 1e9:.1f} GB; "
            "increase it (--memory), or increase `map.step`"
        )


def plan_blocks(
    pixels: Sequence[int], largest_map: int, workers: int, memory: int
) -> BlockPlan:
    """Divide the pixels of scans into blocks.

    Larger blocks are fewer maps. Where memory is too small for all workers at once even
    so, some of them wait.

    Parameters
    ----------
    pixels : sequence of int
        Number of pixels of each scan.
    largest_map : int
        Size of the largest map, bytes.
    workers : int
        Number of workers.
    memory : int
        Limit, bytes.

    Returns
    -------
    BlockPlan
        The size of the blocks, and how many may be under way.
    """
    total, largest = sum(pixels), max(pixels, default=0)
    maps_in_memory = (memory - PROGRAM_BYTES) // max(largest_map, 1)
    room = max(0, maps_in_memory - MAPS_WHILE_WRITING)
    size = max(1, min(PIXELS_PER_BLOCK, total // (BLOCKS_PER_WORKER * workers)))
    while size < largest and room // (1 + _waiting_maps(-(-largest // size))) < workers:
        size += 1
    at_once = room // (1 + _waiting_maps(-(-largest // size)))
    return BlockPlan(size, max(1, min(BLOCKS_AHEAD * workers, at_once)))


def _waiting_maps(blocks: int) -> int:
    """Return how many maps of a scan's blocks may wait for others to be added to."""
    levels = 1
    while FAN_IN**levels < blocks:
        levels += 1
    return min(blocks, 1 + (FAN_IN - 1) * levels)
