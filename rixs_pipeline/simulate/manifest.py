"""The `MANIFEST` of a directory: checksum, size and purpose of every file."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

MANIFEST_FILE = "MANIFEST"
HEAD_LINE = "# sha256  bytes  path  purpose"
# pattern of a file's name -> its purpose
PURPOSES = {
    r".*_chan\d+\.off": "pulse records of one pixel, all runs",
    r".*_experiment_state\.txt": "which run was going on when",
    r"calibration\d+\.json": "log of a reference run",
    r"scan\d+\.json": "log of a scan: points, times, readings",
    r"truth\.json": "truth: settings, lines, samples, pixels",
    r"truth\.npz": "truth: energy of every record",
}
NO_PURPOSE = "other"


@dataclass(frozen=True)
class FileContent:
    """What a file holds: SHA-256 in hexadecimal, and size in bytes."""

    digest: str
    size: int


def _purpose(name: str) -> str:
    for pattern, purpose in PURPOSES.items():
        if re.fullmatch(pattern, name):
            return purpose
    return NO_PURPOSE


def _read_contents(folder: Path) -> dict[str, FileContent]:
    """Return what every file below a directory holds, by its relative path, sorted."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST_FILE:
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            name = path.relative_to(folder).as_posix()
            contents[name] = FileContent(digest, len(data))
    return contents


def _read_manifest(path: Path) -> dict[str, FileContent]:
    """Return what every file should hold, by its relative path."""
    contents = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, size, name, _ = line.split("  ", 3)
            contents[name] = FileContent(digest, int(size))
    return contents


def manifest_text(folder: Path) -> str:
    """Return the manifest of a directory: a head line, then a line for every file."""
    lines = [HEAD_LINE]
    for name, content in _read_contents(folder).items():
        purpose = _purpose(Path(name).name)
        lines.append(f"{content.digest}  {content.size}  {name}  {purpose}")
    return "\n".join(lines) + "\n"


def write_manifest(folder: Path) -> None:
    """Write the `MANIFEST` of a directory into it."""
    (folder / MANIFEST_FILE).write_text(manifest_text(folder), encoding="utf-8")


def check_manifest(folder: Path) -> list[str]:
    """Compare a directory with its `MANIFEST`; return a line for every difference."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return [f"{path}: file missing"]
    listed = _read_manifest(path)
    present = _read_contents(folder)
    problems = []
    for name in sorted(listed.keys() | present.keys()):
        if name not in present:
            problem = f"file missing, but listed in {MANIFEST_FILE}"
        elif name not in listed:
            problem = f"not listed in {MANIFEST_FILE}"
        elif listed[name] != present[name]:
            problem = f"sha256 or size differs from {MANIFEST_FILE}"
        else:
            continue
        problems.append(f"{folder / name}: {problem}")
    return problems
