"""Pictures: well-formed, nothing outside of the frame, names once in the legend, text escaped."""

import re
from xml.etree import ElementTree

import pytest

from appliance.evaluation.chart import Axis, Chart

X, Y = Axis("seconds", 0.0, 10.0, (0.0, 5.0, 10.0)), Axis("share", 0.0, 1.0, (0.0, 0.5, 1.0), "{:.0%}".format)


def drawn() -> str:
    chart = Chart("a < b & c", X, Y)
    chart.band([(0.0, 0.2, 0.4), (10.0, 0.6, 2.0)], "#1f4fd0", "bounds")
    chart.line([(0.0, 0.3), (10.0, 0.8)], "#1f4fd0", "bounds")
    chart.line([(0.0, 0.3), (99.0, -4.0)], "#888888", "beyond the frame", dashed=True)
    chart.dot(5.0, 0.5, 0.4, 0.6, "#c0392b", "<dot>", hollow=True)
    chart.bar(2.0, 1.0, 0.0, 0.7, "#2e8b57")
    chart.upright(9.0, "launch & race", left=True)
    chart.text(1.0, 0.9, "here")
    return chart.svg()


def test_it_is_xml_and_says_what_was_given() -> None:
    root = ElementTree.fromstring(drawn())
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b & c", "<dot>", "launch & race", "here", "50%", "seconds"} <= set(texts)
    assert texts.count("bounds") == 1
    assert "dot" in drawn() and "<dot>" not in drawn()


def test_nothing_lies_outside_of_the_frame() -> None:
    numbers = [
        float(number) for path in re.findall(r' d="([^"]+)"', drawn()) for number in re.findall(r"-?[\d.]+", path)
    ]
    assert min(numbers) >= 0.0
    assert max(numbers) <= 640.0


def test_a_bent_axis_is_finer_where_it_is_bent() -> None:
    axis = Axis("x", 0.0, 100.0, (), at=lambda value: value * value)
    assert axis.place(50.0) == pytest.approx(0.25)
    assert (axis.place(-5.0), axis.place(500.0)) == (0.0, 1.0)


def test_the_same_data_draw_the_same_bytes() -> None:
    assert drawn() == drawn()
