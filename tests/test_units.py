"""Measures stand in both units, as the template writes them."""

import pytest

from course_utils.wiki_cleaning.units import convert


@pytest.mark.parametrize(
    ("args", "named", "shown"),
    [
        ("8848.86 m ft", {}, "8,848.86米（29,031.7英尺）"),
        ("30 m ft", {}, "30米（98英尺）"),
        ("100 km", {}, "100公里（62英里）"),
        ("10 km mi", {"abbr": "on"}, "10 km（6.2 mi）"),
        ("3 to 5 km", {}, "3至5公里（1.9至3.1英里）"),
        ("20 C F", {}, "20℃（68℉）"),
        ("16410.54 km2 sqmi", {}, "16,410.54平方公里（6,336.14平方英里）"),
        ("12 hp kW 1", {}, "12马力（8.9千瓦）"),
        ("5 furlong m", {}, "5furlong"),
        ("数百 km", {}, "数百公里"),
        ("7", {}, "7"),
    ],
)
def test_a_measure_stands_in_both_units_as_the_template_rounds_them(args, named, shown):
    assert convert(args.split(), named) == shown
