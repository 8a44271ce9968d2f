"""The pictures of the road show what they were given."""

import matplotlib
import pytest
from matplotlib.colors import to_hex

matplotlib.use("agg")

from course_utils import plots  # noqa: E402

pytestmark = pytest.mark.usefixtures("course_style")


def test_the_road_is_a_box_a_stage_and_says_what_the_next_one_reads():
    stages = [{"number": "01", "name": "clean", "before": "[[虾]]", "after": "虾", "makes": "clean text"},
              {"number": "03", "name": "by hand", "before": "ids", "after": "logits", "makes": ""}]  # fmt: skip
    ax = plots.road.draw_road(stages).axes[0]
    words = [text.get_text() for text in ax.texts if text.get_text()]
    assert words == ["01  clean", "[[虾]]", "→ 虾", "clean text", "03  by hand", "ids", "→ logits"]
    edges = [to_hex(box.get_edgecolor()).upper() for box in ax.patches[:2]]
    assert edges == [plots.COLOURS["common"], plots.COLOURS["plain"]]


def test_minutes_are_drawn_as_given():
    ax = plots.road.draw_minutes({"estimated": {"01": 5, "05": 120}, "measured": {"01": 0, "05": 90}}).axes[0]
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([5 / 60, 2, 0, 1.5])
    assert [text.get_text() for text in ax.texts] == ["5 s", "2.0", "", "1.5"]
