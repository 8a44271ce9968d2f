"""Texts from everywhere are written in one way, and what is right already is left alone."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.corpora.normalisation import ODD, normalise


@pytest.mark.parametrize(
    ("scraped", "normal"),
    [
        ("ＡＢＣ１２３ｘｙｚ", "ABC123xyz"),
        ("（北京），你好！？：；", "（北京），你好！？：；"),
        ("《红楼梦》 “甲” ～ ％", "《红楼梦》 “甲” ～ ％"),
        ("cafe\u0301 \uf900", "café 豈"),
        ("北\u200b京\ufeff\u00ad是\x07首\x7f都\ue000", "北京是首都"),
        ("半\ud800个", "半个"),
        ("北京\u00a0是\u3000首 都", "北京是首都"),
        ("GDP \u2003 增长\t5 %", "GDP 增长 5 %"),
        ("你好， 世界 。", "你好，世界。"),
        ("第一段\r\n\r\n\u3000\u3000第二段 \n \n 第三段\u2028第四段\n", "第一段\n第二段\n第三段\n第四段"),
        ("𠮷 野家", "𠮷野家"),
        (" \n\u3000\u200b", ""),
    ],
)
def test_a_text_in_the_one_way_of_writing(scraped, normal):
    assert normalise(scraped) == normal


ODDITIES = "中文。，Ａ３e\u0301\u3099 \u00a0\u3000\t\n\r\u2028\u200b\x00\ue000\ud800\uf900\u212b\U000e0100𠮷1a"


@given(st.one_of(st.text(), st.text(st.sampled_from(ODDITIES)), st.text(st.characters(codec=None))))
def test_normalising_twice_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode()  # no half of a surrogate pair is left: the text can be written


@given(st.text(st.sampled_from("北京是首都。（1949年），OK\n")))
def test_nothing_visible_is_lost(text):
    assert normalise(text).split() == text.split()


def test_it_is_faster_than_the_obvious_way():
    text = "北京是中华人民共和国的首都，位于华北平原北部，面积16410平方千米。\n" * 20_000
    table = {code: "" for code in range(0x11_0000) if ODD.match(chr(code))}

    def seconds(function) -> float:
        times = []
        for _ in range(3):
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
        return min(times)

    assert seconds(lambda: text.translate(table)) > 1.5 * seconds(lambda: normalise(text))
