import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rixs_pipeline.config.load import (
    config_schema,
    dump_config,
    initial_config,
    load_config,
)
from rixs_pipeline.config.models import Config, Region
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.paths import configs_folder
from rixs_pipeline.stages.sample.configured_regions import resolve_regions
from rixs_pipeline.types import Edge

EXAMPLE_LINE = re.compile(
    r"^#(?! \S)(?=.)", re.MULTILINE
)  # `#key:`, and what is indented below it


def loaded(folder: Path, text: str, **options: Any) -> Config:
    path = folder / "c.yaml"
    path.write_text(text)
    return load_config(path, **options)


def problems(folder: Path, text: str, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **options)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_nothing_given_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(None) == Config()
    assert loaded(tmp_path, "") == Config()
    assert loaded(tmp_path, "map:\n# step: 0.1\nregions:\n") == Config()


def test_numbers_and_words_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "map: {step: 5e-1}\nbeamtime:\n  samples: {yes: no, on: off}\n  exclude: {pixels: [0014]}\n"
        "  scans: {0012: {sample: a}, x-scan0001: {edge: O_K}}\n",
    )
    assert config.map.step == 0.5
    assert config.beamtime.samples == {"yes": "no", "on": "off"}
    assert config.beamtime.exclude.pixels == (14,)
    assert set(config.beamtime.scans) == {12, "x-scan0001"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "regions:\n  ni:\n    kind: pfy\n    knid: pfy\n",
            "c.yaml:4: regions.ni.knid: unknown key (did you mean 'kind'?)",
        ),
        (
            "\n\nmap:\n  # wide\n\n\n  step: -1\n",
            "c.yaml:7: map.step: must be greater than 0, not -1",
        ),
        (
            "normalize: {}\n",
            "c.yaml:1: normalize: unknown key (did you mean 'normalise'?)",
        ),
        (
            "regions: {A: {kind: pfy, background: {kind: linea}}}\n",
            "c.yaml:1: regions.A.background: must be of kind 'constant', 'linear', 'sideband', 'blank', 'leak', "
            "not {'kind': 'linea'}",
        ),
        (
            "regions: {A: {kind: pfy, background: {kind: sideband}}}\n",
            "c.yaml:1: regions.A.background.emission: is missing",
        ),
        (
            "regions: {A: {kind: pfy, background: [{kind: leak, tail_fracton: 0.1}]}}\n",
            "c.yaml:1: regions.A.background.0.tail_fracton: unknown key (did you mean 'tail_fraction'?)",
        ),
        (
            "regions:\n  a:\n    kind: pfi\n",
            "c.yaml:3: regions.a.kind: must be one of 'pfy', 'spfy', 'ipfy', 'tfy', 'xes' or 'elastic', not 'pfi'",
        ),
        (
            "regions:\n  a:\n    edge: O_K\n",
            "c.yaml:2: regions.a: kind: is needed (pfy, spfy, ipfy, tfy, xes, elastic), or preset: an edge",
        ),
        (
            "regions:\n  a: {kind: pfy, exclude_elastic: 0.5 keV}\n",
            "c.yaml:2: regions.a.exclude_elastic: a number in eV is expected, '0.5 keV' has a unit",
        ),
        (
            "map:\n  emission:\n    - 200\n    - 1000 meV\n",
            "c.yaml:4: map.emission.1: a number in eV is expected, '1000 meV' has a unit",
        ),
        (
            "map: {step: wide}\n",
            "c.yaml:1: map.step: must be a number in eV, not 'wide'",
        ),
        (
            "calibration: {residual_cut: .inf}\n",
            "c.yaml:1: calibration.residual_cut: must be a number, not inf",
        ),
        (
            "calibration: {min_line_counts: 7.5}\n",
            "c.yaml:1: calibration.min_line_counts: must be a whole number, not 7.5",
        ),
        (
            "calibration: {drift: maybe}\n",
            "c.yaml:1: calibration.drift: must be true or false, not 'maybe'",
        ),
        (
            "beamtime:\n  samples:\n    ad1: 12\n",
            "c.yaml:3: beamtime.samples.ad1: must be text, in quotes, not 12",
        ),
        (
            "beamtime:\n  scans:\n    12:\n      edge: Co\n",
            "c.yaml:4: beamtime.scans.12.edge: must be one of "
            + ", ".join(f"'{e}'" for e in list(Edge)[:-1])
            + " or 'Zn_L', not 'Co'",
        ),
        (
            "beamtime:\n  exclude:\n    scans:\n      - 3\n      - 1.5\n",
            "c.yaml:5: beamtime.exclude.scans.1: must be a whole number or text, in quotes, not 1.5",
        ),
        ("map: 5\n", "c.yaml:1: map: must be a mapping of keys to values, not 5"),
        (
            "compare:\n  a: {samples: [x]}\n",
            "c.yaml:2: compare.a.samples: must have at least 2 items, not ['x']",
        ),
        (
            "regions:\n  1st: {kind: tfy}\n",
            "c.yaml:2: regions.1st: the name must match [A-Za-z][A-Za-z0-9_]*, not '1st'",
        ),
        ("[1, 2]\n", "c.yaml:1: a mapping of keys to values is expected, not [1, 2]"),
        (
            "map:\n  step: 1\n  emission: [1, 2]\n  step: 2\n",
            "c.yaml:4: step: the key is given twice; remove one of the two",
        ),
        (
            "calibration:\n  reference: srd12\n",
            "c.yaml:2: calibration.reference: no reference set 'srd12'; "
            "there are elam, hauskat2024, srd128, ucal, or give a .yaml file",
        ),
        (
            "calibration:\n  lines:\n    - C_Ka\n    - Co_Ka\n    - O_Ka\n",
            "c.yaml:4: calibration.lines.1: no line 'Co_Ka' in srd128 (did you mean 'C_Ka'?)",
        ),
        (
            "calibration:\n  lines: [C_Ka, O_Ka]\n",
            "c.yaml:2: calibration.lines: must have at least 3 items, not ['C_Ka', 'O_Ka']",
        ),
        (
            "calibration:\n  variants: {Fe_La: oxide,\n             Ni_La: oxid}\n",
            "c.yaml:3: calibration.variants.Ni_La: no variant 'oxid' of Ni_La in srd128; it has metal, oxide",
        ),
        (
            "calibration:\n  reference: ucal\n  variants: {Mn_La: oxide}\n",
            "c.yaml:3: calibration.variants.Mn_La: no line 'Mn_La' in ucal (did you mean 'Zn_La'?)",
        ),
        (
            "calibration:\n  variants: sulfide\n",
            "c.yaml:2: calibration.variants: no variant 'sulfide' in srd128; it has metal, oxide",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert problems(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [
        ("map: {step: 1\nx: }", r"c\.yaml:\d:\d+", "not YAML"),
        ("map:\n\tstep: 1\n", r"c\.yaml:2:1", "not YAML"),
        ("a: 1\n---\nb: 2\n", r"c\.yaml:\d:\d+", "not YAML"),
        ("map: *a\n", r"c\.yaml:1:6", "undefined alias 'a'"),
        ("map: " + "[" * 400 + "]" * 400, r"c\.yaml", "nested too deeply"),
        ("map: \x07\n", r"c\.yaml", "not YAML"),
    ],
)
def test_what_is_not_yaml_is_said_with_its_place(
    tmp_path: Path, text: str, place: str, fragment: str
) -> None:
    (line,) = problems(tmp_path, text)
    assert re.match(place + ": ", line)
    assert fragment in line


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nix\.yaml: no such file"):
        load_config(tmp_path / "nix.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not a text file in UTF-8"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (
            "top",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in eV, not 'top'",
        ),
        (
            "[1, 2, 3]",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in eV, not [1, 2, 3]",
        ),
        (
            "5",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in eV, not 5",
        ),
        ("[1, x]", "scale.1: must be a number in eV, not 'x'"),
        ("[540 eV, 548]", "scale.0: a number in eV is expected, '540 eV' has a unit"),
        ("[548, 540]", "scale: [548.0, 540.0] must be [low, high] with low < high"),
    ],
)
def test_a_value_with_several_forms_has_one_readable_line(
    tmp_path: Path, scale: str, expected: str
) -> None:
    text = f"regions:\n  O_sPFY:\n    kind: spfy\n    scale: {scale}\n"
    assert problems(tmp_path, text) == [f"c.yaml:4: regions.O_sPFY.{expected}"]


