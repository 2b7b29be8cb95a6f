"""One HTML page with data, style and scripts; it loads nothing from elsewhere."""

import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent
SCRIPTS = ("numbers.js", "blocks.js", "charts.js", "map_view.js", "report.js")
CURRENT, OUTDATED = b'data-state="current "', b'data-state="outdated"'
HEAD_BYTES = 200  # of the page, in which its state stands


def page(title: str, content: Mapping[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Of the page; any text.
    content
        JSON values, as `report.js` shows them.

    Returns
    -------
    str
        HTML.
    """
    template = Template((FOLDER / "page.html").read_text(encoding="utf-8"))
    style = (FOLDER / "report.css").read_text(encoding="utf-8")
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    data = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # text of the data must not end the element that holds it
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return template.substitute(
        title=html.escape(title), style=style, script=script, data=data
    )


def is_current(path: Path) -> bool:
    """Whether a page is there and was not marked as outdated."""
    if not (path.is_file() and os.access(path, os.R_OK)):
        return False
    with path.open("rb") as file:
        return CURRENT in file.read(HEAD_BYTES)


def mark_outdated(path: Path) -> None:
    """Let a page say that products have changed since it was written.

    Parameters
    ----------
    path
        The page; it need not exist.

    Raises
    ------
    OSError
        It cannot be written to.
    """
    if not path.is_file():
        return
    with path.open("r+b") as file:
        place = file.read(HEAD_BYTES).find(CURRENT)
        if place >= 0:
            file.seek(place)
            file.write(OUTDATED)
