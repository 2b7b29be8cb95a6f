import errno
import re
from pathlib import Path

import pytest

from rixs_pipeline import errors
from rixs_pipeline.errors import RixsError, describe_os_error


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.RunFailed, 1),  # the other runs go on
        (errors.UsageError, 2),
        (errors.ConfigError, 2),
        (errors.InputError, 3),
    ],
)
def test_exit_codes_tell_scripts_what_is_wrong(error, exit_code):
    assert issubclass(error, RixsError)
    assert error.exit_code == exit_code
    assert str(error("beamtime: no runs")) == "beamtime: no runs"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "h5py: name = 'x.tmp'"),
            r"out/a: No space .*; make room",
        ),
        (OSError(errno.EISDIR, "", "b"), "b: Is a directory; move it away and repeat"),
        (
            OSError(errno.EACCES, "", b"/"),
            "/: Permission denied; check its permissions",
        ),
        (OSError(errno.EROFS, "", "b"), "b: Read-only .*; choose another .* with -o"),
        (OSError(errno.EIO, "", "b"), "b: Input/output error$"),
        (OSError("no memory map"), "out/a: no memory map$"),
    ],
)
def test_what_the_system_refuses_is_a_line_with_path_and_remedy(error, line):
    assert re.match(line, describe_os_error(error, Path("out/a")))


def test_the_folder_that_cannot_be_searched_is_named(tmp_path, monkeypatch):
    is_searchable = {tmp_path, *tmp_path.parents}
    monkeypatch.setattr("os.path.lexists", lambda path: path in is_searchable)
    error = PermissionError(errno.EACCES, "", str(tmp_path / "scans" / "a.nxs"))
    assert describe_os_error(error).startswith(f"{tmp_path}: Permission denied; check")


def test_an_error_without_a_path_has_none():
    error = OSError(errno.ENOSPC, "")
    assert describe_os_error(error).startswith("No space left on device; make room")