def test_a_models_own_check_is_shown_at_the_key_or_the_section(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "map:\n  step: 0.7\n")
    assert line.startswith(
        "c.yaml:1: map: emission: [200.0, 1100.0] does not hold a whole number of bins"
    )
    (line,) = problems(tmp_path, "map:\n  step: 0.5\n  emission: [200, 1000.3]\n")
    assert line.startswith("c.yaml:3: map.emission: [200.0, 1000.3] does not hold")
    (line,) = problems(tmp_path, "execution: {}\nmap:\n  incident: [1, 2]\n")
    assert line.startswith("c.yaml:2: map: incident and incident_step go together")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines(
    tmp_path: Path,
) -> None:
    lines = problems(
        tmp_path,
        "execution: {workers: 0}\nmap: {step: 0, stop: 1}\ncalibration: {phase: 7}\n",
    )
    assert [line.split(":")[1] for line in lines] == ["1", "2", "2", "3"]
    assert [line.split(": ")[1] for line in lines] == [
        "execution.workers",
        "map.step",
        "map.stop",
        "calibration.phase",
    ]


def test_no_item_hides_behind_a_second_complaint_about_its_list(tmp_path: Path) -> None:
    (line,) = problems(
        tmp_path, "regions:\n  a: {kind: pfy, polygon: [[1, 2], [2, 3], [1, 2, 3]]}\n"
    )
    assert (
        line
        == "c.yaml:2: regions.a.polygon.2: must have at most 2 items, not [1, 2, 3]"
    )


