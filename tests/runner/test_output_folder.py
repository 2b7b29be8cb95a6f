import pytest

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import UsageError
from rixs_pipeline.runner.output_folder import make_folder, write_config

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


def test_the_resolved_config_can_be_loaded_again(tmp_path):
    write_config(CONFIG, tmp_path)
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
