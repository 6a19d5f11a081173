"""The page, parsed again by the standard library, contains what was put in, and nothing else."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.image import imread

from jnas import plots, report
from jnas.report import Section

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that tags are balanced; collects tags, attributes and the text of each element."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.cells: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.kind = ""
        self.feed(self.source)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.kind = dict(attrs).get("class") or ""
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.cells.append((tag, self.kind, self.texts[tag][-1]))

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


def figure(num: int = 3):
    return plots.best_so_far(np.arange(float(num)))


def page(path: Path, *sections: Section, title: str = "A report") -> Page:
    report.write(path, title, sections)
    return Page(path)


def test_a_page_has_its_parts_in_order(tmp_path: Path) -> None:
    first = Section(
        "One",
        "First paragraph,\nsecond line.\n\n\nNext paragraph.",
        [["a"], [1]],
        [("Fig", figure())],
    )
    result = page(tmp_path / "a.html", first, Section("Two"))
    assert result.texts["h1"] == result.texts["title"] == ["A report"]
    assert result.texts["h2"] == ["One", "Two"]
    assert result.texts["p"] == ["First paragraph,\nsecond line.", "Next paragraph."]
    assert result.texts["figcaption"] == ["Fig"]
    body = result.tags[result.tags.index("body") + 1 :]
    one = [
        "section",
        "h2",
        "p",
        "p",
        "div",
        "table",
        "tr",
        "th",
        "tr",
        "td",
        "figure",
        "img",
        "figcaption",
    ]
    assert body == ["h1", *one, "section", "h2"]


def test_every_figure_is_there_once_and_whole(tmp_path: Path) -> None:
    # Drawing a figure again may move it by a pixel, so expected bytes come from new figures.
    figures, copies = (
        [figure(3), figure(30), plots.accuracy_histogram(np.arange(9), 3.0)] for _ in range(2)
    )
    sections = [
        Section("a", figures=[("x", figures[0]), ("y", figures[1])]),
        Section("b", figures=[("z", figures[2])]),
    ]
    result = page(tmp_path / "a.html", *sections)
    assert result.source.count("data:image/png;base64,") == 3
    assert (
        [image["alt"] for image in result.images] == result.texts["figcaption"] == ["x", "y", "z"]
    )
    for image, drawn in zip(result.images, copies, strict=True):
        data = base64.b64decode(
            (image["src"] or "").removeprefix("data:image/png;base64,"), validate=True
        )
        assert data == plots.figure_png(drawn)
        assert int(image["width"] or 0) == round(100 * drawn.get_figwidth())
        assert imread(io.BytesIO(data)).shape[1] == pytest.approx(150 * drawn.get_figwidth(), abs=1)


def test_nothing_is_read_as_html(tmp_path: Path) -> None:
    evil = "<script>alert('1')</script>&amp;\"><img src=x onerror=y>"
    section = Section(evil, evil, [[evil], [evil]], [(evil, figure())])
    result = page(tmp_path / "a.html", section, title=evil)
    assert "script" not in result.tags
    assert len(result.images) == 1
    assert set(result.images[0]) == {"src", "width", "alt"}
    for tag in ("title", "h1", "h2", "p", "th", "td", "figcaption"):
        assert result.texts[tag] == [evil]
    assert result.images[0]["alt"] == evil


def test_a_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    source = page(
        tmp_path / "a.html", Section("s", "text", [["h"], ["c"]], [("f", figure())])
    ).source
    without_data = re.sub(r"data:image/png;base64,[\w+/=]+", "", source)
    for word in ("http", "//", "<script", "<link", "@import", "url(", "src=x"):
        assert word not in without_data
    assert '<meta charset="utf-8">' in source
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in source
    assert "prefers-color-scheme: dark" in source
    assert "background: #fff" in source, "figures stay on white"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (15625, "15,625"),
        (np.int32(-7000), "-7,000"),
        (93.4000015, "93.4"),
        (np.float32(0.1), "0.1"),
        (1 / 3, "0.333333"),
        (1e-9, "1e-09"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
        (jnp.float32(2.5), "2.5"),
        (np.array(3), "3"),
        ("1.50", "1.50"),
        ("93.1 ± 0.2", "93.1 ± 0.2"),
        ("−0.5 %", "−0.5 %"),
        ("1,234.5", "1,234.5"),
        ("–", "–"),
    ],
)
def test_numbers_are_aligned_to_the_right(tmp_path: Path, value: object, text: str) -> None:
    result = page(tmp_path / "a.html", Section("s", rows=[["name", "value"], ["x", value]]))
    expected = [
        ("th", "", "name"),
        ("th", "number", "value"),
        ("td", "", "x"),
        ("td", "number", text),
    ]
    assert result.cells == expected
    assert re.search(r"\.number \{[^}]*text-align: right", result.source)


@pytest.mark.parametrize(
    "value", ["conv 3x3", True, "1:2", "8:16:24", "2.5.2026 x", "1 of 2", None, "", "3e", (1, 2)]
)
def test_texts_are_aligned_to_the_left(tmp_path: Path, value: object) -> None:
    result = page(tmp_path / "a.html", Section("s", rows=[["value"], [value]]))
    assert result.cells == [("th", "", "value"), ("td", "", "" if value is None else str(value))]


def test_a_column_is_aligned_as_a_whole(tmp_path: Path) -> None:
    rows = [["all", "some", "none yet"], [1, 1, None], [None, "x", None], [2.5, 3, None]]
    kinds = [kind for _, kind, _ in page(tmp_path / "a.html", Section("s", rows=rows)).cells]
    assert kinds == ["number", "", ""] * 4


def test_a_header_alone_and_no_sections_are_pages(tmp_path: Path) -> None:
    assert page(tmp_path / "a.html", Section("s", rows=[["h", "i"]])).cells == [
        ("th", "", "h"),
        ("th", "", "i"),
    ]
    assert page(tmp_path / "b.html").texts["h1"] == ["A report"]


def test_a_ragged_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"row 2 of section 'costs' needs 2 cells like the header, got 1"
    ):
        report.write(tmp_path / "a.html", "t", [Section("costs", rows=[["a", "b"], [1, 2], [3]])])
    assert not list(tmp_path.iterdir())


def test_a_page_is_replaced_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.html"
    assert "<h2>old</h2>" in page(path, Section("old")).source
    assert "<h2>old</h2>" not in page(path, Section("τ-b, 93 ± 1")).source
    assert "τ-b, 93 ± 1" in path.read_text(encoding="utf-8")
    assert {file.name for file in path.parent.iterdir()} == {".jnas.json", "a.html"}


def test_a_folder_in_the_way_and_another_suffix_are_errors(tmp_path: Path) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(OSError, match="taken"):
        report.write(str(tmp_path / "taken.html"), "t", [])
    with pytest.raises(ValueError, match=r"\.html file, got"):
        report.write(tmp_path / "a.md", "t", [])
    assert [file.name for file in tmp_path.iterdir()] == ["taken.html"]


def test_a_figure_may_be_drawn_before(tmp_path) -> None:
    figure = plots.best_so_far([1.0, 2.0])
    png = plots.figure_png(figure)
    for name, drawn in (("a.html", figure), ("b.html", png)):
        report.write(tmp_path / name, "same", [Section("a", figures=[("x", drawn)])])
    page = (tmp_path / "b.html").read_bytes()
    assert page == (tmp_path / "a.html").read_bytes()
    assert b'width="640"' in page
