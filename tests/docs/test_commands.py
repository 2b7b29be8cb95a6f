"""The commands of README and docs run, in the order of each page."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, blocks, pages_with

pytestmark = pytest.mark.slow

# names of the pages -> those of the folder in which a page's commands run
FOLDERS = {
    "/data/2026-05": "$PWD/2026-05",
    "/data/2026-11": "$PWD/2026-11",
    "BEAMTIME": "data_samples/lmr_beamtime",
    "/scratch/nov": "out",
    "/scratch/may": "out",
    "nov": "out",
    "OUT": "out",
}
CONFIGS = {
    "elam.yaml": "calibration: {reference: elam}",
    "config.yaml": "{}",
    "may.yaml": "{}",
    "nov.yaml": "{}",
    "both.yaml": "{}",
    "beamline.yaml": "{}",
}
# run by .ci/run, by people, or by other programs
OTHERS = ("git", "make", "source", "tiled", "python -m tests", "bash .ci/run")
# words in a command -> what it gets besides, so that it ends
ENDINGS = {"watch": "--rounds 1", "--scheduler": "--dry-run", "run both": "--dry-run"}
# tests of their own: tests/runner/cluster, tests/simulate and configs/lmr_paper.yaml
ELSEWHERE = ("rixs-pipeline submit", "rixs-pipeline simulate lmr", "run lmr ")
# seconds of a recorded minute are too long for a test
FASTER = ("--speed 60", "--speed 3000")


def commands(page: Path) -> list[str]:
    """Return the commands of a page, as they run in the folder of a test."""
    lines = "".join(block.text for block in blocks(page, "console")).splitlines()
    result = []
    for line in lines:
        command = line.removeprefix("$ ").removeprefix(".venv/bin/")
        is_command = line.startswith("$ ")
        if not is_command or command.startswith(OTHERS):
            continue
        if any(words in command for words in ELSEWHERE):
            continue
        for name, folder in FOLDERS.items():
            command = re.sub(
                rf"(?<![\w/.-]){name}(?![\w-]|\.yaml|\.zip)", folder, command
            )
        added = [more for words, more in ENDINGS.items() if words in command]
        is_replay = "--replay" in command
        command = command.partition(" #")[0].replace(*FASTER)
        result.append(command if is_replay else " ".join([command, *added]))
    return result


@pytest.mark.parametrize(
    "page",
    [page for page in pages_with("console") if commands(page)],
    ids=lambda page: page.stem,
)
def test_commands_run(page: Path, reduced_sample: Path, tmp_path: Path) -> None:
    (tmp_path / "data_samples").symlink_to(CHECKOUT / "data_samples")
    for name in ("2026-05", "2026-11"):
        (tmp_path / name).symlink_to(CHECKOUT / "data_samples" / "lmr_beamtime")
    shutil.copytree(reduced_sample, tmp_path / "out")
    for name, text in CONFIGS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in blocks(page, "yaml"):
        if name := re.match(r"# (\w+\.yaml)\n", block.text):
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    reduction = "rixs-pipeline run data_samples/lmr_beamtime -o out --until xas"
    for command in [reduction, *commands(page)]:
        if " init " in command:
            (tmp_path / "nov.yaml").unlink()
        words = command.replace("rixs-pipeline", f"{sys.executable} -m rixs_pipeline")
        done = subprocess.run(
            ["bash", "-c", words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=600,
        )
        differs = command.startswith("rixs-pipeline diff") and done.returncode == 1
        assert done.returncode == 0 or differs, f"{command}\n{done.stderr}"
        if differs and page.stem == "compare_reductions":
            assert set(table_rows(blocks(page, "text")[0].text)) <= set(
                table_rows(done.stdout)
            )


def table_rows(text: str) -> list[str]:
    """Return the lines of a report of `diff`, but for how many values differ."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if " values in " not in line]


def test_every_command_is_known() -> None:
    """A new command is run, or named as one that is tested elsewhere."""
    programs = ("rixs-pipeline", "mkdir", "column", *OTHERS)
    unknown = [
        command
        for page in pages_with("console")
        for command in commands(page)
        if not command.startswith(programs)
    ]
    assert unknown == []