def test_merged_keys_and_anchors_work(tmp_path: Path) -> None:
    text = "regions:\n  a: &a {kind: pfy, emission: [1, 2]}\n  b:\n    <<: *a\n    edge: O_K\n"
    config = loaded(tmp_path, text)
    assert config.regions == {
        "a": Region(kind="pfy", emission=(1, 2)),
        "b": Region(kind="pfy", emission=(1, 2), edge="O_K"),
    }


def test_site_beamtime_and_command_line_add_up_and_regions_replace(
    tmp_path: Path,
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "map: {step: 0.25, emission: [100, 1000]}\nnormalise: {i0: mesh}\n"
        "beamtime: {samples: {a: A, b: B}}\nregions:\n  x: {kind: tfy}\n"
    )
    text = "map: {step: 1}\nbeamtime: {samples: {b: C}}\nregions:\n  y: {kind: tfy}\n"
    config = loaded(
        tmp_path, text, site=site, overrides={"map": {"emission": [0, 1000]}}
    )
    assert (config.map.step, config.map.emission) == (1, (0, 1000))
    assert config.normalise.i0 == "mesh"
    assert config.beamtime.samples == {"a": "A", "b": "C"}
    assert set(config.regions or {}) == {"y"}
    assert set(loaded(tmp_path, "map: {step: 1}\n", site=site).regions or {}) == {"x"}


