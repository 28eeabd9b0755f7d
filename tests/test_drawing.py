"""Pictures that stand still: HTML and SVG that parse, in which all is where it should be, and nothing is markup."""

import base64
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from rxsocket.drawing import Axes, Note, Row, Sheet, as_image, note_html, number, plot_svg, sheet_html
from rxsocket.series import Line

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('1')</script>&\"<img src=x onerror=y>"


class Parsed(HTMLParser):
    """Keeps tags and texts, and fails where tags don't close each other."""

    VOID = ("img",)

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def line(name: str, *ys: float) -> Line:
    made = Line(name, 10_000)
    for x, y in enumerate(ys):
        made.append(1_700_000_000 + x, y)
    return made


def svg_of(axes: Axes, lines: list[Line]) -> ET.Element:
    return ET.fromstring(plot_svg(axes, lines))  # noqa: S314 our own


def texts(svg: ET.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{SVG}text")]


def paths(svg: ET.Element) -> list[str]:
    return [each.attrib["d"] for each in svg.iter(f"{SVG}path") if each.attrib.get("fill") == "none"]


def test_a_sheet_has_all_its_texts():
    sheet = Sheet(
        "wss://x", "good", "Open", [("in", "7")], 0.25, "Stop", ["a", "b"], [Row(["1", "2"], is_changed=True)], ["late"]
    )
    html = Parsed(sheet_html(sheet))
    words = "".join(html.texts)
    for text in ("●", "Open", "wss://x", "in", "7", "25%", "a", "b", "1", "2", "late"):
        assert text in words
    assert html.tags.count("th") == html.tags.count("td") == 2
    assert ("style", "color:#2e9e4f") in html.attributes
    assert "Stop" not in words  # which nobody would hear


def test_nothing_of_a_sheet_or_a_note_is_markup():
    sheet = Sheet(EVIL, "bad", EVIL, [(EVIL, EVIL)], None, EVIL, [EVIL], [Row([EVIL])], [EVIL])
    html = Parsed(sheet_html(sheet) + note_html(Note(EVIL, "bad")))
    assert set(html.tags) <= {"div", "p", "b", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert "".join(html.texts).count(EVIL) == 8
    assert note_html(None) == ""


def test_an_image_has_the_picture_and_the_words_for_it():
    html = Parsed(as_image("<svg>ü</svg>", EVIL))
    attributes = dict(html.attributes)
    assert html.tags == ["img"]
    assert attributes["alt"] == EVIL
    assert base64.b64decode(attributes["src"].partition(",")[2]).decode() == "<svg>ü</svg>"


def test_lines_lie_within_the_axes_in_order():
    svg = svg_of(Axes("t", "EUR"), [line("a", 1.0, 3.0, 2.0), line("b", 2.0, 2.0)])
    assert {"EUR", "a", "b"} <= set(texts(svg))
    first, second = ([tuple(map(float, each.split())) for each in path.strip("M").split("L")] for path in paths(svg))
    assert [x for x, _ in first] == sorted(x for x, _ in first)
    assert first[1][1] < first[2][1] < first[0][1]  # upward is less
    assert second[0][1] == second[1][1] == first[2][1]
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    for x, y in (*first, *second):
        assert 0 < x < width
        assert 0 < y < height


def test_what_is_written_stays_within_the_picture_and_apart():
    lines = [line(f"a line with a long name {place}" * 2, 10.0**6, -(10.0**6)) for place in range(12)]
    svg = svg_of(Axes("t", "EUR"), lines)
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    boxes = []
    for each in svg.iter(f"{SVG}text"):
        x, y, size = float(each.attrib["x"]), float(each.attrib["y"]), 6.5 * len(each.text or "")
        begin = x - {"end": size, "middle": size / 2}.get(each.attrib.get("text-anchor", ""), 0)
        assert begin >= 0
        assert begin + size <= width
        assert 8 <= y <= height
        assert not any(abs(y - other) < 11 and begin < right and left < begin + size for other, left, right in boxes)
        boxes.append((y, begin, begin + size))
    looks = {(each.attrib["stroke"], each.attrib.get("stroke-dasharray")) for each in svg.iter(f"{SVG}path")}
    assert len(looks) >= 12


def test_a_gap_parts_a_line_and_a_point_alone_is_seen():
    svg = svg_of(Axes("t"), [line("a", 1.0, 2.0, math.nan, 3.0, math.nan, 1.0, 1.0)])
    (path,) = paths(svg)
    assert path.count("M") == 3
    assert "h0.1" in path
    assert "nan" not in path


@pytest.mark.parametrize("ys", [(), (math.nan,), (math.inf,)])
def test_without_points_it_says_so(ys):
    assert texts(svg_of(Axes("t"), [line("a", *ys)])) == ["nothing to draw yet"]


@pytest.mark.parametrize("ys", [(5.0,), (0.0, 0.0), (1e-300, 1e-300), (1e300, -1e300), (1e15, 1e15 + 1)])
def test_values_of_any_size_make_a_picture(ys):
    (path,) = paths(svg_of(Axes("t"), [line("a", *ys)]))
    assert re.fullmatch(r"[MLh\d. ]+", path)


def test_many_points_are_no_large_picture():
    assert len(plot_svg(Axes("t"), [line("a", *(math.sin(x) for x in range(10_000)))])) < 50_000


def test_names_are_no_markup_in_svg():
    svg = svg_of(Axes(EVIL, EVIL, "x"), [line(EVIL, 1.0), line("b", 2.0)])
    assert EVIL in texts(svg)
    assert {each.tag for each in svg.iter()} <= {f"{SVG}{tag}" for tag in ("svg", "title", "rect", "path", "text")}


def test_what_stands_below_is_a_number_or_a_time():
    assert "seconds" in texts(svg_of(Axes("t", "", "seconds"), [line("a", 1.0, 2.0)]))
    found = texts(svg_of(Axes("t"), [line("a", *range(30))]))
    assert len([each for each in found if re.fullmatch(r"\d\d:\d\d:\d\d", each)]) == 3
    far = Line("a", 10)
    far.append(1e300, 1.0)
    plot_svg(Axes("t"), [far])


def test_numbers_as_an_axis_has_them():
    values = (0.0, 1200.0, 0.25, 1e7, -1e-5, 999999.5)
    assert [number(each) for each in values] == ["0", "1,200", "0.25", "1e+07", "-1e-05", "999,999.5"]
