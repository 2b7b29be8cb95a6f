"""The whole command on the sample beamtime: from scratch, and with everything fresh."""

import json
import shutil

import pytest

from rixs_pipeline.io.formats import off


@pytest.fixture(scope="module")
def records(sample_beamtime) -> int:
    """Pulses in the beamtime."""
    return sum(len(off.open_records(path)) for path in sample_beamtime.rglob("*.off"))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "out"


@pytest.mark.parametrize(
    ("verb", "what", "anew"),
    [
        ("extract", "everything but figures, from nothing", True),
        ("run", "everything, from nothing", True),
        ("run", "everything, all of it fresh", False),
    ],
)
def test_the_command(
    timed, command_line, sample_beamtime, records, out, verb, what, anew
):
    def run():
        return command_line(verb, sample_beamtime, "-o", out, "-q")

    def prepare():
        if anew:
            shutil.rmtree(out, ignore_errors=True)
        else:
            run()

    done = timed("run", what, run, records, "pulses", rounds=3, setup=prepare)
    assert done.returncode == 0, done.stderr
    executed = json.loads((out / "run.json").read_text(encoding="utf-8"))["executed"]
    assert any(name.endswith(".png") for name in executed) == (verb == "run" and anew)
    assert bool(executed) == anew
