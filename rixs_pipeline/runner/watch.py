"""Reduce a beamtime again and again while it runs."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rixs_pipeline.config import Config
from rixs_pipeline.errors import InputError
from rixs_pipeline.runner.run import Options, run

log = logging.getLogger("rixs_pipeline")


def watch(
    beamtime: Path, config: Config, out: Path, interval: float, rounds: int | None
) -> int:
    """Reduce a beamtime periodically, until interrupted.

    A beamtime without data is waited for. A warning is logged once, not every round.

    Parameters
    ----------
    beamtime : Path
        The beamtime directory.
    config : Config
        Resolved.
    out : Path
        The folder of the results.
    interval : float
        Seconds from the end of a round to the start of the next one.
    rounds : int or None
        Number of rounds; None: no end.

    Returns
    -------
    int
        The exit code of the last round.
    """
    code, done = 0, 0
    with _no_repeated_warnings():
        while True:
            try:
                options = Options(command="rixs-pipeline watch")
                code = run(beamtime, config, out, options).exit_code
            except InputError as error:
                log.warning("%s", error)
                code = error.exit_code
            done += 1
            if rounds is not None and done >= rounds:
                return code
            time.sleep(interval)


@contextmanager
def _no_repeated_warnings() -> Iterator[None]:
    """Log every warning and error only once."""
    logged: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        text = record.getMessage()
        is_repeated = record.levelno >= logging.WARNING and text in logged
        logged.add(text)
        return not is_repeated

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)
