"""Imports go one way: cli -> runner -> stages -> {core, io, plots}."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rixs_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))

# what every layer may use
FOUNDATION = {
    "schema",
    "errors",
    "paths",
    "types",
    "progress",
    "interrupt",
    "bus_error",
    "__init__",
}
# layer, a module or folder at the top of the package -> the other layers that it may
# import besides the foundation
ALLOWED: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"runner", "simulate", "io", "config"},
    "runner": {"stages", "io", "config", "files", "report"},
    "report": set(),
    "stages": {"core", "io", "plots", "config"},
    "core": set(),
    "io": {"config", "files"},
    "plots": set(),
    "simulate": {"config"},  # the truth must not come from the code that it judges
    "config": {"files"},
    "files": set(),
    "schema": {"errors"},
    "errors": set(),
    "paths": set(),
    "types": set(),
    "progress": set(),
    "interrupt": set(),
    "bus_error": {"errors"},
    "accessor": {"accessor_arguments", "core", "plots", "io", "config", "stages"},
    "accessor_arguments": {"config"},
    "xarray_plugin": {"io", "accessor"},
    "__init__": {"io", "xarray_plugin"},  # open_product, loaded on first use
}
CLUSTER = {"dask", "distributed", "dask_jobqueue"}
HEAVY = (
    "numpy",
    "scipy",
    "xarray",
    "pandas",
    "h5py",
    "h5netcdf",
    "dask",
    "distributed",
    "matplotlib",
    "pydantic",
)


def layer(module: Path) -> str:
    """`core` for rixs_pipeline/core/energy.py, `cli` for rixs_pipeline/cli.py."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> set[str]:
    """Return every absolute name that a module imports.

    This includes imports inside functions, for type checkers, and by name.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{module}:{node.lineno}: relative import; write rixs_pipeline.…"
            )
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            names |= {
                argument.value
                for argument in node.args
                if isinstance(argument, ast.Constant)
            }
    return names


def layers_used(module: Path) -> set[str]:
    """Return the layers of this package that a module imports.

    `from rixs_pipeline import __version__` is `__init__`.
    """
    inside = [
        name.split(".")
        for name in imported(module)
        if name.split(".")[0] == PACKAGE.name
    ]
    return {
        parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"
        for parts in inside
    }


def test_every_layer_is_in_the_table() -> None:
    assert {layer(module) for module in MODULES} <= ALLOWED.keys()


def test_allowed_imports_have_no_cycle() -> None:
    graph = {
        name: used | (FOUNDATION - {"__init__"} if name not in FOUNDATION else set())
        for name, used in ALLOWED.items()
    }
    assert list(
        TopologicalSorter(graph).static_order()
    )  # raises CycleError where there is one


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE))
)
def test_imports_go_one_way(module: Path) -> None:
    here = layer(module)
    wrong = layers_used(module) - ALLOWED[here] - FOUNDATION - {here}
    assert not wrong, (
        f"{module.name}: {here} must not import {', '.join(sorted(wrong))}"
    )


@pytest.mark.parametrize("name", sorted(FOUNDATION))
def test_foundations_import_no_higher_layer(name: str) -> None:
    assert layers_used(PACKAGE / f"{name}.py") <= ALLOWED[name] | {name}


def test_dask_is_imported_in_one_module() -> None:
    users = {
        layer(module)
        for module in MODULES
        if {name.split(".")[0] for name in imported(module)} & CLUSTER
    }
    assert users == {"runner"}


@pytest.mark.parametrize("module", ["rixs_pipeline", "rixs_pipeline.cli"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    """`--help` must be instant; a fresh interpreter shows what an import loads."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_checks_detect_forbidden_imports(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "from importlib import import_module\n"
        "if TYPE_CHECKING:\n    from rixs_pipeline.io.formats import off\n"
        "def f():\n"
        "    import dask.config\n"
        "    return import_module('rixs_pipeline.core.energy.function')\n",
        encoding="utf-8",
    )
    assert {
        "rixs_pipeline.io.formats.off",
        "dask.config",
        "rixs_pipeline.core.energy.function",
    } <= imported(module)
    assert layers_used(module) == {"io", "core"}
