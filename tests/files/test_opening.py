import ast
import os
import socket
from pathlib import Path

import pytest

from rixs_pipeline.errors import ConfigError, InputError
from rixs_pipeline.files import opening
from rixs_pipeline.files.opening import (
    FileKind,
    named_errors,
    one_line,
    open_regular,
    read_text,
    reader,
)

PACKAGE = Path(opening.__file__).parent.parent


def test_a_file_is_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    with open_regular(tmp_path / "link", FileKind.LOG) as file:
        assert file.read() == b"abc"
        assert os.get_blocking(file.fileno())


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make_pipe, "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (make_socket, "a socket"),
        (lambda path: path.mkdir(), "a folder"),
    ],
)
def test_only_files_are_opened(tmp_path, monkeypatch, make, name):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    path = Path("chan1.off")
    make(path)
    with pytest.raises(InputError, match=rf"^chan1\.off: {name}, not a file; not used"):
        open_regular(path, FileKind.PULSES)


def test_a_file_that_becomes_a_pipe_after_the_check_does_not_block(
    tmp_path, monkeypatch
):
    path, file = tmp_path / "a", tmp_path / "file"
    os.mkfifo(path)
    file.touch()
    status = file.stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)
    with pytest.raises(InputError, match="a named pipe"):
        open_regular(path, FileKind.LOG)


def test_a_file_is_not_too_large(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(FileKind.CONFIG.max_bytes + 1)
    with pytest.raises(InputError, match=r"a: 1\.05 MB are too much for a config file"):
        read_text(path, FileKind.CONFIG)
    assert len(read_text(path, FileKind.LOG)) == FileKind.CONFIG.max_bytes + 1


def test_text_is_utf_8(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"a\xff")
    assert read_text(path, FileKind.LOG) == "a\N{REPLACEMENT CHARACTER}"
    with pytest.raises(InputError, match=r"not a text file in UTF-8 \(.* at byte 1\)"):
        read_text(path, FileKind.LOG, errors="strict")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("x"), "f.off: broken (KeyError('x')); repair it"),
        (
            ValueError("a\n b\x1b[2J"),
            "f.off: broken (a b\N{REPLACEMENT CHARACTER}[2J); repair it",
        ),
        (ValueError(), "f.off: broken (ValueError()); repair it"),
        (RecursionError(), "f.off: broken (nested too deeply); repair it"),
        (MemoryError(), "f.off: broken (does not fit into the memory); repair it"),
        (
            PermissionError(13, "Permission denied"),
            "f.off: cannot be read (Permission denied); check the link and its "
            "permissions",
        ),
        (InputError("as it is"), "as it is"),
    ],
)
def test_what_a_reader_raises_becomes_one_line_with_the_name(error, line):
    @reader("broken", "repair it")
    def read(_path):
        raise error

    with pytest.raises(InputError) as caught:
        read(Path("f.off"))
    assert str(caught.value) == line


def test_errors_of_the_package_and_interrupts_pass():
    with pytest.raises(ConfigError, match=r"^x$"), named_errors(Path("a")):
        raise ConfigError("x")
    with pytest.raises(KeyboardInterrupt), named_errors(Path("a")):
        raise KeyboardInterrupt


def test_a_long_message_is_cut():
    assert len(one_line("a" * 10**6)) < 210


def test_the_end_of_a_long_text_stays():
    shown = one_line("not a number: " + "7" * 500 + "; delete it")
    assert shown.startswith("not a number: 777") and shown.endswith("7; delete it")


# ---- one place opens files

# modules that read what is no input: sources of the package, a file that it just wrote
EXEMPT = {
    "files/opening.py",
    "io/provenance.py",
    "report/page.py",  # parts of the package, and the page that it marks
    "core/energy/compile.py",
    "io/photon_store.py",  # parts that the same reduction wrote
    "runner/results/output_folder.py",  # compares text with what it would write
}
READERS = {"open", "read_text", "read_bytes", "loadtxt", "genfromtxt", "fromfile"}
WRITES = ("'xb'", "'w'", "'a'", "'ab'", "'wb'", "'x'")


def opening_calls(module):
    """Calls of a module that open files to read, or that parse without limits."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rsplit(".", 1)[-1]
        arguments = [ast.unparse(argument) for argument in node.args]
        is_path_open = last == "open" and name not in ("os.open", "archive.open")
        is_read = (last in READERS and "." in name and last != "open") or is_path_open
        if name in ("read_text", "read_bytes"):  # of this module
            is_read = False
        is_library = name in ("np.load", "json.load") or last in ("load_all",)
        if name == "h5py.File":
            is_library = "'r'" in arguments
        if (is_read or is_library) and not any(mode in arguments for mode in WRITES):
            yield f"{module.relative_to(PACKAGE)}:{node.lineno}: {name}"


def test_no_other_module_opens_files():
    modules = [
        module
        for module in sorted(PACKAGE.rglob("*.py"))
        if module.relative_to(PACKAGE).as_posix()
        not in EXEMPT | {"io/hdf5.py", "io/hdf5_heaps.py"}
        and module.relative_to(PACKAGE).parts[0] != "simulate"
    ]
    assert [call for module in modules for call in opening_calls(module)] == []


def test_the_check_finds_openings():
    found = [
        call.rsplit(" ", 1)[1]
        for name in (
            "files/opening.py",
            "io/hdf5.py",
            "runner/results/output_folder.py",
        )
        for call in opening_calls(PACKAGE / name)
    ]
    assert {"open", "h5py.File", "path.read_text"} <= set(found)
