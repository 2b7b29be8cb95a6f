from rixs_pipeline.simulate.manifest import (
    check_manifest,
    manifest_text,
    write_manifest,
)


def test_every_kind_of_difference_is_reported(tmp_path):
    (tmp_path / "logs").mkdir()
    for name in ("a_chan1.off", "logs/scan0001.json", "truth.json"):
        (tmp_path / name).write_text(name)
    assert check_manifest(tmp_path) == [f"{tmp_path / 'MANIFEST'}: file missing"]
    write_manifest(tmp_path)
    assert check_manifest(tmp_path) == []
    assert "a_chan1.off  pulse records of one pixel" in manifest_text(tmp_path)

    (tmp_path / "a_chan1.off").write_text("changed")
    (tmp_path / "truth.json").unlink()
    (tmp_path / "new.txt").write_text("new")
    assert check_manifest(tmp_path) == [
        f"{tmp_path / 'a_chan1.off'}: sha256 or size differs from MANIFEST",
        f"{tmp_path / 'new.txt'}: not listed in MANIFEST",
        f"{tmp_path / 'truth.json'}: file missing, but listed in MANIFEST",
    ]


def test_shipped_sample_equals_its_manifest(sample_beamtime):
    assert check_manifest(sample_beamtime.parent) == []
    files = [path for path in sample_beamtime.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
