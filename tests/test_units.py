"""Measures stand in both units, as the template writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.wiki_cleaning.units import CALLED, QUOTIENTS, RANGES, _targets, convert, grouped, unit


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("8848.86|m|ft", "8,848.86米（29,031.7英尺）"),
        ("30|m|ft", "30米（98英尺）"),
        ("100|km", "100公里（62英里）"),
        ("16410.54|km2|sqmi", "16,410.54平方公里（6,336.14平方英里）"),
        ("12|hp|kW|1", "12马力（8.9千瓦）"),
        ("30|nmi", "30海里（56公里；35英里）"),
        ("5|furlong|m", "5浪（1,000米）"),
        ("10|fathom", "10英寻（60英尺；18米）"),
        ("4.2|ly|km", "4.2光年（4.0×10¹³公里）"),
        ("1|AU|km", "1天文单位（150,000,000公里）"),
        ("3|kpc|kly", "3千秒差距（9.8千光年）"),
        ("500|nm|in", "500纳米（2.0×10⁻⁵英寸）"),
        ("15|亩|m2", "15亩（10,000平方米）"),
        # temperatures: three figures in kelvin; a difference has no zero
        ("20|C|F", "20℃（68℉）"),
        ("-40|C", "−40℃（−40℉）"),
        ("5|±|1|C", "5±1℃（41±2℉）"),
        ("10|C-change", "10℃（18℉）"),
        # pressure, force, energy, power, torque
        ("2|atm", "2大气压（200千帕）"),
        ("760|mmHg", "760毫米汞柱（101千帕）"),
        ("32|psi", "32磅力每平方英寸（220千帕）"),
        ("1013|hPa|inHg", "1,013百帕（29.9英寸汞柱）"),
        ("1522000|lbf|kN", "1,522,000磅力（6,770千牛顿）"),
        ("250|kcal", "250千卡（1,000千焦耳）"),
        ("1.5|GW|hp", "1.5吉瓦（2,000,000马力）"),
        ("100|PS", "100公制马力（74千瓦；99马力）"),
        ("400|N.m|lb.ft", "400牛顿米（300磅力英尺）"),
        # quotients, consumption
        ("70.86|mi:h|km:h|2", "70.86英里每小时（114.04千米每小时）"),
        ("3|m3/s", "3立方米每秒（110立方英尺每秒）"),
        ("3|g/cm3", "3克每立方厘米（0.11磅每立方英寸）"),
        ("100|PD/km2", "100人每平方公里（260人每平方英里）"),
        ("50|/km2|/sqmi", "50每平方公里（130每平方英里）"),
        ("17|km/s|mi/s", "17公里每秒（11英里每秒）"),
        ("8|L/100km|mpgUS", "8升每百公里（29英里每美制加仑）"),
        ("9.8|m/s2", "9.8米每二次方秒（32英尺每二次方秒）"),
        ("10|$/km|$/mi|$=€", "€10每公里（€16每英里）"),
        # volumes and masses
        ("8|USfloz|ml", "8美制液盎司（240毫升）"),
        ("1|oilbbl|L", "1桶（160升）"),
        ("1.2|e6USgal|e6L", "1.2百万美制加仑（4.5百万升）"),
        ("100|t", "100吨（98长吨；110短吨）"),
        ("100|斤|kg", "100斤（50公斤）"),
        # numbers
        ("3|to|5|km", "3至5公里（1.9至3.1英里）"),
        ("10-20|km", "10–20公里（6.2–12.4英里）"),
        ("10|x|20|m|ft", "10×20米（33×66英尺）"),
        ("5|ft|11|in|cm", "5英尺11英寸（180厘米）"),
        ("12|st|5|lb|kg", "12英石5磅（78公斤）"),
        ("180|cm|ftin", "180厘米（5英尺11英寸）"),
        ("1+1/2|in|mm", "1+1/2英寸（38毫米）"),
        ("1.2e6|km2", "1.2×10⁶平方公里（460,000平方英里）"),
        ("10|km|mi nmi", "10公里（6.2英里；5.4海里）"),
        ("数百|km", "数百公里"),
        ("7", "7"),
        # options
        ("10|km|mi|abbr=on", "10 km（6.2 mi）"),
        ("0.5|cm|in|abbr=in", "0.5 cm（0.20英寸）"),
        ("3|m3/s|abbr=on", "3 m³/s（110 cu ft/s）"),
        ("10|m|ft|disp=or", "10米或33英尺"),
        ("10|m|ft|disp=sqbr", "10米[33英尺]"),
        ("0.0485|AU|km|disp=output only|sigfig=3", "7,260,000公里"),
        ("100|kg|lb|disp=number", "220"),
        ("10|m|ft|order=flip", "33英尺（10米）"),
        ("10|m|ft|sigfig=4", "10米（32.81英尺）"),
        ("1234|m|ft|round=50", "1,234米（4,050英尺）"),
        ("10|ft|m|长|adj=mid", "10英尺长（3.0米）"),
        ("2|m|ft|abbr=values", "2（6.6）"),
        # what is no unit
        ("5|smoot|m", "5 smoot"),
        ("10|个", "10个"),
        ("10|km|smoot", "10公里"),
    ],
)
def test_a_measure_stands_in_both_units_as_the_template_rounds_them(call, shown):
    arguments = call.split("|")
    named = dict(argument.split("=") for argument in arguments if "=" in argument)
    assert convert([argument for argument in arguments if "=" not in argument], named) == shown


def test_every_default_target_measures_the_same_as_its_unit():
    for code in (*CALLED, *QUOTIENTS):
        for target in _targets(unit(code)["to"]):
            assert {part["kind"] for part in target} == {unit(code)["kind"]}, code
        assert _targets(unit(code)["to"]) or not unit(code).get("to"), code


def test_numbers_are_grouped_and_other_text_is_not():
    assert [grouped(number) for number in ("1234567.5", "999", "-12000", "1e5")] == [
        "1,234,567.5",
        "999",
        "−12,000",
        "1e5",
    ]


ODD = ("", "5", "1e99", "9" * 400, "1/0", "٣", "²", "-0", "3-5", "{0}", "/" * 60, "e3" * 30, "ftin", "km", "K", *RANGES)
OPTIONS = ("abbr", "disp", "round", "sigfig", "order", "adj", "$")


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*ODD, *list(CALLED)[::7]]), max_size=7),
    st.dictionaries(st.sampled_from(OPTIONS), st.sampled_from(("on", "x", "0", "²", "{}", "flip", "preunit", "5"))),
)
def test_no_call_stops_the_cleaning(args, named):
    assert isinstance(convert(args, named), str)
