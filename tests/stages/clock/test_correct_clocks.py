"""Decisions about clocks: what is known stays, what is not may be prepared."""

from functools import partial
from pathlib import Path

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.clock import scan_clock
from rixs_pipeline.stages.clock.correct_clocks import correct_clocks
from rixs_pipeline.stages.clock.scan_clock import prepare_clock
from tests.conftest import SMALL

SETTINGS = {"seed": 31, "pixels": 3, "edges": ["O_K"], "points": 36, "rate": 25.0}


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory):
    path = tmp_path_factory.mktemp("clocks") / "beamtime"
    simulate(path, SimulationSettings.model_validate(SMALL | SETTINGS))
    return discover(path)


@pytest.fixture
def fits(monkeypatch):
    """Every fit of pulses, as it begins."""
    begun = []
    fit = scan_clock.fit_shifts
    monkeypatch.setattr(
        scan_clock, "fit_shifts", lambda *args: begun.append(1) or fit(*args)
    )
    return begun


def test_clocks_are_prepared_until_they_are_known(beamtime, tmp_path):
    memo = Memo()
    prepared = []

    def prepare(clocks):
        prepared.extend(clock.scan.name for clock in clocks)

    correct = partial(correct_clocks, beamtime, Config(), memo, prepare=prepare)
    first = correct()
    assert sorted(prepared) == sorted(scan.name for scan in beamtime.scans)
    prepared.clear()
    assert correct() == first
    assert prepared == []


def test_what_is_prepared_decides_as_what_is_not(beamtime, tmp_path: Path, fits):
    expected = correct_clocks(beamtime, Config(), Memo())
    n_fits = len(fits)
    assert n_fits > 0
    cache = ArrayCache(tmp_path)

    def prepare(clocks):
        for clock in clocks:
            prepare_clock(clock)

    assert correct_clocks(beamtime, Config(), Memo(), cache, prepare) == expected
    assert len(fits) == 2 * n_fits
    assert correct_clocks(beamtime, Config(), Memo(), cache) == expected
    assert len(fits) == 2 * n_fits  # all of them are in the cache
