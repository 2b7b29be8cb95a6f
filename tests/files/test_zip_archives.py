"""Archives of others are checked before anything is unpacked."""

import stat
import zipfile
from io import BytesIO

import pytest

from rixs_pipeline.files.zip_archives import check_members, open_archive, unpack_file


def archive_of(*members, method=zipfile.ZIP_DEFLATED):
    """An archive of names, or entries, with their contents."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream


def entry(name, mode):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


def test_plain_files_are_unpacked(tmp_path):
    with open_archive(archive_of(("a/", ""), ("a/b.txt", "text"))) as archive:
        check_members(archive)
        parts = []
        unpack_file(archive, "a/b.txt", tmp_path / "a/b.txt", parts.append)
    assert (tmp_path / "a/b.txt").read_text() == "text"
    assert parts == [b"text"]


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/x", "a//x", "./x", "a\\x", "C:x", "a\nx", "x" * 2000],
)
def test_names_that_lead_out_of_the_folder_are_refused(name):
    with (
        open_archive(archive_of((name, "text"))) as archive,
        pytest.raises(ValueError, match="not the name of a file in a folder"),
    ):
        check_members(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(kind):
    with (
        open_archive(archive_of((entry("x", kind | 0o644), "/etc/passwd"))) as archive,
        pytest.raises(ValueError, match="a link or device"),
    ):
        check_members(archive)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused():
    with (
        open_archive(archive_of(("a.txt", "1"), ("a.txt", "2"))) as archive,
        pytest.raises(ValueError, match="in it twice"),
    ):
        check_members(archive)


def test_names_may_differ_in_case_but_no_file_is_written_over(tmp_path):
    with open_archive(archive_of(("a.txt", "1"), ("A.txt", "2"))) as archive:
        check_members(archive)
        unpack_file(archive, "a.txt", tmp_path / "a.txt")
        # as where the file system does not distinguish them
        with pytest.raises(FileExistsError):
            unpack_file(archive, "A.txt", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "1"


def test_encrypted_files_are_refused():
    content = bytearray(archive_of(("a", "text")).getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with (
        open_archive(BytesIO(content)) as archive,
        pytest.raises(ValueError, match="encrypted"),
    ):
        check_members(archive)


def test_bombs_are_refused():
    zeros = bytes(1 << 24)
    members = [(f"{number}.txt", zeros) for number in range(5)]
    with (
        open_archive(archive_of(*members)) as archive,
        pytest.raises(ValueError, match="83886080 bytes when unpacked"),
    ):
        check_members(archive)


def test_a_file_gives_no_more_bytes_than_it_states(tmp_path):
    content = bytearray(archive_of(("a", bytes(5000))).getvalue())
    directory = content.index(b"PK\x01\x02")
    for stated in (100, 9000):
        content[directory + 24 : directory + 28] = stated.to_bytes(4, "little")
        with (
            open_archive(BytesIO(content)) as archive,
            pytest.raises((ValueError, zipfile.BadZipFile)),
        ):
            unpack_file(archive, "a", tmp_path / str(stated))
        assert (tmp_path / str(stated)).stat().st_size <= stated


@pytest.mark.parametrize("is_large", [False, True])
def test_directories_that_are_too_long_are_refused(monkeypatch, is_large):
    if is_large:  # the end of the directory is then of another form
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
    stream = archive_of(*((str(number), "") for number in range(100)))
    with open_archive(stream, 10_000) as archive:
        assert len(archive.namelist()) == 100
    with pytest.raises(ValueError, match="too many files"):
        open_archive(stream, 1000)
    if is_large:
        content = stream.getvalue()
        place = content.rindex(b"PK\x05\x06")
        hidden = content[: place + 12] + bytes(4) + content[place + 16 :]
        with pytest.raises(ValueError, match="too many files"):
            open_archive(BytesIO(hidden), 1000)


def test_an_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "a").write_text("mine")
    with (
        open_archive(archive_of(("a", "text"))) as archive,
        pytest.raises(FileExistsError),
    ):
        unpack_file(archive, "a", tmp_path / "a")
