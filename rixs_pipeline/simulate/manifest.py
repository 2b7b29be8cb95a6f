"""A list of the files of a folder with what they must be: `MANIFEST`, one line a file."""

import hashlib
import re
from pathlib import Path

MANIFEST_FILE = "MANIFEST"
_PURPOSES = (
    (r".*_chan\d+\.off", "pulse records of one pixel, all runs"),
    (r".*_experiment_state\.txt", "which run was going on when"),
    (r"calibration\d+\.json", "log of a reference run"),
    (r"scan\d+\.json", "log of a scan: points, times, readings"),
    (r"truth\.json", "truth: settings, lines, samples, pixels"),
    (r"truth\.npz", "truth: energy of every record"),
)
_HEAD = "# sha256  bytes  path  purpose"


def _purpose(name: str) -> str:
    return next(
        (purpose for pattern, purpose in _PURPOSES if re.fullmatch(pattern, name)),
        "other",
    )


def _entries(folder: Path) -> dict[str, tuple[str, int]]:
    """Relative path -> (sha256, size in bytes) of every file below `folder` but the manifest itself."""
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST_FILE
    )
    return {
        p.relative_to(folder).as_posix(): (
            hashlib.sha256(p.read_bytes()).hexdigest(),
            p.stat().st_size,
        )
        for p in files
    }


def manifest(folder: Path) -> str:
    """The manifest of a folder: a head line, then `sha256  bytes  path  purpose` for every file below it."""
    lines = [
        f"{digest}  {size}  {path}  {_purpose(Path(path).name)}"
        for path, (digest, size) in _entries(folder).items()
    ]
    return "\n".join([_HEAD, *lines]) + "\n"


def check_manifest(folder: Path) -> list[str]:
    """Compare a folder with its `MANIFEST`.

    Returns:
        one line for every file that is missing, changed or not listed; empty where all is well.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return [f"{path}: is missing"]
    listed = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, size, name, _ = line.split("  ", 3)
            listed[name] = (digest, int(size))
    found = _entries(folder)
    problems = [
        f"{folder / name}: is missing, but {MANIFEST_FILE} lists it"
        for name in listed.keys() - found.keys()
    ]
    problems += [
        f"{folder / name}: is not in {MANIFEST_FILE}"
        for name in found.keys() - listed.keys()
    ]
    problems += [
        f"{folder / name}: differs from {MANIFEST_FILE} (sha256 or size)"
        for name in listed.keys() & found.keys()
        if listed[name] != found[name]
    ]
    return sorted(problems)
