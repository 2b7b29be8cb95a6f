"""Blocks of pixels: enough for all workers, with all maps within the memory."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages import chunks
from rixs_pipeline.stages.chunks import FAN_IN, BlockPlan

GB, MB = 10**9, 10**6


def most_held(pixels: int, size: int) -> int:
    """Largest number of maps of a scan in memory, just before the last block ends."""
    number, held = -(-pixels // size), 0
    while number > 1:
        held += min(number, FAN_IN) - 1
        number = -(-number // FAN_IN)
    return held + 1


def test_the_default_keeps_all_workers_busy() -> None:
    assert chunks.plan_blocks([240] * 12, 8 * 240 * 1801, 2, GB) == BlockPlan(32, 16)
    assert chunks.plan_blocks([16], 8 * 240 * 1801, 2, GB).size == 2
    assert chunks.plan_blocks([], 0, 2, GB).size == 1


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=4),
    st.integers(1, 300),
    st.integers(1, 64),
    st.integers(1, 40),
)
def test_what_is_held_at_once_fits(
    pixels: list[int], map_mb: int, workers: int, tenths: int
) -> None:
    """Wherever a map can be made at all."""
    memory, largest = tenths * GB // 10, map_mb * MB
    found = chunks.plan_blocks(pixels, largest, workers, memory)
    assert 1 <= found.size <= max(pixels) or found.size <= chunks.PIXELS_PER_BLOCK
    assert 1 <= found.at_once <= chunks.BLOCKS_AHEAD * workers
    held = chunks.MAPS_WHILE_WRITING + found.at_once * (
        1 + most_held(max(pixels), found.size)
    )
    if chunks.PROGRAM_BYTES + (chunks.MAPS_WHILE_WRITING + 2) * largest <= memory:
        assert chunks.PROGRAM_BYTES + held * largest <= memory


def test_larger_maps_make_larger_blocks_before_workers_wait() -> None:
    small, large, huge = (
        chunks.plan_blocks([240], mb * MB, 2, GB) for mb in (3, 40, 60)
    )
    assert small == BlockPlan(30, 16)
    assert large == BlockPlan(80, 2)
    assert huge == BlockPlan(240, 1)


def test_a_map_larger_than_memory_is_refused() -> None:
    scan = SimpleNamespace(name="scan0007", points=range(2000))
    chunks.check_memory(scan, 1800, GB)
    with pytest.raises(
        RunFailed,
        match=r"scan0007: a map of 2000 points and 9000 bins needs 1\.8 GB, "
        r"but `execution\.memory`",
    ):
        chunks.check_memory(scan, 9000, GB)
