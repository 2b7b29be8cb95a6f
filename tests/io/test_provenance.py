import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline import __version__
from rixs_pipeline.io import provenance
from rixs_pipeline.io.provenance import canonical_json, digest_run, digest_values
from rixs_pipeline.io.runs import Points, Run

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
def test_hash_depends_on_everything_but_key_order(values: dict, random: object) -> None:
    keys = list(values)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert digest_values({key: values[key] for key in keys}) == digest_values(values)
    assert json.loads(canonical_json(values)) == values
    assert digest_values(
        values | {"another key, longer than most": 1}
    ) != digest_values(values)


def test_values_without_json_form_have_no_hash() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        digest_values({"a": float("nan")})
    with pytest.raises(TypeError):
        digest_values({"a": Path("x")})


def run(**changes: object) -> Run:
    points = Points(np.array([780.0, 781.0]), np.array([0, 10]), np.array([9, 19]))
    original = Run(
        "scan",
        1,
        "scan0001",
        "",
        "a",
        "Co_L",
        points,
        readings={"i0": np.array([1.0, np.nan])},
    )
    return replace(original, **changes)  # type: ignore[arg-type]


def test_run_identity_depends_on_the_log_not_on_paths() -> None:
    assert digest_run(run()) == digest_run(
        run(pulse_files=(Path("/x/y_chan1.off"),), log=Path("/x/l"), problems=("p",))
    )
    points = Points(np.array([780.0, 781.0]), np.array([0, 10]), np.array([9, 18]))
    changed = [
        run(sample="b"),
        run(edge="O_K"),
        run(points=points),
        run(readings={"i0": np.array([1.0, 2.0])}),
        run(readings={"tey": np.array([1.0, np.nan])}),
        run(complete=False),
    ]
    assert len({digest_run(variant) for variant in [run(), *changed]}) == 7


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


def test_environment_lists_versions_that_affect_results() -> None:
    versions = provenance.environment()
    assert {"rixs_pipeline", "python", "numpy", "scipy", "h5py"} <= set(versions)
    assert versions["numpy"] == np.__version__
    assert all(isinstance(text, str) and text for text in versions.values())
