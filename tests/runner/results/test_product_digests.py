"""Products that changed after they were written are noticed."""

import json

import pytest

from rixs_pipeline import paths
from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.caches.digest_cache import DigestCache
from rixs_pipeline.runner.results.product_digests import ProductDigests


def open_digests(out):
    return ProductDigests(out, DigestCache(out / "digests.json"))


def write(out, content, name="scan0001.nxs"):
    path = out / name
    path.write_bytes(content)
    return path


def test_other_content_is_noticed_also_with_the_same_size(tmp_path):
    path = write(tmp_path, b"counts 5")
    open_digests(tmp_path).record(path)
    assert open_digests(tmp_path).is_intact(path)
    write(tmp_path, b"counts 6")
    assert not open_digests(tmp_path).is_intact(path)


def test_a_copy_with_another_time_is_intact(tmp_path):
    path = write(tmp_path, b"counts 5")
    open_digests(tmp_path).record(path)
    path.unlink()
    assert open_digests(tmp_path).is_intact(write(tmp_path, b"counts 5"))


def test_what_another_reduction_wrote_meanwhile_is_intact(tmp_path):
    path = write(tmp_path, b"old")
    first = open_digests(tmp_path)
    first.record(path)
    open_digests(tmp_path).record(write(tmp_path, b"new"))
    assert first.is_intact(path)


def test_without_a_journal_products_count_as_they_are(tmp_path):
    path = write(tmp_path, b"counts 5")
    digests = open_digests(tmp_path)
    digests.record(path)
    digests.journal.unlink()
    write(tmp_path, b"counts 6")
    assert open_digests(tmp_path).is_intact(path)


@pytest.mark.parametrize("line", ["", "[", '["scan0001.nxs"', "7", '{"a": 1}', "\x00"])
def test_a_damaged_line_harms_no_other(tmp_path, line):
    path = write(tmp_path, b"counts 5")
    digests = open_digests(tmp_path)
    digests.record(path)
    with digests.journal.open("a") as file:
        file.write(line + "\n")
    write(tmp_path, b"counts 6")
    assert not open_digests(tmp_path).is_intact(path)


def test_the_journal_does_not_grow_without_limit(tmp_path):
    lost = write(tmp_path, b"lost", "scan0002.nxs")
    open_digests(tmp_path).record(lost)
    lost.unlink()
    for n in range(9):
        digests = open_digests(tmp_path)
        digests.record(write(tmp_path, f"counts {n}".encode()))
        digests.save()
    open_digests(tmp_path).save()
    lines = digests.journal.read_text().splitlines()
    assert 1 <= len(lines) <= 4
    assert json.loads(lines[-1])[0] == "scan0001.nxs"
    assert open_digests(tmp_path).is_intact(tmp_path / "scan0001.nxs")


def test_a_journal_that_is_a_link_is_not_written_to(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    journal = tmp_path / paths.PRODUCT_JOURNAL
    journal.parent.mkdir()
    journal.symlink_to(precious)
    with pytest.raises(UsageError, match="a link"):
        open_digests(tmp_path).record(write(tmp_path, b"counts 5"))
    assert precious.read_text() == "mine"


def test_a_journal_that_cannot_be_written_does_no_harm(tmp_path):
    path = write(tmp_path, b"counts 5")
    (tmp_path / paths.PRODUCT_JOURNAL).mkdir(parents=True)
    digests = open_digests(tmp_path)
    digests.record(path)
    digests.save()
    assert digests.is_intact(path)
