"""Progress of long work on stderr: a line that is kept up to date on a terminal, now and then a new one in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLEAR = "\r\033[K"  # what a terminal needs before something else is written where a line was kept up to date
_TERMINAL_S, _LOG_S = 0.2, 30.0  # seconds between two lines

log = logging.getLogger("rixs_pipeline")


@contextmanager
def shown(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A function that is told how many of `total` are done; nothing is shown of work that is over in no time."""
    terminal = sys.stderr.isatty()
    started = told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < (_TERMINAL_S if terminal else _LOG_S) or not log.isEnabledFor(
            logging.INFO
        ):
            return
        told = now
        left = (now - started) / done * (total - done)
        text = f"{what}: {done} of {total} {unit}, {100 * done // total} %, about {left:.0f} s left"
        if terminal:
            print(CLEAR + text, end="", file=sys.stderr, flush=True)
        else:
            log.info("%s", text)

    try:
        yield tell
    finally:
        if terminal and told > started:
            print(CLEAR, end="", file=sys.stderr, flush=True)
