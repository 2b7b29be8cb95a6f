from rixs_pipeline.runner.session import Session


def test_digests_of_a_folder_are_kept(tmp_path):
    session = Session()
    digests = session.digests(tmp_path)
    assert session.digests(tmp_path) is digests
    assert session.digests(tmp_path / "other").path.parent == tmp_path / "other"
