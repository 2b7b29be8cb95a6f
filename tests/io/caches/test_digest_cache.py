import json
import logging
import os
from pathlib import Path

import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.caches import digest_cache
from rixs_pipeline.io.caches.digest_cache import DigestCache, digest_range
from tests.io.writers import SECOND, T0, off_records, write_off


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every range that is read from a file, in order."""
    ranges: list[tuple[str, int, int]] = []

    def recording(path: Path, limits: tuple[int, int]) -> str:
        ranges.append((path.name, *limits))
        return digest_range(path, limits)

    monkeypatch.setattr(digest_cache, "digest_range", recording)
    return ranges


def test_digest_of_a_range_ignores_later_records(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 9000)  # more than two chunks
    whole, part = (
        digest_range(path, (0, 2_304_000)),
        digest_range(path, (1000, 2_000_000)),
    )
    path.write_bytes(path.read_bytes() + b"more")
    assert digest_range(path, (0, 2_304_000)) == whole
    assert digest_range(path, (1000, 2_000_000)) == part
    assert (
        len(
            {
                whole,
                part,
                digest_range(path, (1001, 2_000_000)),
                digest_range(path, (0, 0)),
            }
        )
        == 4
    )


def test_a_file_that_is_too_short_or_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    with pytest.raises(InputError, match=r"3 bytes missing before byte 8"):
        digest_range(path, (2, 8))
    with pytest.raises(InputError, match="cannot be read"):
        digest_range(tmp_path / "nix", (0, 1))
    with pytest.raises(InputError, match="cannot be read"):
        DigestCache(tmp_path / "c.json").digest_file(tmp_path / "nix")


def test_nothing_is_read_twice_also_across_sessions(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    data, store = tmp_path / "data", tmp_path / "out" / "c.json"
    data.write_bytes(b"0123456789")
    cache = DigestCache(store)
    first = cache.digest_range(data, (2, 5))
    assert cache.digest_range(data, (2, 5)) == first == digest_range(data, (2, 5))
    cache.save()
    reads.clear()
    again = DigestCache(store)
    assert again.digest_range(data, (2, 5)) == first
    assert reads == []
    written = store.stat().st_mtime_ns
    again.save()
    assert store.stat().st_mtime_ns == written
    assert sorted(path.name for path in store.parent.iterdir()) == [".lock", "c.json"]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"0123456789")
    cache = DigestCache(tmp_path / "c.json")
    before = cache.digest_range(data, (2, 5))
    data.write_bytes(b"01xx456789")
    os.utime(data, ns=(1, 1))
    assert cache.digest_range(data, (2, 5)) == digest_range(data, (2, 5)) != before
    other = tmp_path / "other"
    other.write_bytes(b"0123456789")
    os.utime(other, ns=(1, 1))
    other.replace(data)  # same size and time, another inode
    assert cache.digest_range(data, (2, 5)) == before


def test_appended_records_do_not_cause_a_second_read(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"x" * 200_000)
    cache = DigestCache(tmp_path / "c.json")
    before = cache.digest_range(data, (0, 150_000))
    with data.open("ab") as file:
        file.write(b"y" * 100)
    reads.clear()
    assert cache.digest_range(data, (0, 150_000)) == before
    assert all(stop - first <= 65_536 for _, first, stop in reads)
    # the same file written anew, longer, is another one
    data.write_bytes(b"z" * 300_000)
    assert cache.digest_range(data, (0, 150_000)) != before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        '{"a": 1}',
        '{"a": {"status": [1, 2], "tail": "", "ranges": {}, "windows": {}}}',
        '{"a": {"status": [1, 2, 3, 4], "tail": "", "ranges": {"0-1": 5}}}',
        '{"a": {"status": [1, 2, 3, 4], "ranges": {}}}',
    ],
)
def test_a_damaged_cache_is_ignored_with_a_warning(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, store = tmp_path / "data", tmp_path / "c.json"
    data.write_bytes(b"0123456789")
    store.write_text(content)
    with caplog.at_level(logging.WARNING):
        cache = DigestCache(store)
    assert "c.json: digest cache damaged" in caplog.text
    cache.digest_range(data, (0, 5))
    cache.save()
    assert json.loads(store.read_text())[str(data)]["ranges"] == {
        "0-5": digest_range(data, (0, 5))
    }


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    data, store = tmp_path / "data", tmp_path / "c.json"
    data.write_bytes(b"0123456789")
    store.mkdir()
    cache = DigestCache(store)
    cache.digest_range(data, (0, 5))
    cache.save()
    assert list(store.iterdir()) == []


def test_the_records_of_a_run_do_not_change_with_later_ones(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    times = [T0 + n * SECOND for n in range(100)]
    path = write_off(tmp_path / "a_chan1.off", times[:60])
    cache = DigestCache(tmp_path / "c.json")
    early = cache.digest_records(path, [(T0, T0 + 50 * SECOND)])
    late = cache.digest_records(path, [(T0 + 50 * SECOND, T0 + 90 * SECOND)])
    assert cache.digest_records(path, [(T0, T0 + 50 * SECOND)]) == early != late
    path.write_bytes(path.read_bytes() + off_records(times)[60:].tobytes())
    reads.clear()
    assert cache.digest_records(path, [(T0, T0 + 50 * SECOND)]) == early
    size = off_records([T0]).itemsize
    assert (50 * size) not in [
        stop - first for _, first, stop in reads
    ]  # the 50 records were not read again
    assert cache.digest_records(path, [(T0 + 50 * SECOND, T0 + 90 * SECOND)]) != late
    fresh = DigestCache(tmp_path / "d.json")
    assert fresh.digest_records(path, [(T0, T0 + 50 * SECOND)]) == early


def test_windows_that_ended_are_kept_while_a_file_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [T0 + n * SECOND for n in range(100)]
    windows = [(T0 + n * SECOND, T0 + (n + 9) * SECOND) for n in range(0, 60, 10)]
    path = write_off(tmp_path / "a_chan1.off", times[:60])
    store = tmp_path / "c.json"
    cache = DigestCache(store)
    before = cache.digest_records(path, windows)
    cache.save()
    path.write_bytes(path.read_bytes() + off_records(times)[60:].tobytes())
    looked_up = []
    find = digest_cache.off.record_range

    def finding(records, start_ns: int, end_ns: int):
        looked_up.append((start_ns, end_ns))
        return find(records, start_ns, end_ns)

    monkeypatch.setattr(digest_cache.off, "record_range", finding)
    assert DigestCache(store).digest_records(path, windows) == before
    assert looked_up == []
    # the last one ends after the last record that was there
    longer = [*windows, (T0 + 50 * SECOND, T0 + 70 * SECOND)]
    grown = DigestCache(store).digest_records(path, longer)
    assert looked_up == longer[-1:] and grown[:-1] == before
    assert grown == DigestCache(tmp_path / "d.json").digest_records(path, longer)


def test_late_records_out_of_order_belong_to_their_window(tmp_path: Path) -> None:
    times = [T0 + n * SECOND for n in range(60)]
    window = [(T0, T0 + 10 * SECOND)]
    path = write_off(tmp_path / "a_chan1.off", times)
    cache = DigestCache(tmp_path / "c.json")
    before = cache.digest_records(path, window)
    late = off_records([T0 + 5 * SECOND + 1])
    path.write_bytes(path.read_bytes() + late.tobytes())
    assert cache.digest_records(path, window) != before


@pytest.mark.parametrize("key", ["", "-", "0-x", "0-" + "9" * 5000, "0-\u00b2"])
def test_a_damaged_window_is_not_kept(tmp_path: Path, key: str) -> None:
    times = [T0 + n * SECOND for n in range(60)]
    path = write_off(tmp_path / "a_chan1.off", times[:30])
    store = tmp_path / "c.json"
    cache = DigestCache(store)
    cache.digest_records(path, [(T0, T0 + SECOND)])
    cache.save()
    content = json.loads(store.read_text())
    next(iter(content.values()))["windows"][key] = "0"
    store.write_text(json.dumps(content))
    path.write_bytes(path.read_bytes() + off_records(times)[30:].tobytes())
    again = DigestCache(store)
    again.digest_records(path, [(T0, T0 + SECOND)])
    again.save()
    kept = next(iter(json.loads(store.read_text()).values()))["windows"]
    assert list(kept) == [f"{T0}-{T0 + SECOND}"]


def test_the_records_of_dead_and_broken_files_have_a_digest(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "c.json")
    dead = write_off(tmp_path / "a_chan1.off")
    broken = tmp_path / "a_chan2.off"
    broken.write_bytes(b"{ no header")
    empty = tmp_path / "a_chan3.off"
    empty.write_bytes(b"")
    digests = [
        cache.digest_records(path, [(T0, T0 + SECOND)])[0]
        for path in (dead, broken, empty)
    ]
    assert len(set(digests)) == 3
    with pytest.raises(InputError):
        cache.digest_records(tmp_path / "a_chan4.off", [(T0, T0 + SECOND)])


def test_ranges_of_real_files_match_their_records(
    real_data: Path, tmp_path: Path
) -> None:
    path = real_data / "20200219_chan1.off"
    cache = DigestCache(tmp_path / "c.json")
    start, end = 1582151025932277000, 1582152196789819000
    assert cache.digest_records(path, [(start, end)]) == cache.digest_records(
        path, [(start, end)]
    )
    assert cache.digest_records(path, [(start, end)]) != cache.digest_records(
        path, [(start, end - 10**11)]
    )


def test_concurrent_caches_keep_all_digests(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "shared")]
    for path in files:
        path.write_bytes(path.name.encode() * 100)
    first, second = (DigestCache(tmp_path / "cache.json") for _ in range(2))
    digests = [
        first.digest_file(files[0]),
        second.digest_file(files[1]),
        first.digest_range(files[2], (0, 10)),
        second.digest_range(files[2], (10, 20)),
    ]
    first.save()
    second.save()
    known = {
        name
        for cached in json.loads((tmp_path / "cache.json").read_text()).values()
        for name in cached["ranges"].values()
    }
    assert known == set(digests)


def test_other_content_with_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    cache = DigestCache(tmp_path / "c.json")
    before, status = cache.digest_file(path), path.stat()
    path.write_bytes(b"54321")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cache.digest_file(path) != before


def test_several_files_are_digested_at_once(tmp_path: Path) -> None:
    """New files, those that have grown, and one that cannot be read."""
    window = (T0, T0 + 5 * SECOND)
    paths = [tmp_path / f"a_chan{number}.off" for number in (1, 2, 3)]
    for path in paths[:2]:
        write_off(path, range(T0, T0 + 10 * SECOND, SECOND))
    expected = {
        path: DigestCache(tmp_path / "none").digest_records(path, [window])
        for path in paths[:2]
    }
    cache = DigestCache(tmp_path / "c.json")
    first = cache.digest_files({paths[0]: [window]})
    assert first == {paths[0]: expected[paths[0]]}
    write_off(paths[0], range(T0, T0 + 20 * SECOND, SECOND))
    assert cache.digest_files({path: [window] for path in paths}) == expected


def test_new_files_are_read_beside_a_block(tmp_path: Path, reads) -> None:
    """After an error in it the files that have not begun are left out."""
    window = (T0, T0 + 5 * SECOND)
    path = write_off(tmp_path / "a_chan1.off", range(T0, T0 + 10 * SECOND, SECOND))
    windows = {path: [window], tmp_path / "a_chan2.off": [window]}
    cache = DigestCache(tmp_path / "c.json")
    with cache.reading(windows):
        pass
    assert {name for name, *_ in reads} == {path.name}
    read_beside = list(reads)
    with pytest.raises(KeyboardInterrupt), cache.reading(windows):
        raise KeyboardInterrupt
    assert list(cache.digest_files(windows)) == [path]
    assert reads == read_beside


def test_windows_stay_while_a_file_grows_again_and_again(tmp_path: Path, reads) -> None:
    """Also between two readings that digest nothing new."""
    window = (T0, T0 + 5 * SECOND)
    path = write_off(tmp_path / "a_chan1.off", range(T0, T0 + 10 * SECOND, SECOND))
    cache = DigestCache(tmp_path / "c.json")
    (first,) = cache.digest_records(path, [window])
    for seconds in (20, 30, 40):
        write_off(path, range(T0, T0 + seconds * SECOND, SECOND))
        cache._files[str(path)].windows = {
            key: f"kept {digest}".replace("kept kept", "kept")
            for key, digest in cache._files[str(path)].windows.items()
        }
        assert cache.digest_records(path, [window]) == [f"kept {first}"]
