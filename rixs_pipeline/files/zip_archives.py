"""Zip archives of others: what would be unpacked is checked before it is."""

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from rixs_pipeline.files.opening import one_line

_DIRECTORY_END = b"PK\x05\x06"
_DIRECTORY_END_BYTES = 22
_LONGEST_COMMENT = 1 << 16  # after the directory of an archive
_LOCATOR_64 = b"PK\x06\x07"  # between the two ends of the directory of a large archive
_LOCATOR_64_BYTES = 20
_DIRECTORY_END_64_BYTES = 56

MAX_DIRECTORY_BYTES = 1 << 25  # about 300,000 files
_LONGEST_NAME = 1024  # characters, of a file with its folders
# Products and pictures are compressed already, and are stored as they are; texts
# compress by a factor of 5 to 10
_MAX_COMPRESSION = 50
_MAX_SMALL_BYTES = 1 << 26  # as many bytes an archive may always have
_COPIED_BYTES = 1 << 20  # at a time


def open_archive(
    file: BinaryIO, max_directory_bytes: int = MAX_DIRECTORY_BYTES
) -> zipfile.ZipFile:
    """Return an archive whose directory is not too long to be read.

    Parameters
    ----------
    file
        The archive.
    max_directory_bytes
        Of its directory.

    Returns
    -------
    zipfile.ZipFile

    Raises
    ------
    ValueError
        Too many files.
    zipfile.BadZipFile
        Not an archive, or damaged.
    """
    file_bytes = file.seek(0, 2)
    longest_end = _DIRECTORY_END_BYTES + _LOCATOR_64_BYTES + _DIRECTORY_END_64_BYTES
    file.seek(max(0, file_bytes - longest_end - _LONGEST_COMMENT))
    if _directory_bytes(file.read()) > max_directory_bytes:
        raise ValueError("too many files in the archive")
    return zipfile.ZipFile(file)


def _directory_bytes(tail: bytes) -> int:
    """Return the size that the end of an archive states for its directory."""
    place = tail.rfind(_DIRECTORY_END)
    end = tail[place:][:_DIRECTORY_END_BYTES]
    size = int.from_bytes(end[12:16], "little")
    locator = max(0, place - _LOCATOR_64_BYTES)
    if tail[locator:place].startswith(_LOCATOR_64):
        end_64 = tail[max(0, locator - _DIRECTORY_END_64_BYTES) : locator]
        size = max(size, int.from_bytes(end_64[40:48], "little"))
    return size


def check_members(archive: zipfile.ZipFile) -> None:
    """Check that all files of an archive could be unpacked into a folder.

    Raises
    ------
    ValueError
        A name that leads out of the folder or stands twice, a link, an encrypted file,
        or files that take much more room than the archive.
    """
    members = archive.infolist()
    names: set[str] = set()
    for member in members:
        _check_member(member)
        if member.filename in names:
            raise ValueError(f"{_shown(member)} is in it twice")
        names.add(member.filename)
    packed_bytes = sum(member.compress_size for member in members)
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > max(_MAX_SMALL_BYTES, _MAX_COMPRESSION * packed_bytes):
        raise ValueError(f"it takes {unpacked_bytes} bytes when unpacked")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = name.removesuffix("/").split("/")
    is_plain = name.isprintable() and len(name) <= _LONGEST_NAME
    is_inside = not {"", ".", ".."}.intersection(parts)
    # a backslash separates folders, and a colon names drives, on Windows
    if not is_plain or not is_inside or "\\" in name or ":" in name:
        raise ValueError(f"{_shown(member)} is not the name of a file in a folder")
    file_type = stat.S_IFMT(member.external_attr >> 16)
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{_shown(member)} is a link or device")
    if member.flag_bits & 0x1:
        raise ValueError(f"{_shown(member)} is encrypted")


def _shown(member: zipfile.ZipInfo) -> str:
    return f"'{one_line(member.filename, 60)}'"


def unpack_file(
    archive: zipfile.ZipFile,
    name: str,
    path: Path,
    see: Callable[[bytes], object] = lambda part: None,
) -> None:
    """Write a file of an archive, at most as many bytes as it states.

    Parameters
    ----------
    archive
        After `check_members`.
    name
        Of the file.
    path
        Where it is written, which must not exist; folders are made.
    see
        Gets its content, part by part, such as the update of a digest.

    Raises
    ------
    KeyError
        No such file.
    FileExistsError
        Also where a file system does not distinguish names that differ in case.
    ValueError
        It does not have the size that it states.
    zipfile.BadZipFile
        Damaged. The module zlib raises errors of its own, too.
    """
    member = archive.getinfo(name)
    left = member.file_size
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("xb") as target:
        while part := source.read(min(_COPIED_BYTES, left + 1)):
            left -= len(part)
            if left < 0:
                break
            see(part)
            target.write(part)
    if left:
        raise ValueError(f"{_shown(member)} does not have the size that it states")
