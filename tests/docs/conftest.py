import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import call_command_line, made_once

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture(scope="session")
def tutorial_out(tmp_path_factory, sample_beamtime, reduced_sample) -> Path:
    """The sample beamtime, reduced with the config of the tutorial; read-only.

    It has photons, too.
    """
    text = TUTORIAL.read_text(encoding="utf-8")
    config = tmp_path_factory.mktemp("config") / "lmr.yaml"
    section = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    config.write_text(f"{section}map: {{keep_photons: true}}\n", encoding="utf-8")

    def make(out: Path) -> None:
        shutil.copytree(reduced_sample, out)
        arguments = ("run", sample_beamtime, "-c", config, "-o", out)
        done = call_command_line(*arguments, "--until", "compare")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "tutorial_out", make)
