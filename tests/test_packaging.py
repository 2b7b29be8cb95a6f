"""Contents of the wheel, lock files, and agreement of versions."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import rixs_pipeline
from rixs_pipeline.config.load import load_config

CHECKOUT = Path(__file__).parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(
    r"^([a-z0-9.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def pins(lock: str) -> dict[str, str]:
    """Package -> version of every pin that has a hash."""
    return {
        name: version
        for name, version, _ in PIN.findall(
            (CHECKOUT / lock).read_text(encoding="utf-8")
        )
    }


def names(requirements: list[str]) -> set[str]:
    """Names of requirements as lock files write them."""
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", text)[0]).lower()
        for text in requirements
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_files_hold_pins_with_hashes_and_no_hosts(lock: str) -> None:
    lines = (CHECKOUT / lock).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(wanted) == len(pins(lock)) > 0
    assert not [
        line for line in lines if "://" in line or line.startswith("-") or " @ " in line
    ]


def test_lock_files_cover_the_requirements() -> None:
    project = PROJECT["project"]
    runtime = names(project["dependencies"]) | names(
        PROJECT["build-system"]["requires"]
    )
    assert runtime <= pins("requirements.lock").keys()
    optional = {
        name
        for group in project["optional-dependencies"].values()
        for name in names(group)
    }
    assert optional <= pins("requirements-dev.lock").keys()


def test_the_lock_files_agree() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_versions_agree() -> None:
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {rixs_pipeline.__version__}\n" in citation
    assert f"\n## [{rixs_pipeline.__version__}]" in changelog


def test_the_wheel_holds_package_configs_and_licence(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path),
    ]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    info = wheel.name.rsplit("-py3")[0] + ".dist-info"
    entry_points = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "rixs_pipeline = rixs_pipeline.xarray_plugin:ProductBackend" in entry_points
    modules = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "rixs_pipeline").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    configs = {
        f"rixs_pipeline/{path.relative_to(CHECKOUT).as_posix()}"
        for path in (CHECKOUT / "configs").rglob("*.yaml")
    }
    assert modules | configs | {"rixs_pipeline/py.typed"} <= shipped
    assert any(name.endswith("licenses/LICENSE") for name in shipped)
    assert {name.split("/")[0] for name in shipped} <= {"rixs_pipeline", info}


@pytest.mark.parametrize(
    "path",
    sorted((CHECKOUT / "configs" / "sites").glob("*.yaml")),
    ids=lambda p: p.stem,
)
def test_the_settings_of_sites_are_valid(path: Path) -> None:
    config = load_config(None, path)
    assert config.execution.cluster.setup
    assert path.name in path.read_text(encoding="utf-8")


def test_the_conda_environment_has_the_requirements() -> None:
    text = (CHECKOUT / "environment.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^  - (\S+)$", text, re.MULTILINE))
    wanted = {
        text.replace("matplotlib", "matplotlib-base")
        for text in PROJECT["project"]["dependencies"]
    }
    assert wanted <= listed


@pytest.mark.slow
def test_the_steps_of_the_containers_work_in_a_clean_folder(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", CHECKOUT, checkout], check=True)
    script = checkout / "containers" / "install.sh"
    command = ["sh", script, checkout, tmp_path / "venv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(rixs_pipeline.__version__)
