"""Reports: self-contained HTML pages of texts, tables and figures.

A page needs no network, no script and no other file, so that it can be mailed or archived as it is.
It reads on a phone as on a desktop, and follows the reader's light or dark theme. Nothing that is
given here is read as HTML.
"""

import base64
import html
import numbers
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from jnas import plots
from jnas.engine.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --grey: #666; --line: #ddd; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --grey: #aaa; --line: #444; --page: #181818; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p { white-space: pre-line; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
th { color: var(--grey); }
.number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: #fff; }
figcaption { color: var(--grey); font-size: .9rem; }
"""

# Cells of a column of numbers: 1,234  −0.5  1e-3  93.1 ± 0.2  1.5 %, and – for a missing one.
_NUMBER = re.compile(
    r"([-+−]?(\d[\d,]*\.?\d*(e[-+]?\d+)?|inf|∞)|nan|[-–—])?(\s*±\s*[\d.]+)?\s*%?", re.IGNORECASE
)


class Section(NamedTuple):
    """Section of a page: its texts come first, then its table, then its figures.

    Attributes:
        title: heading.
        text: paragraphs, separated by empty lines; line breaks are kept.
        rows: rows of a table, the first of them its header. Columns of numbers are aligned to the
            right, floats are given six significant digits and integers thousands separators; None
            is an empty cell.
        figures: captions, and figures or PNG files as `plots.figure_png` makes them.
    """

    title: str
    text: str = ""
    rows: Sequence[Sequence[object]] = ()
    figures: Sequence[tuple[str, "Figure | bytes"]] = ()


def write(path: str | os.PathLike[str], title: str, sections: Sequence[Section]) -> None:
    """HTML page of sections, written whole or not at all; missing folders are made.

    Args:
        path: the `.html` file; one that jnas has written is replaced.
        title: heading of the page, and its name in the browser.
        sections: the parts, in order.

    Raises:
        ValueError: the suffix is not `.html`, or a row of a table has another length than its
            header; the message names the section and the row.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    # A wrong name is refused before any figure is rendered.
    if not os.fspath(path).lower().endswith((".html", ".htm")):
        raise ValueError(f"a report is an .html file, got {os.fspath(path)!r}")
    # Made before the file is opened: a ragged table leaves no trace.
    body = "\n".join(_section(section) for section in sections)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
{body}
</body>
</html>
"""
    with replacing(path, "report") as file:
        file.write(page.encode())


def _section(section: Section) -> str:
    """HTML of a section."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", section.text)]
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs if paragraph]
    parts += [_table(section)] if section.rows else []
    parts += [_figure(caption, figure) for caption, figure in section.figures]
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _table(section: Section) -> str:
    """HTML of the table of a section; ValueError names a row of another length than the header."""
    for i, row in enumerate(section.rows):
        if len(row) != len(section.rows[0]):
            expected = f"{len(section.rows[0])} cells like the header"
            raise ValueError(
                f"row {i} of section {section.title!r} needs {expected}, got {len(row)}"
            )
    header, *rows = [[_text(value) for value in row] for row in section.rows]
    # A column is aligned as a whole, and its header with it.
    kinds = [_kind([row[column] for row in rows]) for column in range(len(header))]
    lines = [_row("th", header, kinds), *(_row("td", row, kinds) for row in rows)]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    """HTML of a row, whose cells have the attributes `kinds`."""
    pairs = zip(cells, kinds, strict=True)
    return (
        "<tr>"
        + "".join(f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for cell, kind in pairs)
        + "</tr>"
    )


def _kind(cells: Sequence[str]) -> str:
    """Attribute of the cells of a column: that of numbers, or none."""
    numeric = any(cells) and all(_NUMBER.fullmatch(cell) for cell in cells)
    return ' class="number"' if numeric else ""


def _text(value: object) -> str:
    """Text of a cell; arrays without axes count as their number."""
    # Arrays are no `numbers.Real` to Python, not even those without axes.
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    # Booleans are integers to Python, and would read 1 and 0.
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value)
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    return f"{float(value):.6g}" if isinstance(value, numbers.Real) else str(value)


def _figure(caption: str, figure: "Figure | bytes") -> str:
    """HTML of a figure at 100 pixels an inch, drawn finer for dense screens."""
    png = figure if isinstance(figure, bytes) else plots.figure_png(figure)
    # The header of a PNG file has its width, and `figure_png` draws 150 dots an inch.
    width, text = round(int.from_bytes(png[16:20]) / 1.5), html.escape(caption)
    # A data URL is what makes the page whole without other files.
    data = base64.b64encode(png).decode()
    image = f'<img src="data:image/png;base64,{data}" width="{width}" alt="{text}">'
    return f"<figure>\n{image}\n<figcaption>{text}</figcaption>\n</figure>"
