from rixs_pipeline.config import MapOptions, PlotsConfig
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.plots.spectrum_data import Limits
from rixs_pipeline.stages.figures.options import options_by_kind


def options(kind, **plots):
    """Return the options of a kind of figures."""
    return options_by_kind(PlotsConfig.model_validate(plots), kind)[kind]


def test_without_config_there_are_none():
    for kind in PlotsConfig.model_fields.keys() - {"defaults"}:
        for looks in options_by_kind(PlotsConfig(), kind).values():
            assert looks == FigureOptions()


def test_a_kind_wins_over_the_defaults_and_labels_and_limits_are_merged():
    looks = options(
        "map",
        defaults={
            "format": ["pdf", "png", "pdf"],
            "dpi": 300,
            "labels": {"a": "b", "c": "d"},
            "limits": {"emission": [500, 600], "loss": [0, 5]},
        },
        map={"dpi": 600, "labels": {"a": "x"}, "limits": {"emission": [510, 540]}},
    )
    assert looks.formats == ("pdf", "png") and looks.dpi == 600
    assert looks.labels == {"a": "x", "c": "d"}
    assert looks.limits == {
        "emission_energy": (Limits(510.0, 540.0),),
        "energy_loss": (Limits(0.0, 5.0),),
    }


def test_kinds_are_switched_off_one_by_one_or_all_but_some():
    assert not options("pixel", pixel={"draw": False}).draw
    assert options("map", pixel={"draw": False}).draw
    plots = {"defaults": {"draw": False}, "map": {"draw": True}}
    assert options("map", **plots).draw and not options("xas", **plots).draw


def test_options_know_their_section_of_the_config():
    assert options("map").section == "plots.map"


def test_columns_of_a_journal_are_widths():
    looks = options("xas", xas={"size": "one_column"})
    assert (looks.width, looks.height) == (3.375, None)
    looks = options("xas", xas={"size": [3, 2]})
    assert (looks.width, looks.height) == (3.0, 2.0)


def test_kinds_without_colours_take_the_other_defaults():
    looks = options("pixel", defaults={"cmap": "magma", "title": ""})
    assert looks.title == ""
    assert MapOptions().cmap is None
