"""Reductions in processes of their own, and what differs from an undisturbed one."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rixs_pipeline.config import Config
from rixs_pipeline.errors import INTERNAL_ERROR, InputError, RixsError
from rixs_pipeline.io.compare_products import find_differences
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.runner.watch import Watch
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.conftest import SMALL

SERIAL = {"execution": {"scheduler": "serial", "workers": 1}}
OTHER_CONFIG = {"map": {"step": 1.0}}
_AGE = 3600.0  # s, by which temporary files are made older, so that they may be removed
_TIMEOUT = 300.0  # s
_FORK = multiprocessing.get_context("fork")  # all is imported and compiled already

Start = Callable[[], multiprocessing.process.BaseProcess]


def make_beamtime(folder: Path) -> Path:
    """Simulate the small beamtime."""
    simulate(folder, SimulationSettings.model_validate(SMALL))
    return folder


def in_process(function: Callable[[], int]) -> multiprocessing.process.BaseProcess:
    """Start a function in a process of its own; its exit code is what it returns."""

    def child() -> None:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            sys.stdout = sys.stderr = nowhere
            try:
                code = function()
            except RixsError as error:
                code = error.exit_code
            except OSError:  # one line of the command line, too
                code = InputError.exit_code
            except BaseException:
                code = INTERNAL_ERROR
            os._exit(code)

    process = _FORK.Process(target=child)
    process.start()
    return process


def reduction(
    beamtime: Path, out: Path, config: Mapping[str, Any] | None = None
) -> Callable[[], int]:
    """Return a function that reduces a beamtime, with its figures."""
    resolved = Config.model_validate({**SERIAL, **(config or {})})
    return lambda: run(beamtime, resolved, out, Options(command="test")).exit_code


def watching(beamtime: Path, out: Path) -> Callable[[], int]:
    """Return a function that reduces a beamtime again and again."""
    return lambda: Watch(beamtime, Config.model_validate(SERIAL), out).run(every=0.1)


def end(process: multiprocessing.process.BaseProcess) -> int:
    """Wait for a process and return its exit code."""
    process.join(_TIMEOUT)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a reduction did not end within {_TIMEOUT:.0f} s")
    return process.exitcode


def kill(process: multiprocessing.process.BaseProcess) -> None:
    """Kill a process that may have ended."""
    process.kill()
    process.join()


def make_old(out: Path) -> None:
    """Give hidden files an age at which they count as left behind."""
    past = time.time() - _AGE
    for path in out.glob("**/.*"):
        os.utime(path, (past, past))


def differences(undisturbed: Path, out: Path) -> Iterator[str]:
    """Yield what differs from an undisturbed reduction, and temporary files."""
    yield from map(str, find_differences(undisturbed, out))
    before, after = (_facts(folder) for folder in (undisturbed, out))
    for part in before:
        for name in sorted(before[part].keys() | after[part].keys()):
            first, second = (facts[part].get(name) for facts in (before, after))
            if first != second:
                change = f"{first!s:.200} became {second!s:.200}"
                yield f"run.json: {part}: {name}: {change}"
    first_files, second_files = (
        {path.name for path in (folder / "figures").rglob("*.*")}
        for folder in (undisturbed, out)
    )
    if first_files != second_files:
        yield f"figures: {first_files ^ second_files}"
    kept = {path.name for path in undisturbed.glob("**/.*")}
    for path in sorted(out.glob("**/.*")):
        if path.name not in kept:
            yield f"{path}: left behind"


def _facts(out: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((out / "run.json").read_text(encoding="utf-8"))
    items = {
        name: {key: value for key, value in item.items() if key != "status"}
        for name, item in content["items"].items()
    }
    lists = {name: dict.fromkeys(content[name]) for name in ("losses", "warnings")}
    return {
        "items": items,
        "figures": content["figures"],
        "failed": content["failed"],
        **lists,
    }
