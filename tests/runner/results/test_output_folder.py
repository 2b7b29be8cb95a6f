import errno
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import UsageError
from rixs_pipeline.runner.results.output_folder import (
    changes_since_last,
    held,
    make_folder,
    unusable_caches,
    write_config,
)

CONFIG = Config.model_validate({"map": {"step": 0.6}})


def test_the_folder_is_made_with_its_parents(tmp_path):
    out = tmp_path / "a" / "b"
    make_folder(out, tmp_path)
    make_folder(out, tmp_path)  # a second time it is there already
    assert out.is_dir()


def test_a_file_in_the_way_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "out", tmp_path)


def test_the_beamtime_directory_is_not_a_folder_for_results(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for out in (tmp_path, tmp_path / "link"):
        with pytest.raises(UsageError, match="is the beamtime directory"):
            make_folder(out, tmp_path)


@pytest.mark.parametrize("folder", ["logs", "20260101"])
def test_a_folder_with_data_is_not_one_for_results(tmp_path, folder):
    """Folders of results are not searched for data: its runs would be lost."""
    out = tmp_path / folder
    out.mkdir()
    (out / "scan0001.json").write_text("{}")
    with pytest.raises(UsageError, match="choose a new folder"):
        make_folder(out, tmp_path)
    make_folder(out, tmp_path / "another beamtime")
    make_folder(tmp_path / "new", tmp_path)
    with held(tmp_path / "new", CONFIG, tmp_path):
        (tmp_path / "new" / "scans").mkdir()
    make_folder(tmp_path / "new", tmp_path)


def test_a_folder_within_the_data_is_not_one_for_results(tmp_path):
    (tmp_path / "20260101").mkdir()
    (tmp_path / "20260101" / "scan0001.json").write_text("{}")
    with pytest.raises(UsageError, match="has data of the beamtime"):
        make_folder(tmp_path / "20260101" / "out", tmp_path)
    assert not (tmp_path / "20260101" / "out").exists()
    make_folder(tmp_path / "results" / "first", tmp_path)


def test_a_link_is_not_written_to(tmp_path):
    """Whoever may write to the folder could point it to a file of somebody else."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in (paths.OWNER_FILE, paths.LOCK_FILE):
        out = tmp_path / name.strip(".")
        out.mkdir()
        (out / name).symlink_to(precious)
        with (
            pytest.raises(UsageError, match="a link"),
            held(out, CONFIG, tmp_path / "beamtime"),
        ):
            pass
    assert precious.read_text() == "mine"


def deny(monkeypatch, *denied):
    """Deny access to paths as modes do, which do not bind root."""
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path not in denied and access(path, mode)
    )


@pytest.mark.parametrize("name", ["", paths.OWNER_FILE, paths.LOCK_FILE])
def test_what_cannot_be_written_to_is_named(tmp_path, monkeypatch, name):
    path = tmp_path / "out" / name
    (tmp_path / "out").mkdir()
    if name:
        path.touch()
    deny(monkeypatch, path)
    message = rf"^{path}: cannot be written to; check its permissions, .* with -o$"
    with (
        pytest.raises(UsageError, match=message),
        held(tmp_path / "out", CONFIG, tmp_path / "beamtime"),
    ):
        pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
@pytest.mark.parametrize(
    "name",
    [
        paths.OWNER_FILE,
        paths.LOCK_FILE,
        paths.RUN_SUMMARY,
        paths.RESOLVED_CONFIG,
        "report.html",
    ],
)
def test_what_is_no_file_ends_a_reduction_at_once(tmp_path, make, name):
    make(tmp_path / name)
    with (
        pytest.raises(UsageError, match=rf"^{tmp_path / name}: not a file; move it"),
        held(tmp_path, CONFIG, tmp_path / "beamtime"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folders_of_caches_that_cannot_be_used_are_named(tmp_path, monkeypatch):
    cache = tmp_path / paths.ARRAY_CACHE
    assert unusable_caches(tmp_path) == []
    (cache / "logs" / "1f").mkdir(parents=True)
    (cache / "scans").mkdir()
    assert unusable_caches(tmp_path) == []
    deny(monkeypatch, cache / "logs" / "1f", cache / "scans")
    lines = sorted(unusable_caches(tmp_path))
    assert len(lines) == 2
    assert lines[0].startswith(f"{cache / 'logs' / '1f'}: cannot be used")
    assert lines[1].startswith(f"{cache / 'scans'}: cannot be used")


def test_a_file_in_the_place_of_the_caches_is_named(tmp_path):
    cache = tmp_path / paths.ARRAY_CACHE
    cache.write_text("")
    (line,) = unusable_caches(tmp_path)
    assert line.startswith(f"{cache}: cannot be used")


def test_a_full_disk_is_no_wrong_folder(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(OSError, match="No space"), held(tmp_path, CONFIG, tmp_path):
        pass


def test_a_reduction_is_compared_with_the_last_one(tmp_path):
    other, everything = Config(), {"program", "beamtime", "config"}
    assert changes_since_last(tmp_path / "new", CONFIG, tmp_path) == everything
    with held(tmp_path, CONFIG, tmp_path):
        assert changes_since_last(tmp_path, CONFIG, tmp_path) == set()
    assert changes_since_last(tmp_path, CONFIG, tmp_path) == set()
    assert changes_since_last(tmp_path, other, tmp_path) == {"config"}
    assert changes_since_last(tmp_path, CONFIG, tmp_path / "b") == {"beamtime"}
    for text in ("", "{", "[1]", "null"):
        (tmp_path / paths.OWNER_FILE).write_text(text)
        assert changes_since_last(tmp_path, CONFIG, tmp_path) == everything


def test_the_resolved_config_can_be_loaded_again(tmp_path):
    write_config(CONFIG, tmp_path)
    assert load_config(tmp_path / paths.RESOLVED_CONFIG) == CONFIG


def test_how_the_work_was_carried_out_is_not_written(tmp_path):
    write_config(SAME, tmp_path)
    assert "execution" not in (tmp_path / paths.RESOLVED_CONFIG).read_text()
    assert load_config(tmp_path / paths.RESOLVED_CONFIG) == CONFIG


def test_an_equal_config_is_not_written_again(tmp_path):
    write_config(CONFIG, tmp_path)
    path = tmp_path / paths.RESOLVED_CONFIG
    before = path.stat()
    write_config(CONFIG, tmp_path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


@pytest.mark.parametrize("content", [b"", b"map: {step: 1.0}\n", b"\xff\xfe"])
def test_another_or_a_damaged_config_is_replaced(tmp_path, content):
    path = tmp_path / paths.RESOLVED_CONFIG
    path.write_bytes(content)
    write_config(CONFIG, tmp_path)
    assert load_config(path).map.step == 0.6
    assert [file.name for file in tmp_path.iterdir()] == [paths.RESOLVED_CONFIG]


def test_a_config_without_permission_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / paths.RESOLVED_CONFIG
    path.write_text("map: {step: 1.0}\n")
    with monkeypatch.context() as patch:
        deny(patch, path)
        patch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("not readable"))
        write_config(CONFIG, tmp_path)
    assert load_config(path).map.step == 0.6


OTHER = Config.model_validate({"map": {"step": 0.9}})
SAME = Config.model_validate({"map": {"step": 0.6}, "execution": {"workers": 3}})


def test_reductions_with_the_same_config_share_the_folder(tmp_path):
    with held(tmp_path, CONFIG, tmp_path / "b"), held(tmp_path, SAME, tmp_path / "b"):
        pass


@pytest.mark.parametrize(
    ("config", "beamtime", "different"),
    [(OTHER, "b", "config"), (CONFIG, "c", "beamtime"), (OTHER, "c", "beamtime and")],
)
def test_another_reduction_is_refused_and_told_who_holds_the_folder(
    tmp_path, config, beamtime, different
):
    with held(tmp_path, CONFIG, tmp_path / "b"):
        message = f"another {different}.*process {os.getpid()}.*another folder"
        for _ in range(2):
            with (
                pytest.raises(UsageError, match=message),
                held(tmp_path, config, tmp_path / beamtime),
            ):
                pytest.fail("held")
    with held(tmp_path, config, tmp_path / beamtime):
        pass


def test_the_last_of_several_gives_the_folder_free(tmp_path):
    with ExitStack() as second:
        with held(tmp_path, CONFIG, tmp_path):
            second.enter_context(held(tmp_path, CONFIG, tmp_path))
        with pytest.raises(UsageError), held(tmp_path, OTHER, tmp_path):
            pytest.fail("held")
    with held(tmp_path, OTHER, tmp_path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from rixs_pipeline.config import Config\n"
        "from rixs_pipeline.runner.results.output_folder import held\n"
        "out = Path(sys.argv[1])\n"
        "with held(out, Config(), out):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(UsageError), held(tmp_path, CONFIG, tmp_path):
            pytest.fail("held")
        process.kill()
    with held(tmp_path, CONFIG, tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "[", "7", "\x00"])
def test_a_damaged_record_of_the_holder_is_no_claim(tmp_path, text):
    (tmp_path / paths.OWNER_FILE).write_text(text)
    with held(tmp_path, CONFIG, tmp_path):
        pass
