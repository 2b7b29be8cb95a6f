"""A few disturbed reductions; the programs beside this file make many."""

import shutil

import pytest

from tests.conftest import made_once
from tests.disturbed.io_errors import after_error, count_operations
from tests.disturbed.kills import MODES, after_kills
from tests.disturbed.reductions import (
    OTHER_CONFIG,
    differences,
    end,
    in_process,
    reduction,
)
from tests.disturbed.two_configs import at_once

pytestmark = pytest.mark.slow


@pytest.fixture
def beamtime(tmp_path, small_beamtime):
    return shutil.copytree(small_beamtime, tmp_path / "beamtime")


@pytest.fixture
def undisturbed(tmp_path_factory, small_beamtime):
    def make(out):
        reduction(small_beamtime, out)()  # compiles in this process, too

    return made_once(tmp_path_factory, "undisturbed", make)


def test_a_difference_is_found(undisturbed, tmp_path):
    out = shutil.copytree(undisturbed, tmp_path / "out")
    assert list(differences(undisturbed, out)) == []
    (out / "scans/scan0001.nxs").unlink()
    (out / ".left").touch()
    next((out / "figures").rglob("*.png")).unlink()
    lines = "\n".join(differences(undisturbed, out))
    assert all(part in lines for part in ("scan0001.nxs", ".left", "figures: "))


@pytest.mark.parametrize("mode", MODES)
def test_a_reduction_that_was_killed_is_completed(
    mode, undisturbed, beamtime, tmp_path
):
    lines = after_kills(mode, undisturbed, beamtime, tmp_path / "out", 5, seconds=3.0)
    assert lines == []


def test_an_error_of_the_disk_leaves_nothing_wrong(undisturbed, beamtime, tmp_path):
    counted, out = tmp_path / "counted", tmp_path / "out"
    n_operations = count_operations(reduction(beamtime, counted), counted)
    assert n_operations > 100
    for number in (n_operations // 10, n_operations // 2, n_operations - 10):
        assert list(after_error(undisturbed, beamtime, out, number)) == []
        shutil.rmtree(out)


def test_two_configs_at_once(undisturbed, beamtime, tmp_path):
    other = tmp_path / "other"
    end(in_process(reduction(beamtime, other, OTHER_CONFIG)))
    both = [undisturbed, other]
    assert list(at_once(both, beamtime, tmp_path / "out", 3)) == []
