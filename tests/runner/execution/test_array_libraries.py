"""xarray works without the libraries that it would ask about arrays."""

import subprocess
import sys
import textwrap

import pytest

from rixs_pipeline.runner.execution.workers import COUNTING, DRAWING

ARRAY = "import numpy, xarray; array = xarray.DataArray(numpy.arange(3.0)).sum()\n"
LOADED = "import sys; print(bool(sys.modules.get('dask')), float(array))\n"
IMPORT = "import rixs_pipeline.runner.execution.array_libraries as libraries\n"
HIDE = f"{IMPORT}libraries.hide()\n"
SHOW = "libraries.show(); import dask.array; print(dask.array.ones(4).sum().compute())"


def printed_by(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        (ARRAY, "True"),  # or hiding would be of no use
        (IMPORT + ARRAY, "True"),
        (HIDE + ARRAY, "False"),
        (ARRAY + HIDE, "True"),
        (f"import dask\n{HIDE}{ARRAY}", "True"),
    ],
)
def test_xarray_imports_dask_only_where_it_is_not_hidden(
    code: str, loaded: str
) -> None:
    assert printed_by(code + LOADED) == [loaded, "3.0"]


def test_what_was_hidden_is_there_again() -> None:
    assert printed_by(HIDE + ARRAY + SHOW) == ["4.0"]


def loaded_modules(names: list[str]) -> list[str]:
    return [name for name in names if sys.modules.get(name)]


@pytest.mark.parametrize(
    ("module", "loaded"),
    [(DRAWING, "matplotlib.figure xarray"), (COUNTING, "xarray numba")],
)
def test_worker_processes_share_what_they_need_and_no_unused_libraries(
    module: str, loaded: str
) -> None:
    """In a process of its own, as the server of processes is started once."""
    code = f"""
    from rixs_pipeline.config import ExecutionConfig
    from rixs_pipeline.runner.execution.executor import Executor
    from tests.runner.execution.test_array_libraries import loaded_modules

    names = ["matplotlib.figure", "xarray", "numba", "dask", "pint"]
    two = ExecutionConfig(scheduler="processes", workers=2)
    with Executor(two, preload=[{module!r}]) as executor:
        print(*next(executor.outcomes(loaded_modules, [names])).unwrap())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == f"{loaded}\n", done.stderr
