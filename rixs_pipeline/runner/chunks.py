"""How the pixels of scans are cut into blocks: small enough that all workers are busy, few enough to fit in memory."""

from dataclasses import dataclass

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.tree_reduction import FAN_IN

PIXELS_A_BLOCK = 32  # at most: a block has a map of its own, which must not cost more than its pixels
BLOCKS_A_WORKER = 4  # at least, where there are as many pixels, so that none waits long for the last one
AHEAD = 8  # blocks a worker that are handed out at most, so that workers go on while a scan is written
PROGRAM = 350_000_000  # bytes that the program takes itself, its libraries and what does not grow with the maps
WRITING = 8  # maps while a scan is written: counts, intensities, errors, and what it takes to make them


@dataclass(frozen=True)
class Blocks:
    """`size` pixels each, of which `at_once` are handed out."""

    size: int
    at_once: int


def map_bytes(one: Run, bins: int) -> int:
    """Of a scan's counts."""
    return 8 * len(one.points) * (bins + 1)


def check_fits(one: Run, bins: int, memory: int) -> None:
    """Whether a scan's map can be made in `memory` bytes.

    Raises:
        RunFailed: not even pixel after pixel.
    """
    least = PROGRAM + (WRITING + 2) * map_bytes(one, bins)
    if least > memory:
        raise RunFailed(
            f"{one.name}: its map of {len(one.points)} points and {bins} bins takes {least / 1e9:.1f} GB to make, "
            f"execution.memory is {memory / 1e9:.1f} GB: raise it (--memory), or take a larger map.step"
        )


def plan(sizes: list[int], largest: int, workers: int, memory: int) -> Blocks:
    """Blocks for scans of so many pixels each, whose largest map takes `largest` bytes, within `memory` bytes.

    Larger blocks are fewer maps; where even so there is no room for all workers at once, some have to wait.
    """
    total, most = sum(sizes), max(sizes, default=0)
    room = max(0, (memory - PROGRAM) // max(largest, 1) - WRITING)
    size = max(1, min(PIXELS_A_BLOCK, total // (BLOCKS_A_WORKER * workers)))
    while size < most and room // (1 + _waiting(-(-most // size))) < workers:
        size += 1
    at_once = room // (1 + _waiting(-(-most // size)))
    return Blocks(size, max(1, min(AHEAD * workers, at_once)))


def _waiting(blocks: int) -> int:
    """Maps of a scan of so many blocks that may wait for others to be added to."""
    levels = 1
    while FAN_IN**levels < blocks:
        levels += 1
    return min(blocks, 1 + (FAN_IN - 1) * levels)
