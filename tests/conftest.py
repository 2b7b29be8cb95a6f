import fcntl
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# An example's time is meaningless on a loaded machine. Continuous integration tries the
# same examples every time; other machines try new examples.
settings.register_profile(
    "here",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")

CHECKOUT = Path(__file__).parent.parent

# a beamtime reduced in seconds: two samples with two passes each between reference runs
SMALL = {
    "seed": 5,
    "pixels": 3,
    "edges": ["Co_L"],
    "monochromator_slip": 0.0,  # otherwise a warning of every reduction
    "passes": 2,
    "points": 12,
    "dwell": 4.0,
    "rate": 15.0,
    "calibration_rate": 20.0,
    "calibration_duration": 150.0,
    "last_calibration_after": 600.0,
    "dead_pixels": [],
    "noisy_pixels": [],
    "jumping_pixels": [],
    "truncated_pixels": [],
    "beam_dumps": [],
    "projector_samples": 16,
}

# config: the calibrations of the pixels unchanged, so that no scan changes the energies
# of another one and counts can be compared exactly
AS_CALIBRATED = {"calibration": {"align": False, "scan_drift": "off"}}


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real beamtime beside the checkout or in `RIXS_REAL_DATA`; skip if missing."""
    folder = Path(os.environ.get("RIXS_REAL_DATA", CHECKOUT.parent / "shared" / "real"))
    beamtime = folder / "ssrl_10_1_20200219"
    if not beamtime.is_dir():
        pytest.skip(
            f"no real data: {beamtime} missing; set RIXS_REAL_DATA to its parent"
        )
    return beamtime


@pytest.fixture(scope="session")
def sample_beamtime() -> Path:
    """The simulated beamtime that ships with the repository."""
    return CHECKOUT / "data_samples" / "lmr_beamtime"


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A read-only folder for all tests of a session, made by the first worker.

    Other parallel workers wait for it.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def call_command_line(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it, in a process of its own."""
    command = [sys.executable, "-m", "rixs_pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def command_line() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a user calls it, in a process of its own."""
    return call_command_line


def _reduce(beamtime: Path) -> Callable[[Path], None]:
    def make(out: Path) -> None:
        done = call_command_line("extract", beamtime, "-o", out)
        assert done.returncode == 0, done.stderr

    return make


@pytest.fixture(scope="session")
def reduced_sample(tmp_path_factory, sample_beamtime) -> Path:
    """The sample beamtime, reduced by the command line without figures; read-only."""
    return made_once(tmp_path_factory, "reduced_sample", _reduce(sample_beamtime))


@pytest.fixture(scope="session")
def reduced_real(tmp_path_factory, real_data) -> Path:
    """The real beamtime, reduced by the command line without figures; read-only."""
    return made_once(tmp_path_factory, "reduced_real", _reduce(real_data))


@pytest.fixture(scope="session")
def small_beamtime(tmp_path_factory) -> Path:
    """A small simulated beamtime; to be read only."""
    from rixs_pipeline.simulate.beamtime import simulate
    from rixs_pipeline.simulate.settings import SimulationSettings

    return made_once(
        tmp_path_factory,
        "small_beamtime",
        lambda path: simulate(path, SimulationSettings.model_validate(SMALL)),
    )


@pytest.fixture(scope="session")
def reduced_small(tmp_path_factory, small_beamtime) -> Path:
    """The small beamtime, reduced; to be read only."""
    return made_once(tmp_path_factory, "reduced_small", _reduce(small_beamtime))


@dataclass
class Small:
    """A private beamtime and its products, to damage and to reduce in this process."""

    beamtime: Path
    out: Path

    @property
    def pulses(self) -> Path:
        """The folder with the pulse files."""
        return self.beamtime / "20260101" / "0000"

    def off(self, pixel: int) -> Path:
        """The pulses of a pixel."""
        return self.pulses / f"20260101_run0000_chan{pixel}.off"

    def log(self, number: int) -> Path:
        """The log of a scan."""
        return self.beamtime / "logs" / f"scan{number:04d}.json"

    def run(self, config: dict | None = None, **options):
        """Reduce it serially, up to the spectra, unless other options are given."""
        from rixs_pipeline.config import Config
        from rixs_pipeline.runner.run import Options, run

        resolved = Config.model_validate(
            {"execution": {"scheduler": "serial"}} | (config or {})
        )
        return run(
            self.beamtime, resolved, self.out, Options(**{"until": "extract"} | options)
        )


@pytest.fixture
def small(tmp_path, small_beamtime, reduced_small) -> Small:
    """A private copy of the small beamtime and its products, all of them fresh."""
    return Small(*copied(small_beamtime, reduced_small, tmp_path))


def copied(beamtime: Path, out: Path, folder: Path) -> tuple[Path, Path]:
    """Copy a beamtime and its products into a folder; both paths there."""
    copies = folder / "beamtime", folder / "out"
    shutil.copytree(beamtime, copies[0])
    shutil.copytree(out, copies[1])
    summary = copies[1] / "run.json"
    content = summary.read_text(encoding="utf-8")
    summary.write_text(content.replace(str(beamtime), str(copies[0])), "utf-8")
    return copies


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch, capsys) -> Callable[..., CommandResult]:
    """Run the command line in this process and check that it prints no traceback."""
    from rixs_pipeline.cli import main

    root, package = logging.getLogger(), logging.getLogger("rixs_pipeline")
    handlers, level = root.handlers[:], package.level

    def call(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["rixs-pipeline", *map(str, arguments)])
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as exit_:
                main()
        finally:
            root.handlers[:] = handlers
            package.setLevel(level)
        result = CommandResult(exit_.value.code, *capsys.readouterr())
        assert "Traceback" not in result.err
        assert "internal error" not in result.err, result.err
        return result

    return call


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the numbers of the jobs that the tests submitted to a real SLURM."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    properties = [
        value
        for test_report in reports
        for name, value in getattr(test_report, "user_properties", ())
        if name == "slurm"
    ]
    for value in dict.fromkeys(properties):
        terminalreporter.line(f"SLURM {value}")
