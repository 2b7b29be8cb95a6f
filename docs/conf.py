"""Sphinx configuration: `make docs`."""

import json
import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from rixs_pipeline import __version__

project = "rixs_pipeline"
author = "the rixs_pipeline developers"
copyright = "2026, the rixs_pipeline developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False

html_theme = "sphinx_book_theme"
html_title = f"rixs_pipeline {__version__}"
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2}
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"


def write_formula(
    translator: HTML5Translator, node: nodes.math | nodes.math_block
) -> None:
    """Write a formula as MathML, which browsers show without scripts or a network."""
    is_block = isinstance(node, nodes.math_block)
    mathml = tex2mathml(node.astext(), as_block=is_block)
    translator.body.append(f'<div class="math">{mathml}</div>' if is_block else mathml)
    raise nodes.SkipNode


class NotebookParser(MystParser):  # type: ignore[misc]
    """Show a notebook as a page: its text, its code, and pictures of the outputs."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse the cells; `picture` in a cell's metadata is a file in `images`."""
        parts = []
        for cell in json.loads(inputstring)["cells"]:
            source = "".join(cell["source"])
            is_code = cell["cell_type"] == "code"
            parts.append(f"```python\n{source}\n```" if is_code else source)
            if lines := cell["metadata"].get("printed"):
                parts.append("\n".join(["```text", *lines, "```"]))
            if picture := cell["metadata"].get("picture"):
                parts.append(f"![output of this cell](../images/{picture})")
        super().parse("\n\n".join(parts), document)


def shorten_signature(*event: Any) -> tuple[str, str] | None:
    """Show the keys of a region, which Tab lists one by one, as `**options`."""
    signature, returns = event[-2:]
    if not signature or "Ellipsis" not in signature:
        return None
    without_keys = re.sub(r", (\*, )?\w+=Ellipsis.*\)", ", **options)", signature)
    return re.sub(r"^\((\*, )?\w+=Ellipsis.*\)", "(**options)", without_keys), returns


def setup(app: Sphinx) -> None:
    """Register formulas, notebooks and signatures."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.connect("autodoc-process-signature", shorten_signature)
