"""Tables of plain text for a terminal."""

from collections.abc import Sequence

LONGEST_CELL = 30  # characters; longer names lose their middle
SEPARATOR = "  "


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: texts to the left, numbers to the right.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Their cells; an empty one is a number that is not known.

    Returns
    -------
    list of str
        The header and the rows, without blanks at their ends; none without rows.
    """
    if not rows:
        return []
    columns = []
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        align = str.rjust if all(map(_is_number, cells)) else str.ljust
        texts = [shorten(cell) for cell in (name, *cells)]
        width = max(map(len, texts))
        columns.append([align(text, width) for text in texts])
    lines = zip(*columns, strict=True)
    return [SEPARATOR.join(line).rstrip() for line in lines]


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def shorten(text: str, longest: int = LONGEST_CELL) -> str:
    """Return a text without its middle if it is too long.

    Parameters
    ----------
    text
        Such as the name of a sample and edge, whose end matters.
    longest
        Number of characters.

    Returns
    -------
    str
    """
    if len(text) <= longest:
        return text
    n_end = longest // 2
    return f"{text[: longest - n_end - 1]}…{text[-n_end:]}"
