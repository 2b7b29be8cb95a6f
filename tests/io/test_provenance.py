import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import provenance
from rixs_pipeline.io.provenance import (
    DigestCache,
    canonical,
    config_hash,
    digest_file_range,
    run_digest,
)
from rixs_pipeline.io.runs import Points, Run
from tests.io.writers import SECOND, T0, off_records, write_off


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every range that is read from a file, in order."""
    seen: list[tuple[str, int, int]] = []

    def counting(path: Path, first: int, stop: int) -> str:
        seen.append((path.name, first, stop))
        return digest_file_range(path, first, stop)

    monkeypatch.setattr(provenance, "digest_file_range", counting)
    return seen


def test_a_range_does_not_depend_on_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 9000)  # more than two chunks
    whole, part = (
        digest_file_range(path, 0, 2_304_000),
        digest_file_range(path, 1000, 2_000_000),
    )
    path.write_bytes(path.read_bytes() + b"more")
    assert digest_file_range(path, 0, 2_304_000) == whole
    assert digest_file_range(path, 1000, 2_000_000) == part
    assert (
        len(
            {
                whole,
                part,
                digest_file_range(path, 1001, 2_000_000),
                digest_file_range(path, 0, 0),
            }
        )
        == 4
    )


def test_a_file_that_is_too_short_or_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    with pytest.raises(InputError, match=r"a: ends 3 bytes before byte 8"):
        digest_file_range(path, 2, 8)
    with pytest.raises(InputError, match="cannot be read"):
        digest_file_range(tmp_path / "nix", 0, 1)
    with pytest.raises(InputError, match="cannot be read"):
        DigestCache(tmp_path / "c.json").file(tmp_path / "nix")


def test_nothing_is_read_twice_also_across_sessions(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    data, store = tmp_path / "data", tmp_path / "out" / "c.json"
    data.write_bytes(b"0123456789")
    cache = DigestCache(store)
    first = cache.get(data, 2, 5)
    assert cache.get(data, 2, 5) == first == digest_file_range(data, 2, 5)
    cache.save()
    reads.clear()
    again = DigestCache(store)
    assert again.get(data, 2, 5) == first
    assert reads == []
    written = store.stat().st_mtime_ns
    again.save()
    assert store.stat().st_mtime_ns == written
    assert sorted(path.name for path in store.parent.iterdir()) == [".lock", "c.json"]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"0123456789")
    cache = DigestCache(tmp_path / "c.json")
    before = cache.get(data, 2, 5)
    data.write_bytes(b"01xx456789")
    os.utime(data, ns=(1, 1))
    assert cache.get(data, 2, 5) == digest_file_range(data, 2, 5) != before
    other = tmp_path / "other"
    other.write_bytes(b"0123456789")
    os.utime(other, ns=(1, 1))
    other.replace(data)  # same size and time, another inode
    assert cache.get(data, 2, 5) == before


def test_what_was_appended_does_not_cost_a_second_reading(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"x" * 200_000)
    cache = DigestCache(tmp_path / "c.json")
    before = cache.get(data, 0, 150_000)
    with data.open("ab") as file:
        file.write(b"y" * 100)
    reads.clear()
    assert cache.get(data, 0, 150_000) == before
    assert all(stop - first <= 65_536 for _, first, stop in reads)
    # the same file written anew, longer, is another one
    data.write_bytes(b"z" * 300_000)
    assert cache.get(data, 0, 150_000) != before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        '{"a": 1}',
        '{"a": {"status": [1, 2], "tail": "", "ranges": {}, "windows": {}}}',
        '{"a": {"status": [1, 2, 3], "tail": "", "ranges": {"0-1": 5}, "windows": {}}}',
        '{"a": {"status": [1, 2, 3], "ranges": {}}}',
    ],
)
def test_a_damaged_cache_is_ignored_and_told(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, store = tmp_path / "data", tmp_path / "c.json"
    data.write_bytes(b"0123456789")
    store.write_text(content)
    with caplog.at_level(logging.WARNING):
        cache = DigestCache(store)
    assert "c.json: the cache of digests is damaged" in caplog.text
    cache.get(data, 0, 5)
    cache.save()
    assert json.loads(store.read_text())[str(data)]["ranges"] == {
        "0-5": digest_file_range(data, 0, 5)
    }


def test_the_records_of_a_run_do_not_change_with_later_ones(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    times = [T0 + n * SECOND for n in range(100)]
    path = write_off(tmp_path / "a_chan1.off", times[:60])
    cache = DigestCache(tmp_path / "c.json")
    early = cache.records(path, [(T0, T0 + 50 * SECOND)])
    late = cache.records(path, [(T0 + 50 * SECOND, T0 + 90 * SECOND)])
    assert cache.records(path, [(T0, T0 + 50 * SECOND)]) == early != late
    path.write_bytes(path.read_bytes() + off_records(times)[60:].tobytes())
    reads.clear()
    assert cache.records(path, [(T0, T0 + 50 * SECOND)]) == early
    size = off_records([T0]).itemsize
    assert (50 * size) not in [
        stop - first for _, first, stop in reads
    ]  # the 50 records were not read again
    assert cache.records(path, [(T0 + 50 * SECOND, T0 + 90 * SECOND)]) != late
    fresh = DigestCache(tmp_path / "d.json")
    assert fresh.records(path, [(T0, T0 + 50 * SECOND)]) == early


def test_the_records_of_dead_and_broken_files_have_a_digest(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "c.json")
    dead = write_off(tmp_path / "a_chan1.off")
    broken = tmp_path / "a_chan2.off"
    broken.write_bytes(b"{ no header")
    empty = tmp_path / "a_chan3.off"
    empty.write_bytes(b"")
    digests = [
        cache.records(path, [(T0, T0 + SECOND)])[0] for path in (dead, broken, empty)
    ]
    assert len(set(digests)) == 3
    with pytest.raises(InputError):
        cache.records(tmp_path / "a_chan4.off", [(T0, T0 + SECOND)])


def test_the_real_files_ranges_are_those_of_the_records(
    real_data: Path, tmp_path: Path
) -> None:
    path = real_data / "20200219_chan1.off"
    cache = DigestCache(tmp_path / "c.json")
    start, end = 1582151025932277000, 1582152196789819000
    assert cache.records(path, [(start, end)]) == cache.records(path, [(start, end)])
    assert cache.records(path, [(start, end)]) != cache.records(
        path, [(start, end - 10**11)]
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.randoms())
def test_the_hash_ignores_the_order_of_keys_alone(values: dict, random: object) -> None:
    keys = list(values)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert config_hash({key: values[key] for key in keys}) == config_hash(values)
    assert json.loads(canonical(values)) == values
    assert config_hash(values | {"another key, longer than most": 1}) != config_hash(
        values
    )


def test_what_has_no_json_form_has_no_hash() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        config_hash({"a": float("nan")})
    with pytest.raises(TypeError):
        config_hash({"a": Path("x")})


def run(**changes: object) -> Run:
    points = Points(np.array([780.0, 781.0]), np.array([0, 10]), np.array([9, 19]))
    one = Run(
        "scan",
        1,
        "scan0001",
        "",
        "a",
        "Co_L",
        points,
        readings={"i0": np.array([1.0, np.nan])},
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_a_run_is_told_by_what_its_log_says_not_by_where_its_files_are() -> None:
    assert run_digest(run()) == run_digest(
        run(pulse_files=(Path("/x/y_chan1.off"),), log=Path("/x/l"), problems=("p",))
    )
    points = Points(np.array([780.0, 781.0]), np.array([0, 10]), np.array([9, 18]))
    others = [
        run(sample="b"),
        run(edge="O_K"),
        run(points=points),
        run(readings={"i0": np.array([1.0, 2.0])}),
        run(readings={"tey": np.array([1.0, np.nan])}),
        run(complete=False),
    ]
    assert len({run_digest(each) for each in [run(), *others]}) == 7


def test_the_code_version_follows_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rixs_pipeline"
    (package / "io").mkdir(parents=True)
    (package / "io" / "provenance.py").write_text("a = 1\n")
    (package / "x.py").write_text("b = 1\n")
    monkeypatch.setattr(provenance, "__file__", str(package / "io" / "provenance.py"))

    def version() -> str:
        provenance.code_version.cache_clear()
        return provenance.code_version()

    before = version()
    assert before == version()
    assert before.startswith(f"{__version__}+")
    (package / "notes.txt").write_text("no code")
    assert version() == before
    (package / "x.py").write_text("b = 2\n")
    edited = version()
    assert edited != before
    (package / "x.py").rename(package / "y.py")
    assert version() not in (before, edited)
    provenance.code_version.cache_clear()


def test_the_environment_names_what_numbers_may_depend_on() -> None:
    versions = provenance.environment()
    assert {"rixs_pipeline", "python", "numpy", "scipy", "h5py"} <= set(versions)
    assert versions["numpy"] == np.__version__
    assert all(isinstance(text, str) and text for text in versions.values())


def test_caches_that_are_used_at_the_same_time_keep_what_each_other_found(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "shared")]
    for path in files:
        path.write_bytes(path.name.encode() * 100)
    first, second = (DigestCache(tmp_path / "cache.json") for _ in range(2))
    digests = [
        first.file(files[0]),
        second.file(files[1]),
        first.get(files[2], 0, 10),
        second.get(files[2], 10, 20),
    ]
    first.save()
    second.save()
    known = {
        name
        for one in json.loads((tmp_path / "cache.json").read_text()).values()
        for name in one["ranges"].values()
    }
    assert known == set(digests)