def test_mistakes_are_told_with_the_file_that_made_them(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("normalise:\n  throughput: 5\nmap:\n  step: 0\n")
    lines = problems(
        tmp_path,
        "\n\nmap:\n  stop: 0\n",
        site=site,
        overrides={"execution": {"workers": -1}},
    )
    assert sorted(lines) == sorted(
        [
            "site.yaml:2: normalise.throughput: must be true or false, not 5",
            "site.yaml:4: map.step: must be greater than 0, not 0",
            "c.yaml:4: map.stop: unknown key (did you mean 'step'?)",
            "command line: execution.workers: must be at least 1, not -1",
        ]
    )


def test_a_reference_set_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        (configs_folder() / "references" / "ucal.yaml").read_text()
    )
    config = loaded(
        tmp_path, "calibration: {reference: mine.yaml, lines: [C_Ka, N_Ka, O_Ka]}\n"
    )
    assert config.calibration.reference == str(tmp_path / "mine.yaml")


# what str.isprintable allows
texts = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], include_characters=" "),
    min_size=1,
    max_size=20,
)
limits = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
configs = st.builds(
    lambda samples, scans, points, regions, cut, reading: Config.model_validate(
        {
            "beamtime": {
                "samples": samples,
                "scans": {scan: {"sample": reading, "edge": "O_K"} for scan in scans},
                "exclude": {"scans": scans, "points": points},
            },
            "calibration": {"residual_cut": cut},
            "regions": regions,
            "normalise": {"i0": reading},
        }
    ),
    st.dictionaries(texts, texts, max_size=3),
    st.lists(st.integers(0, 10**6) | texts, max_size=3),
    st.dictionaries(
        st.integers(0, 999) | texts,
        st.lists(st.integers(0, 99), max_size=3),
        max_size=3,
    ),
    st.none()
    | st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_]*", fullmatch=True),
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["pfy", "xes"]),
                "emission": limits,
                "scale": limits,
            }
        ),
        max_size=3,
    ),
    st.floats(1e-300, 1e300),
    st.none() | texts,
)


