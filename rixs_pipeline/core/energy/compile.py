"""How loops are compiled, and where the result is kept.

numba notices that a file has changed, but not a file whose functions it calls: so what was compiled is kept in a
folder named after the content of all files that hold such code, and an older state is never used.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

config: Any = numba.config  # its attributes are made when it is imported
Function = TypeVar("Function", bound=Callable[..., Any])

CORE = Path(__file__).parent.parent


@cache
def folder() -> Path:
    """The folder of compiled code: in NUMBA_CACHE_DIR, else beside the sources, else in the user's cache."""
    sources = [
        Path(__file__),
        CORE / "energy/layout.py",
        CORE / "stats/robust.py",
        CORE.parent / "types.py",  # fields of PulseColumns
        *sorted(CORE.rglob("*kernel*.py")),
    ]
    name = (
        "compiled-"
        + hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[
            :16
        ]
    )
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / name
    if os.access(CORE, os.W_OK):
        return CORE / "__pycache__" / name
    return (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        / "rixs-pipeline"
        / name
    )


def _compiled(function: Function, **options: Any) -> Function:
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder())
    try:
        result: Function = njit(cache=True, nogil=True, error_model="numpy", **options)(
            function
        )
    finally:
        config.CACHE_DIR = before
    return result


def compiled(function: Function) -> Function:
    """Compile a function on its first call; its loops release the interpreter's lock, so that threads go side by side.

    Products and sums may be fused (one rounding instead of two), nothing else of the arithmetic is loosened.
    """
    return _compiled(function, fastmath={"contract"})


def exact(function: Function) -> Function:
    """As `compiled`, with every operation rounded as numpy rounds it."""
    return _compiled(
        function, fastmath=False
    )  # said, for else a caller's setting would hold


def _prefetch(_: Any, address: Any) -> Any:
    """Ask for the cache line at an address (one that is not mapped is passed over), into the second-level cache."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        read, second_level, data = number(0), number(2), number(1)
        builder.call(
            function,
            [builder.inttoptr(arguments[0], pointer), read, second_level, data],
        )
        return context.get_dummy_value()

    return types.void(types.intp), generate


prefetch: Any = intrinsic(_prefetch)
