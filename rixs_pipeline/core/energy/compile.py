"""How loops are compiled, and where the compiled code is kept.

numba compiles a function again when its file has changed, but not when a function that
it calls in another file has: with numba 0.68, `outer.g` calling `inner.f` still
returned the old result after `inner.py` was edited. So the compiled code is kept in a
folder named after the content of all files with such code.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

numba_config: Any = numba.config  # numba creates its attributes on import
CORE = Path(__file__).parent.parent
LOCALITY = 2  # of prefetched data: the second-level cache


@cache
def compiled_folder() -> Path:
    """Return the folder of the compiled code of the present sources.

    It lies in `NUMBA_CACHE_DIR` if that is set, else beside the sources, else in the
    user's cache.
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
    if numba_config.CACHE_DIR:
        return Path(numba_config.CACHE_DIR) / name
    if os.access(CORE, os.W_OK):
        return CORE / "__pycache__" / name
    return platformdirs.user_cache_path("rixs-pipeline") / name


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
    Compiling the binning kernel takes 7 s, reading it back 0.5 s.
    """
    user_setting = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(compiled_folder())
    decorator = njit(cache=True, nogil=True, error_model="numpy", **options)
    try:
        result: Function = decorator(function)
    finally:
        numba_config.CACHE_DIR = user_setting
    return result


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
