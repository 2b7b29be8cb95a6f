"""Labels of the config whose text is in none of the figures."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rixs_pipeline.config import Config
from rixs_pipeline.plots.options import contains_label


@dataclass(frozen=True)
class MissingLabel:
    """A label that replaces nothing.

    `section`: of the config, such as `plots.map`; `texts`: of its figures.
    """

    section: str
    label: str
    texts: Collection[str]


def missing_labels(
    config: Config, texts: Mapping[str, Collection[str]]
) -> Iterator[MissingLabel]:
    """Yield the labels whose text is in none of the figures that they apply to.

    Parameters
    ----------
    config : Config
        Resolved.
    texts : mapping of str to collection of str
        Section of the config -> texts of its figures, as they are without labels.
        Labels of sections that are not in it are not missing: no figure is drawn.

    Yields
    ------
    MissingLabel
    """
    every = {text for of_section in texts.values() for text in of_section}
    sections = {f"plots.{kind}": options for kind, options in config.plots if options}
    sections |= {f"figures.{name}": figure for name, figure in config.figures.items()}
    for section, options in sections.items():
        shown = every if section == "plots.defaults" else texts.get(section, ())
        for label in options.labels if shown else ():
            if not any(contains_label(text, label) for text in shown):
                yield MissingLabel(section, label, shown)
