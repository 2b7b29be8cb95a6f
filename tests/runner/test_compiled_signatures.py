"""A function that is compiled for several types of arguments delays the first run."""

import json
import os
import subprocess
import sys
from pathlib import Path

REDUCE = """
import json, sys
from numba.core.dispatcher import Dispatcher
from rixs_pipeline.cli import app

app(sys.argv[1:], standalone_mode=False)
modules = [module for name, module in sys.modules.items() if "rixs_pipeline" in name]
values = [value for module in modules for value in vars(module).values()]
functions = [value for value in values if isinstance(value, Dispatcher)]
signatures = {
    f"{function.py_func.__module__}.{function.py_func.__name__}": [
        str(signature) for signature in function.signatures
    ]
    for function in functions
}
print(json.dumps(signatures))
"""


def test_every_function_is_compiled_once(sample_beamtime: Path, tmp_path: Path) -> None:
    """The sample has a pixel without records, whose columns numpy calls contiguous."""
    out = str(tmp_path / "out")
    options = ["-o", out, "--until", "extract", "--scheduler", "serial"]
    command = [sys.executable, "-c", REDUCE, "run", str(sample_beamtime), *options]
    # with a cache, functions that others call are not compiled, and not counted
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "empty")}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    signatures = json.loads(ended.stdout.splitlines()[-1])
    compiled = {name: kinds for name, kinds in signatures.items() if kinds}
    assert "rixs_pipeline.core.maps.bin_kernel.bin_records" in compiled
    assert {name: kinds for name, kinds in compiled.items() if len(kinds) > 1} == {}
