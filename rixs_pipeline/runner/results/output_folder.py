"""The folder of the results: made, held, and the resolved config in it."""

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.files.json_text import parse_json, read_json
from rixs_pipeline.files.opening import FileKind, open_appending
from rixs_pipeline.io import provenance, temporaries
from rixs_pipeline.io.beamtime.find_files import list_files
from rixs_pipeline.io.locks import locked, try_lock

LOG = logging.getLogger(__name__)

_READ_WRITE = os.R_OK | os.W_OK
_USE_FOLDER = _READ_WRITE | os.X_OK


def make_folder(out: Path, beamtime_path: Path) -> None:
    """Make the folder of the results.

    Raises
    ------
    UsageError
        It cannot be made, or as for `check_folder`.
    """
    check_folder(out, beamtime_path)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out}: cannot create the folder ({error.strerror}); choose another one "
            "with -o"
        ) from error


def check_folder(out: Path, beamtime_path: Path) -> None:
    """Check that a folder can be that of the results; it need not exist yet.

    Raises
    ------
    UsageError
        It is the beamtime directory, is in a folder of its data, or is below it with
        other files: nothing in a folder of results is taken for data.
    """
    if out.resolve() == beamtime_path.resolve():
        raise UsageError(
            f"{out}: is the beamtime directory itself; "
            "choose another directory for the results"
        )
    if folder := _data_folder(out, beamtime_path):
        raise UsageError(
            f"{out}: is in {folder}, which has data of the beamtime; "
            "choose another directory for the results"
        )
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_ours = not names.isdisjoint({paths.OWNER_FILE, paths.RUN_SUMMARY})
    if beamtime_path.resolve() in out.resolve().parents and names and not is_ours:
        raise UsageError(
            f"{out}: below the beamtime directory, with other files, which would no "
            "longer be read as data; choose a new folder for the results"
        )


def _data_folder(out: Path, beamtime_path: Path) -> Path | None:
    """Return the folder with data in the beamtime directory that has the results."""
    beamtime = beamtime_path.resolve()
    if beamtime not in out.resolve().parents:
        return None
    first, *below = out.resolve().relative_to(beamtime).parts
    has_data = below and any(
        out.resolve() not in path.parents for path in list_files(beamtime / first)
    )
    return beamtime / first if has_data else None


def config_digest(config: Config) -> str:
    """Return a digest of a resolved config; its section `execution` does not count."""
    return provenance.digest_values(
        config.model_dump(mode="json", exclude={"execution"})
    )


@contextmanager
def held(out: Path, config: Config, beamtime_path: Path) -> Iterator[None]:
    """Hold the folder of the results for reductions that make the same products.

    Those with the same config, beamtime and version of the program share it, such as
    the jobs of one submission. Locks end with their process, also on another node. A
    file system without locks leaves the folder unprotected.

    Parameters
    ----------
    out
        The folder.
    config
        Resolved; its section `execution` does not count.
    beamtime_path
        The beamtime directory.

    Yields
    ------
    None
        While it is held.

    Raises
    ------
    UsageError
        The folder cannot be written to, or a reduction is running that makes other
        products.
    """
    _check_writable(out)
    claim = _claim(config, beamtime_path)
    with open_appending(out / paths.OWNER_FILE) as file:
        with locked(out):  # one process at a time decides
            if not try_lock(file, exclusive=True):
                file.seek(0)
                _check_same(out, file.read(), claim)
            else:
                _sign(file, claim)
            try_lock(file, exclusive=False)
        yield


def _check_writable(out: Path) -> None:
    """Check what would end a reduction, before it takes its time.

    Raises
    ------
    UsageError
        The folder, or a file that stays open, cannot be written to, or something else
        has the name of a file.
    """
    opened = dict.fromkeys((out / paths.OWNER_FILE, out / paths.LOCK_FILE), _READ_WRITE)
    for path, mode in {out: _USE_FOLDER, **opened}.items():
        if path.exists() and not os.access(path, mode):
            raise UsageError(
                f"{path}: cannot be written to; check its permissions, or choose "
                "another folder with -o"
            )
    replaced = (out / paths.RESOLVED_CONFIG, out / paths.RUN_SUMMARY, paths.report(out))
    for path in (*opened, *replaced):
        if path.exists() and not path.is_file():
            raise UsageError(
                f"{path}: not a file; move it away, or choose another folder with -o"
            )


def unusable_caches(out: Path) -> list[str]:
    """Return a line for each folder of caches that cannot be used.

    A reduction does without.
    """
    cache = out / paths.ARRAY_CACHE
    below = [Path(top, name) for top, names, _ in os.walk(cache) for name in names]
    return [
        f"{folder}: cannot be used to keep what takes long to compute, so that "
        "reductions take longer; check its permissions"
        for folder in (cache, *below)
        if os.path.lexists(folder)
        and not (folder.is_dir() and os.access(folder, _USE_FOLDER))
    ]


def changes_since_last(out: Path, config: Config, beamtime_path: Path) -> set[str]:
    """Return in what a reduction differs from the last one in a folder.

    Parameters
    ----------
    out
        The folder, which need not exist.
    config
        Resolved; its section `execution` does not count.
    beamtime_path
        The beamtime directory.

    Returns
    -------
    set of str
        Of `program`, `beamtime` and `config`; all of them if there was none.
    """
    holder: dict[str, Any] = {}
    with suppress(InputError, TypeError, ValueError):  # none, or not whole
        holder = dict(read_json(out / paths.OWNER_FILE, FileKind.SUMMARY))
    return set(_changes(holder, _claim(config, beamtime_path)))


def _claim(config: Config, beamtime_path: Path) -> dict[str, str]:
    """Return what those who share a folder have in common."""
    return {
        "program": provenance.code_version(),
        "beamtime": str(beamtime_path.resolve()),
        "config": config_digest(config),
    }


def _changes(holder: Mapping[str, Any], claim: Mapping[str, str]) -> list[str]:
    return [name for name, value in claim.items() if holder.get(name) != value]


def _sign(file: TextIO, claim: Mapping[str, str]) -> None:
    """Write who holds the folder, for the message that others get."""
    holder = {
        "user": os.environ.get("USER", "unknown"),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        file.truncate(0)
        file.write(json.dumps({**claim, **holder}))
        file.flush()
    except OSError as error:
        LOG.debug("%s: %s", file.name, error)


def _check_same(out: Path, text: str, claim: Mapping[str, str]) -> None:
    """Check that those who hold a folder make the same products.

    Raises
    ------
    UsageError
        They do not.
    """
    try:
        holder = dict(parse_json(text.encode()))
    except (TypeError, ValueError):
        holder = {}
    different = _changes(holder, claim)
    if not different:
        return
    who = ", ".join(
        f"{name} {holder[name]}"
        for name in ("user", "host", "process", "since")
        if name in holder
    )
    raise UsageError(
        f"{out}: in use by a reduction with another {' and '.join(different)} ({who}); "
        "wait until it has ended, or choose another folder with -o"
    )


def write_config(config: Config, out: Path) -> None:
    """Write the resolved config, unless the file holds it already.

    How the work was carried out is not part of it.
    """
    text = dump_config(config, with_execution=False)
    path = out / paths.RESOLVED_CONFIG
    is_readable = path.is_file() and os.access(path, os.R_OK)
    if is_readable and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with temporaries.atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
