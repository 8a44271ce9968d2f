"""What a reader of the rendered page sees survives cleaning; markup does not."""

import json
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils import wiki_cleaning as wiki
from course_utils.wiki_cleaning import RESIDUE, clean_wikitext

from .conftest import REPOSITORY

DUMP = REPOSITORY / "data/wiki/zhwiki-mini-pages-articles.xml.bz2"


@pytest.mark.parametrize(
    ("wikitext", "seen"),
    [
        ("'''鲁迅'''（{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}}）", "鲁迅（1881年9月25日－1936年10月19日）"),
        ("某人（{{bd|1980年||||catIdx=M}}）", "某人（1980年出生）"),
        ("北京（{{lang-en|Beijing}}）是首都。", "北京（英语：Beijing）是首都。"),
        ("学名：{{lang|la|''Panda''}}。", "学名：Panda。"),
        ("用-{zh-hans:计算机;zh-hant:電腦;}-写-{作}-。", "用计算机写作。"),
        ("-{H|zh-cn:网络;zh-tw:網路;}-上网。", "上网。"),
        ("[[北京市|北京]]和[[天津]]。", "北京和天津。"),
        ("{{link-en|本地名|Foreign}}与{{tsl|en|Foreign|译名}}。", "本地名与译名。"),
        ("长{{convert|30|m|ft}}。", "长30米。"),
        ("{{nowrap|另见{{link-en|清单|List}}}}。", "另见清单。"),
        ("句子<ref name=a/>。<ref>{{cite|t={{a}}}}</ref>又<ref name=b>多\n行</ref>。", "句子。又。"),
        ("前\n{| class=x\n|-\n| 表 || {{formatnum:1}}\n|}\n后", "前\n后"),
        ("[[File:a.jpg|thumb|图[[甲|乙]]说明]]\n正文。", "正文。"),
        ("<gallery>\nFile:a.jpg|图\n</gallery>正文。", "正文。"),
        ("体积&nbsp;5&lt;6。", "体积 5<6。"),
        ("無頭模板（{{unknown|x}}）留下整句。", "无头模板留下整句。"),
        (
            "== 历史 ==\n古城。\n== 参考文献 ==\n书。\n=== 注 ===\n注。\n== 地理 ==\n平原。",
            "历史\n古城。\n地理\n平原。",
        ),
        ("[[Category:城市]]__NOTOC__\n[https://example.org 官网]。", "官网。"),
        ("<!-- {{ 没有闭合 -->正文。", "正文。"),
    ],
)
def test_what_a_reader_sees_is_kept(wikitext, seen):
    assert clean_wikitext(wikitext) == seen


@pytest.mark.parametrize("opener", ["{{", "[[", "{|", "-{", "<ref>", "'''", "<!--"])
def test_broken_markup_never_takes_the_rest_of_the_article(opener):
    text = f"第一句。\n{'' if opener == '<!--' else opener}坏\n第二句。"
    assert "第一句。" in clean_wikitext(text) and "第二句。" in clean_wikitext(text)


@given(st.text(alphabet="{}[]|-=<>/!'*#:; \n甲乙ref=zhbd", max_size=200))
def test_cleaning_never_raises(text):
    clean_wikitext(text)


@pytest.mark.parametrize("piece", ["{{", "[[", "-{", "}}{{", "<ref>", "{{a|", "[[File:"])
def test_time_is_linear_in_unclosed_markup(piece):
    def seconds(n: int) -> float:
        started = time.perf_counter()
        clean_wikitext(piece * n)
        return time.perf_counter() - started

    short, long = (min(seconds(n) for _ in range(4)) for n in (4_000, 32_000))
    assert long < 24 * short, "linear time is 8 times, quadratic 64"


def test_templates_are_counted_with_how_they_were_rendered():
    counts = Counter()
    clean_wikitext("{{bd|1900年}}{{bd|1901年}}{{foo}}", counts)
    assert counts == {("bd", "dates"): 2, ("foo", "dropped"): 1}


@pytest.mark.parametrize(
    ("title", "namespace", "text", "reason"),
    [
        ("甲", "", "#重定向 [[乙]]", "redirect"),
        ("甲", "", "#REDIRECT [[乙]]", "redirect"),
        ("甲", "", "'''甲'''可以指：\n{{disambig}}", "disambiguation"),
        ("甲 (消歧义)", "", "甲可以指", "disambiguation"),
        ("Template:甲", "Template", "x", "other namespace"),
        ("甲", "", "'''甲'''是城市。", None),
    ],
)
def test_pages_that_are_no_articles_are_dropped(title, namespace, text, reason):
    assert wiki.reason_to_drop(title, namespace, text) == reason


def test_the_embedded_dump_gives_its_articles_without_residue(tmp_path):
    manifest = wiki.clean_dumps([DUMP], tmp_path / "out")
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    articles = list(wiki.read_articles(tmp_path / "out"))
    assert report["pages"]["kept"] == manifest.summary["kept"] == len(articles) >= 500
    assert sum(count for fate, count in report["pages"].items() if fate != "kept") >= 60
    assert report["residue"] == {} and not any(RESIDUE.search(row["text"]) for row in articles)
    people = {row["title"]: row["text"] for row in articles}
    assert "1881年9月25日" in people["鲁迅"], "birth dates survive cleaning"


def test_every_fact_sentence_of_the_dump_survives(tmp_path):
    """The builder knows what it marked up; the cleaner must give all of it back."""
    import sys

    sys.path.insert(0, str(REPOSITORY / "data/builder"))
    import wiki as builder
    from facts import World

    world = World.load()
    wiki.clean_dumps([DUMP], tmp_path / "out")
    text = "".join(row["text"] for row in wiki.read_articles(tmp_path / "out"))
    told = [
        fact.state(0)
        for kind in builder.KINDS
        for entity in world.entities[kind]
        for fact in world.facts_of(entity)
        if fact.relation.column in {column for _, columns in builder.LAYOUT[kind] for column in columns}
    ]
    lost = [sentence for sentence in told if wiki.to_simplified()(sentence) not in text]
    assert len(told) > 2_000 and len(lost) <= 0.01 * len(told), lost[:5]


def test_a_real_article_keeps_its_prose_and_loses_its_markup(shared_file):
    text = clean_wikitext(shared_file("zhwiki/QUIC-excerpt.wikitext").read_text(encoding="utf-8"))
    assert "快速UDP网路连接（英语：Quick UDP Internet Connections，缩写：QUIC）是一种实验性的传输层" in text
    assert not RESIDUE.search(text)
