from pathlib import Path

import pytest

from tests.conftest import call_command_line, made_once

CONFIG = """\
experiment: {facility: SSRL, beamline: 10-1, users: [A. Person], doi: 10.1/x}
compare: {heating: {samples: [LMR_RT, LMR_100C]}}
regions:
  Co: {preset: Co_L}
  Co_XES: {kind: xes, edge: Co_L, incident: [778, 782], features: {La: [765, 785]}}
"""


@pytest.fixture(scope="session")
def compared_small(tmp_path_factory, small_beamtime) -> Path:
    """All products of the small beamtime; to be read only."""
    config = tmp_path_factory.mktemp("config") / "c.yaml"
    config.write_text(CONFIG)

    def make(out: Path) -> None:
        options = ("-c", config, "-o", out, "--until", "compare")
        done = call_command_line("run", small_beamtime, *options)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "compared_small", make)