@settings(deadline=None, max_examples=25)
@given(config=configs)
def test_a_dumped_config_loads_back_equal(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


def test_what_a_region_leaves_unsaid_stays_unsaid_in_a_dumped_config(
    tmp_path: Path,
) -> None:
    """Written out, `emission: null` would stand against the preset, and the region would be all of the map."""
    text = "regions: {Co: {preset: Co_L, kind: pfy}, O: {kind: pfy, emission: [510, 540], exclude_elastic: null}}"
    config = loaded(tmp_path, text)
    again = loaded(tmp_path, dump_config(config))
    assert config.regions and again.regions
    assert resolve_regions(again.regions) == resolve_regions(config.regions)
    assert resolve_regions(again.regions)["Co"].emission == (762, 800)
    said = {name: region.model_fields_set for name, region in again.regions.items()}
    assert said == {
        "Co": {"preset", "kind"},
        "O": {"kind", "emission", "exclude_elastic"},
    }


def test_the_schema_knows_every_section() -> None:
    assert set(config_schema()["properties"]) == set(Config.model_fields)


# ---- the files that ship


def uncommented(text: str) -> str:
    return EXAMPLE_LINE.sub("", text)


def missing_keys(model: type[BaseModel], given: Any) -> list[str]:
    """The fields of a model that stand nowhere in a config as a person wrote it; mappings of names are looked into."""
    missing = []
    for name, field in model.model_fields.items():
        found = [
            each[name] for each in given if isinstance(each, dict) and name in each
        ]
        if not found:
            missing.append(name)
        nested = [m for m in models_in(field.annotation) if not isinstance(found, type)]
        for inner in nested:
            below = [value for each in found for value in instances(inner, each)]
            missing += [f"{name}.{key}" for key in missing_keys(inner, below)]
    return missing


def instances(model: type[BaseModel], value: Any) -> list[Any]:
    """What a person wrote for a model: one of it, a list of them, or a mapping of names to them."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or model.model_fields.keys() & value.keys():
        return [value]
    return list(value.values())


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [
        model
        for each in getattr(annotation, "__args__", ())
        for model in models_in(each)
    ]


def test_the_example_config_is_the_defaults_and_names_every_key(tmp_path: Path) -> None:
    from rixs_pipeline.config.yaml_lines import read

    example = configs_folder() / "example.yaml"
    assert load_config(example) == Config()
    everything = tmp_path / "everything.yaml"
    everything.write_text(uncommented(example.read_text()))
    assert load_config(everything) != Config()
    assert missing_keys(Config, [read(everything).data]) == []


def test_missing_keys_notices_a_missing_key() -> None:
    given = [{"map": {"step": 1}, "regions": {"a": {"kind": "pfy"}}}]
    missing = missing_keys(Config, given)
    assert {"beamtime", "map.emission", "regions.edge", "beamtime.scans.edge"} <= set(
        missing
    )
    assert "map.step" not in missing and "regions.kind" not in missing


def test_the_ssrl_config_loads_without_readings() -> None:
    config = load_config(configs_folder() / "ssrl_10_1.yaml")
    assert config.normalise.i0 is None
    assert {region.edge for region in (config.regions or {}).values()} == {"Co_L"}


# ---- the first config of a beamtime


def run(**changes: Any) -> dict[str, Any]:
    scan = {
        "name": "scan0003",
        "kind": "scan",
        "number": 3,
        "sample": "a: #1",
        "edge": "Co_L",
        "readings": ["i0", "tey"],
    }
    return scan | changes


PRESETS = {"Co_L": {"Co_PFY": Region(kind="pfy", edge="Co_L", emission=(762, 800))}}


def test_the_first_config_names_what_is_there_and_loads_also_uncommented(
    tmp_path: Path,
) -> None:
    calibration = run(
        name="cal0001", kind="calibration", sample="mix", edge=None, readings=[]
    )
    lost = run(name="scan0004", number=4, sample="b", edge=None)
    description = {
        "runs": [calibration, run(), lost],
        "problems": ["chan7.off: no\nrecords"],
    }
    text = initial_config(description, PRESETS)
    for word in (
        "Co_L",
        "cal0001",
        "mix",
        "scan0004",
        "problem: chan7.off: no records",
        "tey",
    ):
        assert word in text
    config = loaded(tmp_path, text)
    assert config == Config()
    config = loaded(tmp_path, uncommented(text))
    assert config.beamtime.samples == {"a: #1": "a: #1", "b": "b"}
    assert config.beamtime.exclude.scans == (3,)
    assert config.regions == PRESETS["Co_L"]
    assert config.compare["pair"].samples == ("a: #1", "b")


@pytest.mark.parametrize(
    ("readings", "i0"),
    [
        ([], None),
        (["tey"], None),
        (["I0", "i0_mesh"], "I0"),
        (["mono", "nexafs_i0up"], "nexafs_i0up"),
    ],
)
def test_the_first_config_takes_the_flux_channel_that_is_there(
    tmp_path: Path, readings: list[str], i0: str | None
) -> None:
    text = initial_config({"runs": [run(readings=readings)], "problems": []})
    assert loaded(tmp_path, text).normalise.i0 == i0


def test_the_first_config_of_an_empty_beamtime_loads(tmp_path: Path) -> None:
    text = initial_config({"runs": [], "problems": []})
    assert loaded(tmp_path, text) == Config.model_validate({"normalise": {"i0": None}})
    loaded(tmp_path, uncommented(text))


@pytest.mark.real
def test_the_first_config_of_real_data(real_data: Path, tmp_path: Path) -> None:
    from rixs_pipeline.io.discovery import discover
    from rixs_pipeline.io.inspection import describe

    text = initial_config(describe(discover(real_data)), PRESETS)
    assert loaded(tmp_path, text).normalise.i0 is None
    assert "ad1" in text and "Co_PFY" in text and "mixv4b" in text


def test_the_config_of_the_paper_has_all_its_figures() -> None:
    path = Path(__file__).parents[2] / "configs" / "lmr_paper.yaml"
    figures = {"fig1", "fig2", "fig3", "supp3", "supp4", "supp5", "supp6"}
    assert set(load_config(path).figures) == figures
