from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rixs_pipeline.config import Config, PlotsConfig, Region
from rixs_pipeline.config.load import config_schema, dump_config, load_config
from rixs_pipeline.paths import configs_folder
from rixs_pipeline.stages.sample.configured_regions import resolve_regions
from tests.config.helpers import loaded, problems, uncommented


def test_an_empty_config_has_the_defaults(tmp_path: Path) -> None:
    assert load_config(None) == Config()
    assert loaded(tmp_path, "") == Config()
    assert loaded(tmp_path, "map:\n# step: 0.1\nregions:\n") == Config()


def test_numbers_and_words_follow_yaml_1_2(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "map: {step: 5e-1}\nbeamtime:\n  samples: {yes: no, on: off}\n  exclude: "
        "{pixels: [0014]}\n"
        "  scans: {0012: {sample: a}, x-scan0001: {edge: O_K}}\n",
    )
    assert config.map.step == 0.5
    assert config.beamtime.samples == {"yes": "no", "on": "off"}
    assert config.beamtime.exclude.pixels == (14,)
    assert set(config.beamtime.scans) == {12, "x-scan0001"}


def test_merged_keys_and_anchors_work(tmp_path: Path) -> None:
    text = (
        "regions:\n  a: &a {kind: pfy, emission: [1, 2]}\n"
        "  b:\n    <<: *a\n    edge: O_K\n"
    )
    config = loaded(tmp_path, text)
    assert config.regions == {
        "a": Region(kind="pfy", emission=(1, 2)),
        "b": Region(kind="pfy", emission=(1, 2), edge="O_K"),
    }


def test_files_merge_and_regions_are_replaced(tmp_path: Path) -> None:
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


def test_mistakes_name_their_file(tmp_path: Path) -> None:
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


def test_the_path_of_a_reference_set_is_relative_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        (configs_folder() / "references" / "ucal.yaml").read_text()
    )
    config = loaded(
        tmp_path, "calibration: {reference: mine.yaml, lines: [C_Ka, N_Ka, O_Ka]}\n"
    )
    assert config.calibration.reference == str(tmp_path / "mine.yaml")


UNTRUSTED = {
    "setup": "execution:\n  cluster:\n    setup: [echo a]\n",
    "options": "execution:\n  cluster:\n    options: [--qos=a]\n",
    "scheduler": "execution:\n  workers: 2\n  scheduler: tcp://10.0.0.1:8786\n",
}


@pytest.mark.parametrize("key", UNTRUSTED)
def test_a_beamtime_runs_no_commands_unless_trusted(tmp_path: Path, key: str) -> None:
    (line,) = problems(tmp_path, UNTRUSTED[key])
    assert line.startswith("c.yaml:3: execution.") and f"{key}: " in line
    assert "--site" in line and "--trust" in line
    trusted = loaded(tmp_path, UNTRUSTED[key], is_trusted=True)
    of_site = load_config(None, site=tmp_path / "c.yaml")
    assert trusted == of_site == load_config(tmp_path / "c.yaml", tmp_path / "c.yaml")
    assert trusted.execution != Config().execution


def test_all_that_needs_trust_is_listed(tmp_path: Path) -> None:
    text = "execution: {scheduler: tcp://a:1, cluster: {setup: [b], options: [--c]}}\n"
    assert len(problems(tmp_path, text)) == 3


def test_the_site_and_the_command_line_need_no_trust(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("execution: {cluster: {setup: [echo a], options: [--qos=a]}}\n")
    text = "execution: {scheduler: slurm, cluster: {walltime: '02:00:00'}}\n"
    overrides = {"execution": {"scheduler": "tcp://10.0.0.1:8786"}}
    execution = loaded(tmp_path, text, site=site, overrides=overrides).execution
    assert execution.scheduler == "tcp://10.0.0.1:8786"
    assert execution.cluster.setup == ("echo a",)
    assert execution.cluster.walltime == "02:00:00"


def test_empty_commands_and_overridden_schedulers_need_no_trust(tmp_path: Path) -> None:
    text = "execution: {scheduler: tcp://a:1, cluster: {setup: [], options: []}}\n"
    overrides = {"execution": {"scheduler": "serial"}}
    assert loaded(tmp_path, text, overrides=overrides).execution.scheduler == "serial"


def test_a_config_that_is_passed_on_leaves_out_how_it_was_executed(
    tmp_path: Path,
) -> None:
    config = loaded(tmp_path, UNTRUSTED["setup"] + "map: {step: 1}\n", is_trusted=True)
    text = dump_config(config, with_execution=False)
    assert "execution" not in text
    assert loaded(tmp_path, text).map.step == 1


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


def test_keys_from_a_preset_are_not_dumped(tmp_path: Path) -> None:
    """`emission: null` would override the preset: the region would be the whole map."""
    text = (
        "regions: {Co: {preset: Co_L, kind: pfy}, "
        "O: {kind: pfy, emission: [510, 540], exclude_elastic: null}}"
    )
    config = loaded(tmp_path, text)
    again = loaded(tmp_path, dump_config(config))
    assert config.regions and again.regions
    assert resolve_regions(again.regions) == resolve_regions(config.regions)
    assert resolve_regions(again.regions)["Co"].emission == (762, 800)
    keys = {name: region.model_fields_set for name, region in again.regions.items()}
    assert keys == {
        "Co": {"preset", "kind"},
        "O": {"kind", "emission", "exclude_elastic"},
    }


def test_the_schema_has_every_section() -> None:
    assert set(config_schema()["properties"]) == set(Config.model_fields)


# ---- the supplied files


def missing_keys(model: type[BaseModel], given: Any) -> list[str]:
    """Return the fields of a model that no mapping of a config names."""
    missing = []
    mappings = [mapping for mapping in given if isinstance(mapping, dict)]
    for name, field in model.model_fields.items():
        values = [mapping[name] for mapping in mappings if name in mapping]
        if not values:
            missing.append(name)
        for inner in models_in(field.annotation):
            nested = [entry for value in values for entry in instances(inner, value)]
            missing += [f"{name}.{key}" for key in missing_keys(inner, nested)]
    return missing


def instances(model: type[BaseModel], value: Any) -> list[Any]:
    """Return the values for a model: a single one, of a list, or by names."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or model.model_fields.keys() & value.keys():
        return [value]
    return [entry for inner in value.values() for entry in instances(model, inner)]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [model for argument in arguments for model in models_in(argument)]


def test_the_example_config_has_the_defaults_and_every_key(tmp_path: Path) -> None:
    from rixs_pipeline.config.yaml_lines import read_yaml

    example = configs_folder() / "example.yaml"
    assert load_config(example) == Config()
    everything = tmp_path / "everything.yaml"
    everything.write_text(uncommented(example.read_text()))
    assert load_config(everything) != Config()
    data = read_yaml(everything).data
    looks: dict[str, Any] = {}  # kinds of figures share their keys
    for options in data["plots"].values():
        looks |= options | {
            "limits": looks.get("limits", {}) | options.get("limits", {})
        }
    data["plots"] = dict.fromkeys(PlotsConfig.model_fields, looks)
    assert missing_keys(Config, [data]) == []


def test_missing_keys_finds_missing_keys() -> None:
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


def test_paper_config_has_all_figures() -> None:
    path = Path(__file__).parents[2] / "configs" / "lmr_paper.yaml"
    figures = {"fig1", "fig2", "fig3", "supp3", "supp4", "supp5", "supp6"}
    assert set(load_config(path).figures) == figures
