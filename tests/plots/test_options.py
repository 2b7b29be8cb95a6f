import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.plots import maps, options, spectra, style
from rixs_pipeline.plots.options import FigureOptions, using_options
from rixs_pipeline.plots.spectrum_data import Limits


def texts(figure):
    """Return title, axis labels and legend of a figure."""
    axes = figure.axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    return [figure.get_suptitle(), axes.get_xlabel(), *legend]


def plot(**changes):
    """Return a figure with two curves, drawn with options."""
    with using_options(FigureOptions(**changes)):
        figure = style.new_figure(10, 5, "LMR_RT and LMR_RT_2")
        axes = figure.add_subplot(style.add_grid(figure)[0])
        axes.plot([1, 2], label="LMR_RT", lw=2)
        axes.plot([2, 1], label="LMR_RT_2")
        axes.legend()
        style.label_axes(axes, "incident energy (eV)", "$5")
        options.finish(figure)
    return figure


def test_a_figure_without_options_stays_as_it_is():
    figure = plot()
    assert figure.get_size_inches().tolist() == [10, 5]
    assert texts(figure)[0] == "LMR_RT and LMR_RT_2"
    assert figure.axes[0].xaxis.label.get_size() == style.TEXT_SIZE


def test_texts_are_replaced_but_not_within_longer_names():
    labels = {"LMR_RT": "25 °C", "incident energy (eV)": "hν", "energy": "x"}
    assert texts(plot(labels=labels)) == [
        "25 °C and LMR_RT_2",
        "hν",
        "25 °C",
        "LMR_RT_2",
    ]


def test_names_are_exchanged():
    labels = {"LMR_RT": "LMR_RT_2", "LMR_RT_2": "LMR_RT"}
    assert texts(plot(labels=labels))[0] == "LMR_RT_2 and LMR_RT"


def test_a_label_is_no_formula():
    assert texts(plot(labels={"LMR_RT": "$x_$"}))[0] == r"\$x_\$ and LMR_RT_2"


@pytest.mark.parametrize(
    ("title", "shown"),
    [("", ""), ("Fig. 1", "Fig. 1"), ("S1: {title}", "S1: LMR_RT and LMR_RT_2")],
)
def test_titles(title, shown):
    assert plot(title=title).get_suptitle() == shown


def test_without_title_the_panel_is_higher():
    assert plot(title="").axes[0].get_position().y1 > plot().axes[0].get_position().y1


@pytest.mark.parametrize(
    ("changes", "size", "text_size"),
    [
        ({"width": 7.0}, [7, 3.5], 7.0),
        ({"width": 7.0, "height": 6.0}, [7, 6], 7.0),
        ({"width": 3.375}, [3.375, 1.6875], 6.0),  # journals want 6 points
        ({"width": 12.0}, [12, 6], 10.0),
        ({"font_size": 14.0}, [10, 5], 14.0),
    ],
)
def test_texts_and_lines_follow_the_size(changes, size, text_size):
    figure = plot(**changes)
    axes = figure.axes[0]
    assert figure.get_size_inches().tolist() == pytest.approx(size)
    assert axes.xaxis.label.get_size() == pytest.approx(text_size)
    assert axes.lines[0].get_linewidth() == pytest.approx(2 * text_size / 10)
    tick = axes.xaxis.get_major_ticks()[0]
    assert tick.label1.get_size() == pytest.approx(0.9 * text_size)


def test_a_figure_that_is_too_small_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"1 x 1 inches have no room .* `size`"):
        plot(width=1.0, height=1.0, font_size=12.0)


def test_options_end_with_the_context():
    with pytest.raises(ZeroDivisionError), using_options(FigureOptions(dpi=30)):
        raise ZeroDivisionError
    assert options.current_options().dpi is None


def test_of_several_ranges_that_near_the_edge_applies():
    limits = {"emission_energy": (Limits(515, 535), Limits(760, 800))}
    of_axis = FigureOptions(limits=limits).range_of
    near_edge, with_counts = Limits(720, 815), Limits(200, 815)
    assert of_axis("emission_energy", near_edge, with_counts) == Limits(760, 800)
    assert of_axis("emission_energy", with_counts) == Limits(515, 535)
    assert of_axis("emission_energy", Limits(840, 900)) is None
    assert of_axis("energy_loss", with_counts) is None


def test_limits_and_colours_of_a_map(make_map):
    rixs_map = make_map()
    looks = FigureOptions(
        cmap="magma",
        intensity=Limits(0.5, 3.0),
        limits={
            "emission_energy": (Limits(765, 790),),
            "incident_energy": (Limits(776, 782),),
        },
    )
    with using_options(looks):
        figure = maps.map_figure(rixs_map, "map", {})
    axes, bar = figure.axes
    assert axes.get_ylim() == (765, 790) and axes.get_xlim() == (776, 782)
    mesh = axes.collections[0]
    assert mesh.get_clim() == (0.5, 3.0) and mesh.get_cmap().name == "magma"
    assert bar.get_ylabel()


def test_limits_of_a_spectrum(make_spectrum):
    spectrum = make_spectrum()
    axis = str(spectrum["intensity"].dims[0])
    low, high = (float(spectrum[axis][k]) for k in (2, 8))
    looks = FigureOptions(
        limits={axis: (Limits(low, high),)}, intensity=Limits(-1.0, 9.0)
    )
    with using_options(looks):
        (axes,) = spectra.spectrum_figure(spectrum, "PFY").axes
    assert axes.get_xlim() == (low, high) and axes.get_ylim() == (-1, 9)


@pytest.mark.parametrize("image_format", ["pdf", "svg"])
def test_vector_files_keep_text_and_are_the_same_each_time(image_format):
    content = [style.encode_figure(plot(), image_format) for _ in range(2)]
    assert content[0] == content[1]
    text = b"LMR_RT and LMR_RT_2</text>" if image_format == "svg" else b"/FontFile2"
    assert text in content[0]
