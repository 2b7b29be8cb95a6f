import pytest

from rixs_pipeline.config import Config, MultiPanelFigure, PlotsConfig
from rixs_pipeline.config.load import dump_config, load_config
from rixs_pipeline.config.messages import validate
from rixs_pipeline.config.yaml_lines import from_values
from rixs_pipeline.errors import ConfigError
from tests.config.helpers import assert_invalid


@pytest.mark.parametrize(
    ("plots", "message"),
    [
        ({"maps": {}}, "unknown key (did you mean 'map'?)"),
        ({"map": {"colour": "jet"}}, "unknown key"),
        ({"map": {"format": "gif"}}, "must be one of 'png', 'pdf' or 'svg', not 'gif'"),
        ({"map": {"format": []}}, "at least 1"),
        ({"map": {"cmap": "virdis"}}, "no colour map 'virdis' (did you mean 'viridis'"),
        ({"map": {"cmap": "zzz"}}, "cividis"),
        ({"map": {"size": "huge"}}, "'one_column' or 'two_columns'"),
        ({"map": {"size": [3.4, 0]}}, "must be at least 1, not 0"),
        ({"map": {"dpi": 5}}, "must be at least 30"),
        ({"map": {"font_size": 100}}, "must be at most 40"),
        ({"map": {"limits": {"emission": [800, 760]}}}, "low < high"),
        ({"map": {"limits": {"emission": []}}}, "must be [low, high] in eV"),
        ({"map": {"limits": {"energy": [1, 2]}}}, "unknown key (available: incident"),
        ({"map": {"labels": {"LMR_RT": 5}}}, "must be text"),
        ({"map": {"labels": {"": "x"}}}, "the name must be text, not ''"),
        ({"map": {"draw": "some"}}, "must be true or false, not 'some'"),
        ({"map": {"title": "{sample}"}}, "no placeholder `{sample}`; `{title}` stands"),
        ({"map": {"title": "a {title"}}, "no placeholder `{title`; `{title}` stands"),
        ({"pixel": {"limits": {}}}, "unknown key (available: draw, format, size"),
        ({"spectrum": {"cmap": "magma"}}, "unknown key (available: draw, format, size"),
    ],
)
def test_mistakes_name_what_exists(plots, message):
    with pytest.raises(ConfigError) as error:
        validate(Config, from_values({"plots": plots}, "config.yaml"))
    (line,) = str(error.value).splitlines()
    assert line.startswith("config.yaml: plots.")
    assert message in line


def test_single_values_and_empty_kinds_are_allowed():
    plots = PlotsConfig.model_validate(
        {"map": {"format": "pdf", "limits": {"emission": [760, 800]}}, "xas": None}
    )
    assert plots.map.format == ("pdf",)
    assert plots.map.limits.emission == ((760.0, 800.0),)
    several = {"limits": {"emission": [[760, 800], [515, 535]], "loss": [-2, 10]}}
    plots = PlotsConfig.model_validate({"map": several})
    assert plots.map.limits.emission == ((760.0, 800.0), (515.0, 535.0))


def test_multi_panel_figures_have_the_same_keys():
    figure = {"kind": "xas", "samples": ["a"], "edges": ["Co_L"], "format": "svg"}
    assert MultiPanelFigure.model_validate(figure).format == ("svg",)
    assert_invalid(MultiPanelFigure, figure | {"cmap": "zzz"}, "no colour map 'zzz'")


def test_the_resolved_config_has_what_is_set_and_loads_back(tmp_path):
    config = Config.model_validate(
        {
            "plots": {"defaults": {"format": ["png", "pdf"]}, "map": {"title": ""}},
            "figures": {"f": {"kind": "xas", "samples": ["a"], "edges": ["Co_L"]}},
        }
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert "cmap" not in path.read_text()


@pytest.mark.parametrize("title", ["", "{title}, {title}", "CoO {100}", "a {} b"])
def test_braces_that_are_no_placeholder_stay(title):
    assert PlotsConfig.model_validate({"map": {"title": title}}).map.title == title
