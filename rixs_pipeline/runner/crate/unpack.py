"""Unpack a reduction from an archive that anybody may have made or changed."""

import hashlib
import shutil
import zipfile
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.files.opening import FileKind, open_regular, reader
from rixs_pipeline.files.zip_archives import check_members, open_archive, unpack_file
from rixs_pipeline.runner.crate.contents import CHECKSUMS, NEEDED

MAX_CHECKSUM_BYTES = 1 << 26


@reader("not a packed reduction", "nothing is unpacked from it")
def unpack(path: Path, folder: Path) -> None:
    """Unpack what is needed to repeat a reduction, and check it.

    Parameters
    ----------
    path
        The archive, as `pack` wrote it.
    folder
        An empty folder.

    Raises
    ------
    InputError
        Not a packed reduction, damaged or changed since it was packed, or unsafe.
    """
    with open_regular(path, FileKind.CRATE) as file, open_archive(file) as archive:
        check_members(archive)
        names = [name for name in archive.namelist() if NEEDED.fullmatch(name)]
        for name in (paths.RUN_SUMMARY, paths.RESOLVED_CONFIG):
            if name not in names:
                raise ValueError(f"no {name} in it")
        checksums = _read_checksums(archive)
        needed = sum(archive.getinfo(name).file_size for name in names)
        if needed > shutil.disk_usage(folder).free:
            raise ValueError(f"no room for its {needed / 1e6:.3g} MB in {folder}")
        for name in names:
            digest = hashlib.sha256()
            unpack_file(archive, name, folder / name, digest.update)
            if checksums.get(name) != digest.hexdigest():
                raise ValueError(f"{name} is not the file that was packed")
        if lost := {name for name in checksums if NEEDED.fullmatch(name)} - {*names}:
            raise ValueError(f"no {min(lost)} in it")


def _read_checksums(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the SHA-256 of each file, in hex digits."""
    if CHECKSUMS not in archive.namelist():
        raise ValueError(f"no {CHECKSUMS} in it")
    member = archive.getinfo(CHECKSUMS)
    if member.file_size > MAX_CHECKSUM_BYTES:
        raise ValueError(f"{CHECKSUMS} is too long")
    with archive.open(member) as file:
        text = file.read(member.file_size).decode()
    pairs = (line.partition("  ") for line in text.splitlines())
    return {name: digest for digest, _, name in pairs}
