"""Sphinx configuration: `make docs`."""

from rixs_pipeline import __version__

project = "rixs_pipeline"
author = "the rixs_pipeline developers"
copyright = "2026, the rixs_pipeline developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "sphinx_book_theme"
html_title = f"rixs_pipeline {__version__}"
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2}
