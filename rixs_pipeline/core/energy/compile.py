"""How loops are compiled, and where the compiled code is kept.

numba compiles a function again when its file has changed, but not when a function that
it calls in another file has: with numba 0.68, `outer.g` calling `inner.f` still
returned the old result after `inner.py` was edited. So the compiled code is kept in a
folder named after the content of all files with such code.

The first reduction after an installation compiles everything: 0.1 to 2 s a function.
Some functions of numpy take longer: `np.linalg.*` 6 s, `np.interp` 4 s, `np.partition`
and `np.unique` 3 s. And a function is compiled again for every combination of types of
its arguments, to which the layout of arrays and whether they may be written belong. A
test holds that each is compiled for one.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, typeof_impl

from rixs_pipeline.types import PulseColumns

Function = TypeVar("Function", bound=Callable[..., Any])

numba_config: Any = numba.config  # numba creates its attributes on import
CORE = Path(__file__).parent.parent
LOCALITY = 2  # of prefetched data: the second-level cache

log = logging.getLogger("rixs_pipeline")


@cache
def compiled_folder() -> Path | None:
    """Return the folder of the compiled code of the present sources.

    It lies in `NUMBA_CACHE_DIR` if that is set, else beside the sources, else in the
    user's cache. None where nothing can be written: every process compiles anew.
    """
    sources = [
        Path(__file__),
        CORE / "energy" / "layout.py",
        CORE / "stats" / "robust.py",
        CORE / "calibration" / "line_shapes.py",
        CORE.parent / "types.py",
        *sorted(CORE.rglob("*kernel*.py")),
    ]
    name = "compiled-" + digest_of(sources)
    parents = [CORE / "__pycache__", platformdirs.user_cache_path("rixs-pipeline")]
    if numba_config.CACHE_DIR:
        parents = [Path(numba_config.CACHE_DIR)]
    for parent in parents:
        if _can_write(parent):
            return parent / name
    log.warning(
        "no folder for compiled code can be written (tried %s); every process compiles "
        "for seconds; set NUMBA_CACHE_DIR to a folder that can be written",
        ", ".join(map(str, parents)),
    )
    return None


def _can_write(folder: Path) -> bool:
    """Create a folder if it is missing; return whether files can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def digest_of(files: Iterable[Path]) -> str:
    """Return 16 hexadecimal digits that change with the content of the files."""
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()[:16]


def compiled(function: Function) -> Function:
    """Compile a function on its first call.

    Its loops release the interpreter's lock, so that threads run side by side. Products
    and sums may be fused (one rounding instead of two); nothing else of the arithmetic
    is loosened.
    """
    return _compile(function, fastmath={"contract"})


def exact(function: Function) -> Function:
    """Compile a function so that every operation is rounded as numpy rounds it."""
    return _compile(function, fastmath=False)  # else a caller's setting would apply


def _compile(function: Function, **options: Any) -> Function:
    """Compile a function and keep the result in `compiled_folder`.

    numba has no option for the folder of one function: it reads its setting when the
    function is decorated. The setting is restored, since other packages use numba too.
    Compiling the binning kernel takes 2 s, reading it back 0.01 s.
    """
    folder = compiled_folder()
    is_kept = folder is not None
    decorator = njit(cache=is_kept, nogil=True, error_model="numpy", **options)
    user_setting = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(folder or "")
    try:
        result: Function = decorator(function)
    finally:
        numba_config.CACHE_DIR = user_setting
    return result


@typeof_impl.register(PulseColumns)
def _type_of_columns(columns: PulseColumns, context: Any) -> Any:
    """Return the type by which numba knows columns: always strided and read-only.

    numpy calls an array of at most one element contiguous whatever its strides, so that
    all loops would be compiled once more for a pixel without pulses.
    """
    kinds = (typeof_impl(column, context) for column in columns)
    strided = [kind.copy(layout="A", readonly=True) for kind in kinds]
    return types.NamedTuple(strided, PulseColumns)  # type: ignore[no-untyped-call]


def _prefetch(_: Any, address: Any) -> Any:
    """Define `prefetch` for numba: its signature and the code that it becomes."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        signature = [pointer, number, number, number]
        kind = ir.FunctionType(ir.VoidType(), signature)
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        target = builder.inttoptr(arguments[0], pointer)
        is_write, is_data = number(0), number(1)
        builder.call(function, [target, is_write, number(LOCALITY), is_data])
        return context.get_dummy_value()

    return types.void(types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""Bring the cache line at an address into the cache; unmapped addresses are ignored."""
