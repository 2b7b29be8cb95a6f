from rixs_pipeline.simulate.manifest import check_manifest, manifest


def test_every_kind_of_difference_is_named(tmp_path):
    for name in ("a_chan1.off", "logs/scan0001.json", "truth.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert check_manifest(tmp_path) == [f"{tmp_path / 'MANIFEST'}: is missing"]
    text = manifest(tmp_path)
    (tmp_path / "MANIFEST").write_text(text)
    assert check_manifest(tmp_path) == []
    assert "a_chan1.off  pulse records of one pixel" in text

    (tmp_path / "a_chan1.off").write_text("changed")
    (tmp_path / "truth.json").unlink()
    (tmp_path / "new.txt").write_text("new")
    problems = check_manifest(tmp_path)
    assert len(problems) == 3
    for name, what in (
        ("a_chan1.off", "differs"),
        ("truth.json", "missing"),
        ("new.txt", "not in MANIFEST"),
    ):
        assert any(name in problem and what in problem for problem in problems)


def test_the_shipped_sample_is_whole(sample_beamtime):
    assert check_manifest(sample_beamtime.parent) == []
    assert (
        sum(p.stat().st_size for p in sample_beamtime.rglob("*") if p.is_file()) < 5e6
    )
