"""What a reader of the rendered page sees survives cleaning; markup does not."""

import json
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.wiki_cleaning.templates import FAMILIES
from course_utils.wiki_cleaning.wikitext import RESIDUE, clean_page, clean_wikitext

from .conftest import REPOSITORY

ZHWIKI = REPOSITORY / "tests/zhwiki"
PAGES = sorted(ZHWIKI.glob("*.json"))


@pytest.mark.parametrize(
    ("wikitext", "seen"),
    [
        # dates
        ("'''鲁迅'''（{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}}）", "鲁迅（1881年9月25日－1936年10月19日）"),
        ("鲁迅{{BD|1881年|9月25日|1936年|10月19日}}，作家", "鲁迅（1881年9月25日－1936年10月19日），作家"),
        ("某人（{{bd|1980年|1月2日|||catIdx=M}}）", "某人（1980年1月2日－）"),
        ("孔子（{{生卒年|前551年|9月28日|前479年|4月11日}}）", "孔子（前551年9月28日－前479年4月11日）"),
        ("某人（{{bd|?||23年||catIdx=W}}）", "某人（?－23年）"),
        ("某人（{{bd|||||catIdx=W}}）是人", "某人是人"),
        ("{{birth date and age|1980|5|3}}生", "1980年5月3日生"),
        ("享年{{age|1399|3|16|1435|1|31}}岁", "享年35岁"),
        # languages and links
        ("北京（{{lang-en|Beijing}}）是首都。", "北京（英语：Beijing）是首都。"),
        ("学名：{{lang|la|''Panda''}}。{{langx|fr|Paris}}", "学名：Panda。法语：Paris"),
        ("北京（{{IPA|[peɪ]}}）是首都", "北京是首都"),
        ("北京（{{lang-en|Beijing}}，{{IPA-en|x}}）", "北京（英语：Beijing）"),
        ("{{link-en|本地名|Foreign}}与{{tsl|en|Foreign|译名}}、{{le|甲|A|乙}}", "本地名与译名、乙"),
        ("{{ill|中文|en|English}}、{{tsl|en|X||公平}}、{{ilh|lang-code=en|d=显示}}", "中文、公平、显示"),
        ("[[北京市|北京]]和[[天津]]、[[:Category:城市]]。", "北京和天津、Category:城市。"),
        ("[[File:a.jpg|thumb|图[[甲|乙]]{{le|x|y}}说明]]\n正文。", "正文。"),
        ("[[Category:城市]]__NOTOC__\n[https://example.org 官网]。[[en:City]]", "官网。"),
        ("{{ruby|漢字|かんじ}}", "汉字（かんじ）"),
        ("<ruby>字<rp>(</rp><rt>zì</rt><rp>)</rp></ruby>", "字（zì）"),
        # formatting and numbers
        ("{{nowrap|另见{{link-en|清单|List}}}}，{{color|red|红}}{{small|小}}。", "另见清单，红小。"),
        ("长{{convert|30|m|ft}}。", "长30米（98英尺）。"),
        ("高{{convert|8848.86|m|ft}}，{{cvt|10|km|mi}}", "高8,848.86米（29,031.7英尺），10 km（6.2 mi）"),
        ("{{val|1.67|e=-27|u=kg}}，{{formatnum:1234567}}", "1.67×10⁻²⁷ kg，1,234,567"),
        ("{{frac|1|2}}，10<sup>6</sup>，H<sub>2</sub>O，{{chem|H|2|O}}", "1/2，10⁶，H2O，H2O"),
        ("质能<math>E = mc^2</math>，<math>\\frac{1}{2}</math>", "质能E = mc²，1/2"),
        ("矩阵<math>\\begin{matrix}1\\end{matrix}</math>。", "矩阵。"),
        ("{{CHN}}和{{flag|USA}}{{flagicon|JPN}}", "中国和美国"),
        ("{{fact|有人这样说|time=2008-03-19}}{{来源请求|2010年3月}}", "有人这样说"),
        ("{{ubl|甲|乙}}", "甲\n乙"),
        ("{{quote|落霞与孤鹜齐飞|王勃}}", "落霞与孤鹜齐飞\n——王勃"),
        ("{{PAGENAME}}是城市", "题目是城市"),
        # references, tables, tags
        ("句子<ref name=a/>。<ref>{{cite|t={{a}}}}</ref>又<ref name=b>多\n行</ref>{{r|a}}{{sfn|王}}。", "句子。又。"),
        ("前\n{| class=x\n|-\n| 表 || {{formatnum:1}}\n{|\n| 内\n|}\n|}\n后", "前\n后"),
        ("<gallery>\nFile:a.jpg|图\n</gallery>正文。", "正文。"),
        ("体积&nbsp;5&lt;6，<nowiki>[[不是]]</nowiki>链接", "体积 5<6，[[不是]]链接"),
        ("<syntaxhighlight lang=c>\nint a;\n</syntaxhighlight>\n代码", "代码"),
        ("<!-- {{ 没有闭合 -->正文。", "正文。"),
        ("main()和printf()函数", "main()和printf()函数"),
        ("無頭模板（{{unknown|x}}）留下整句，{{unknown}}，好（{{x}}；乙）。", "无头模板留下整句，好（乙）。"),
        ("* 甲\n** 乙\n# 丙\n; 丁:戊\n----\n", "甲\n乙\n丙\n丁\n戊"),
        ("#如果不是重定向", "如果不是重定向"),
        (
            "== 历史 ==\n古城。\n== 參考文獻 ==\n书。\n=== 注 ===\n注。\n== 地理 ==\n平原。\n== 注释与外部链接 ==\nx",
            "历史\n古城。\n地理\n平原。",
        ),
        (
            "由于\n甲是残差，而\n乙为丙。\n第二段。\n\n第三段\n\n第四段",
            "由于甲是残差，而乙为丙。\n第二段。\n第三段\n第四段",
        ),
        ("利益的方式\n。依据", "利益的方式。依据"),
        ("<poem>\n床前明月光，\n疑是地上霜。\n</poem>甲，<br>乙", "床前明月光，\n疑是地上霜。\n甲，\n乙"),
        ("《{{lang|fr|Annales de\nphysique}}》", "《Annales de physique》"),
        ("则有 <math>\\begin{x}\\end{x}</math> ，展开", "则有，展开"),
        ("== 空 ==\n== 历史 ==\n=== 古代 ===\n古城。", "历史\n古代\n古城。"),
    ],
)
def test_what_a_reader_sees_is_kept(wikitext, seen):
    assert clean_page("题目", wikitext)[1] == seen


@pytest.mark.parametrize(
    ("wikitext", "seen"),
    [
        # What opens first is read first (https://www.mediawiki.org/wiki/Help:Formatting, nowiki and pre).
        ("甲<nowiki><!-- 乙</nowiki>丙<!-- <nowiki> -->丁", "甲<!-- 乙丙丁"),
        ("甲<!-- <pre> -->乙<pre>[[丙]]</pre>丁", "甲乙丁"),
        ("甲<syntaxhighlight><ref></syntaxhighlight>乙<ref>丙</ref>丁", "甲乙丁"),
        ("甲<nowiki><ref>乙</ref></nowiki>丙", "甲<ref>乙</ref>丙"),
        ("甲。<!-- 没有结束\n乙。<!-- 这个也没有\n丙", "甲。\n乙。\n丙"),
        ("甲，\n<!-- 一行注释 -->\n乙", "甲，乙"),
        ("甲，\n  <!-- 一 --> <!-- 二 -->  \n乙", "甲，乙"),
        # references in references (https://www.mediawiki.org/wiki/Extension:Cite)
        ("甲<ref>一<ref name=a>二<ref>三</ref></ref>四</ref>，乙", "甲，乙"),
        ("甲<ref>没有结束，乙<ref>注</ref>丙", "甲没有结束，乙丙"),
        ("甲<ref group=注>一{{r|b}}<ref name=c /></ref>。", "甲。"),
        # apostrophes (https://www.mediawiki.org/wiki/Help:Formatting)
        ("''Foo'''s 歌、'''Bar''''s 歌", "Foo's 歌、Bar's 歌"),
        ("l'''amour'' 与 '''''两者'''''", "l'amour 与 两者"),
        ("''斜'''斜粗'''斜''与don't", "斜斜粗斜与don't"),
        ("'''没有结束。\n下一行''是''正文。", "没有结束。\n下一行是正文。"),
        # external links (https://www.mediawiki.org/wiki/Help:Links)
        ("见[https://a.org/b''书'']与[//a.org 站]、[mailto:a@b.org 信箱][https://a.org]。", "见书与站、信箱。"),
        ("计划[https://a.org] <ref>x</ref> 和实施", "计划和实施"),
        ("See[https://a.org] {{dead link}} {{x}} there", "See there"),
        # what was dropped does not join, nor leave its signs
        ("甲的正文\n:<math>\\begin{matrix}1\\end{matrix}</math>\n乙的正文", "甲的正文\n乙的正文"),
        ("甲的正文\n*{{navbox}}\n乙的正文", "甲的正文\n乙的正文"),
        ("甲（{{x}}→{{y}}／{{z}}）、乙（{{x}}，丙）", "甲、乙（丙）"),
        ("甲（——{{x}}）乙（？）丙（＋）", "甲乙（？）丙（＋）"),
        ("包括，\n{|\n|表\n|}\n。后文", "包括。后文"),
        ("正文。\n;甲\n;乙\n{|\n|表\n|}\n后文。\n;丙\n:定义", "正文。\n后文。\n丙\n定义"),
        ("; 词 : 解释在此\n;网址 https://a.org/b : 说明", "词\n解释在此\n网址 https://a.org/b\n说明"),
        (
            "县辖：\n;镇：甲镇、乙镇\n;乡：丙乡\n== 名胜 ==\n;空\n== 特产 ==\n茶",
            "县辖：\n镇：甲镇、乙镇\n乡：丙乡\n特产\n茶",
        ),
        ("== 人口 ==\n<gallery>\nA.jpg\n</gallery>\n=== 构成 ===\n{|\n|1\n|}\n== 地理 ==\n平原。", "地理\n平原。"),
        # formulas that no line can show
        ("其中<math>\\begin{matrix}1\\end{matrix}</math>。", "其中〔公式〕。"),
        (
            "当 <math>\\begin{a}\\end{a}</math> 时，矩阵<math>\\begin{a}\\end{a}</math>的秩为1",
            "当〔公式〕时，矩阵的秩为1",
        ),
        ("故，<math>\\begin{a}\\end{a}</math>是正定的（<math>\\begin{a}\\end{a}</math>）。", "故，〔公式〕是正定的。"),
        # exponents
        ("''x''<sup>2</sup>、<i>y</i><sup>−1</sup>、[[米|m]]<sup>3</sup>、注<sup>1</sup>", "x²、y⁻¹、m³、注1"),
        (
            "2<sup>1/3</sup>、10<sup>''n''</sup>、e<sup>x</sup>、a<sup>n-1</sup>、1<sup>st</sup>",
            "2^(1/3)、10ⁿ、e^x、aⁿ⁻¹、1st",
        ),
        ("（[[IPA|IPA]]: {{IPA|[iː]}}），（发音：{{IPA|x}}，{{lang-en|A}}）", "，（英语：A）"),
        ("诗：-{zh-cn:{{Cquote|床前<br>明月}};zh-tw:x}-后来", "诗：\n床前\n明月\n后来"),
        ("''v''<sub>''n''</sub>、''x''<sup>''2''</sup>、''U''<sub>''1''</sub>、Ca<sup>2+</sup>", "vn、x²、U1、Ca2+"),
        ("四声。{{sfnp|B}}{{rp|42}}。右图。\n<ref>a</ref>。以下", "四声。右图。以下"),
        ("* {{flagicon|USA}} - [[NASA]]\n*{{未知}}：东京\n: # 注释", "NASA\n东京\n# 注释"),
        ("== 参数 ==\n{|\n|1\n|}\n来源：<ref>a</ref>\n== 节 ==\n正文的来源：<ref>a</ref>甲", "节\n正文的来源：甲"),
        ("擦音{{IPA|*ɣ-}}或{{IPA|*ɦ-}}，读{{IPA|en|[x]}}。甲（{{IPA|y}}）。", "擦音*ɣ-或*ɦ-，读[x]。甲。"),
        ("甲，{{IPA|z}}，{{IPA|a}}是音。\n{{IPA|b}}、{{IPA|c}}也是。", "甲，a是音。\nb、c也是。"),
        ("標準發音<ref>x</ref>，研究音標{{來源請求}}、意義", "标准发音，研究音标、意义"),
        ("我们有\n:<math>\\begin{align}a&=b\\\\&=c\\end{align}</math>\n由此", "我们有\na=b\n=c\n由此"),
        ("甲（缩写：SaaS，发音：{{IPA|/sæs/}}或{{IPA|/sɑs/}}），是{{CPC}}党员", "甲（缩写：SaaS），是中国共产党党员"),
        (
            "1.基因缺陷\n2.失調\n原唱：甲\n翻唱：乙\n\n接着，\n说。\n<ref>a</ref>\n，从此",
            "1.基因缺陷\n2.失调\n原唱：甲\n翻唱：乙\n接着，说。从此",
        ),
        ("正文。\n== 参考资料或注释 ==\n甲\n== 関連項目 ==\n* 乙", "正文。"),
        # what stands in a fence is wikitext still
        (
            "-{見[https://x.y 甲]}-與<span lang=ja>[[File:東.jpg|thumb|東]]{{formatnum:12345}}年の東京</span>",
            "見甲与12,345年の東京",
        ),
        ("<div lang=ja>\n{| class=wikitable\n| 東京\n|}\n東京</div>", "東京"),
        # signs of rules survive what is tidied, and one fence that is broken costs itself
        ("甲（-{H|zh-cn:甲乙;zh-tw:電國}-{{x}}）電國", "甲甲乙"),
        ("甲-{（}-{{x}}）乙\n\n第二段電國", "甲（）乙\n第二段电国"),
        # stops
        ("甲。{{x}}，乙。{{x}}、{{y}}。丙，<ref>a</ref> 如丁，\n<ref>b</ref> 戊", "甲。乙。丙，如丁，戊"),
        # exponents of other kinds
        (
            "5×10<sup>–3</sup>、10<sup>&minus;6</sup>、10<sup>12345</sup>、2<sup>2n</sup>、M<sup>me</sup>",
            "5×10⁻³、10⁻⁶、10¹²³⁴⁵、2²ⁿ、Mme",
        ),
        ("''x''<sup>''n''+1</sup>、e<sup>iπ</sup>、H<sup>+</sup>、a<sup>[1]</sup>", "xⁿ⁺¹、e^(iπ)、H+、a[1]"),
        ("PHP的__FILE__常量__NOTOC__，《[[CSI:邁阿密]]》[[ja:東京]]", "PHP的__FILE__常量，《CSI:迈阿密》"),
        (";<b>甲:乙</b>\n;丙<nowiki/>:丁", "甲:乙\n丙\n丁"),
        ("多了一项\n{{Equation box 1|equation=<math>Q=1</math>}}\n即为", "多了一项\nQ=1\n即为"),
        # tables that lay out lists or prose (https://www.mediawiki.org/wiki/Help:Tables)
        ("{|\n|valign=top|\n* 甲\n* 乙\n|width=50%|\n* 丙\n|}\n正文。", "甲\n乙\n丙\n正文。"),
        (
            '{| style="width:100%"\n|\n这是一段排在表格里的正文，它有完整的句子，所以读者把它当成正文来读。\n|}',
            "这是一段排在表格里的正文，它有完整的句子，所以读者把它当成正文来读。",
        ),
        ('{| style="width: 100%;"\n* 甲\n* 乙\n|}\n正文。', "甲\n乙\n正文。"),
        ("{| class=wikitable\n|\n* 甲\n* 乙\n|}\n正文。", "正文。"),
        ("{|\n! 年\n|-\n|\n* 甲\n|}\n{|\n|12||34\n|}\n正文。", "正文。"),
        # not converted
        (
            '<code>軟體</code>與<span lang="ja">「東京」</span>、<syntaxhighlight inline>資訊</syntaxhighlight>',
            "軟體与「東京」、資訊",
        ),
        ("圖見[[:File:軟體.jpg]]，「圖」", "图见File:軟體.jpg，“图”"),
    ],
)
def test_what_real_pages_taught(wikitext, seen):
    assert clean_wikitext(wikitext) == seen


def test_titles_are_read_as_html():
    assert clean_page("AT&amp;T", "甲")[0] == "AT&T"


PLANTED = """{{x}} [[x ]] -{x }- ''' <ref> </div> &nbsp; [http://a.org __TOC__ thumb|
（） （，） （⇒） （－） （，甲） （甲、） ，。 ，， 、。"""


@pytest.mark.parametrize(
    "residue", [*PLANTED.split(), "|-\n", "| a = 1", "* 甲", "== 甲 ==", "。 \n", "：东京", r"\frac{1}{2}"]
)
def test_the_report_counts_what_a_reader_would_call_residue(residue):
    assert RESIDUE.search(f"正文在此。\n{residue}正文。")


@pytest.mark.parametrize(
    "prose",
    [
        "他说：“好！”（？）",
        "a|b、x = 1、5 < 6",
        "（甲，乙）。",
        "C#与F*，-1",
        "* 号",
        "甲……，乙——丙",
        "main()；printf(x)",
    ],
)
def test_prose_is_no_residue(prose):
    assert not RESIDUE.search(f"正文在此，{prose}。\n正文。")


def test_headings_and_tables_as_asked():
    text = "== 人口 ==\n{| class=wikitable\n! 年 !! 人\n|-\n| style=x | [[2010年]] || 12\n|}\n很多。"
    assert clean_wikitext(text, tables="text") == "人口\n年，人\n2010年，12\n很多。"
    assert clean_wikitext(text, headings=False) == "很多。"


def test_a_family_of_ones_own_comes_first_and_is_counted():
    mine = ("mine", ("身高",), lambda name, args, named: f"{args[0]}厘米")
    templates = Counter()
    assert clean_wikitext("他{{身高|180}}。", families=(mine, *FAMILIES), templates=templates) == "他180厘米。"
    assert templates == {("身高", "mine"): 1}
    assert clean_wikitext("他{{身高|180}}。", templates=templates) == "他。"
    assert templates[("身高", "unknown")] == 1


# ------------------------------------------------------------------ whole articles


def measure(pages) -> tuple[list[str], list[str], list[str]]:
    """-> (visible strings, those lost, what was kept and should not be)."""
    visible, lost, extra = [], [], []
    for path in pages:
        expected = json.loads(path.read_text(encoding="utf-8"))
        if not expected["keep"]:
            continue
        text = clean_page(expected["title"], path.with_suffix(".wikitext").read_text(encoding="utf-8"))[1]
        for string in expected["visible"]:
            alternatives = string["any"] if isinstance(string, dict) else [string]
            visible.append(alternatives[0])
            if not any(other in text for other in alternatives):
                lost.append(f"{path.stem}: {alternatives[0]}")
        extra += [f"{path.stem}: {string}" for string in expected["absent"] if string in text]
        if "<nowiki>[[" not in path.with_suffix(".wikitext").read_text(encoding="utf-8"):  # the reader sees brackets
            extra += [f"{path.stem}: {match.group()}" for match in RESIDUE.finditer(text)]
    return visible, lost, extra


def test_articles_of_every_kind_keep_their_prose_and_nothing_else():
    """The articles were written, with what a reader sees of them, before the cleaner saw them."""
    visible, lost, extra = measure(PAGES)
    assert len(visible) > 800
    assert len(lost) <= 0.01 * len(visible), lost
    assert not extra


def test_a_real_article_keeps_its_prose_and_loses_its_markup(shared_file):
    text = clean_wikitext(shared_file("zhwiki/QUIC-excerpt.wikitext").read_text(encoding="utf-8"))
    assert "快速UDP网络连接（英语：Quick UDP Internet Connections，缩写：QUIC）是一种实验性的传输层" in text
    assert "以为确立下一代规范做准备。\n介绍\n第一个变化" in text
    assert not RESIDUE.search(text) and "参见" not in text


# ------------------------------------------------------------------ broken and hostile markup


@pytest.mark.parametrize(
    "opener", ["{{", "[[", "{|", "-{", "<ref>", "'''", "<!--", "<math>", "{{bd|", "[[File:", "<nowiki>"]
)
def test_broken_markup_never_takes_the_rest_of_the_article(opener):
    text = f"第一句。\n{opener}坏\n第二句。\n\n== 节 ==\n第三句。"
    seen = clean_wikitext(text)
    assert all(sentence in seen for sentence in ("第一句。", "第二句。", "节\n第三句。"))


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        ("深{{convert|200|m|ft；最深。\n\n海底。\n\n== 争议 ==\n中国认为}}，日本", "海底。\n争议\n中国认为，日本"),
        ("{|\n! 近地点\n| 439\n\n== 影响 ==\n成为第五个国家。\n{|\n| 其他\n|}\n每年", "影响\n成为第五个国家。\n每年"),
        ("按下[[Escape鍵|{{Key press]]可以回到普通模式。", "按下Escape键可以回到普通模式。"),
        ("{{统计表|YYN}}\n|-\n| 1986 || 2\n|}\n后来", "后来"),
        ("[[File:a.jpg|thumb|图，从[[河]]望]\n正文", "正文"),
        ("{{Infobox person\n| name = 甲\n| born = {{bd|1年}}\n'''甲'''是人。", "甲是人。"),
    ],
)
def test_damage_costs_itself(broken, seen):
    assert clean_wikitext(broken).endswith(seen)


PIECES = [
    *("{{", "}}", "[[", "]]", "-{", "}-", "{|", "|}", "|", "=", "'", "<", ">", "!", "*", "#", ":", ";", "/", "\n", " "),
    *("甲乙", "ref", "math", "nowiki", "zh", "bd", "==", "File:", "http:", "{{!", "<!--", "-->", "__", "&"),
    *(
        "-{H|",
        "zh-cn:",
        ";zh-tw:",
        "=>",
        "D;",
        "<ref>",
        "</ref>",
        "<code>",
        "<sup>",
        "<math>",
        "</math>",
        "\\frac",
        "「",
    ),
    *(
        "-{H|zh-cn:甲:丙;zh-tw:電國}-電國",
        "{{NoteTA|T=zh-cn:*甲;zh-tw:乙}}",
        "{{IPA|a}}",
        "{{BD|1年}}",
        ";<b>",
        "義大利",
    ),
]


OURS = re.compile("[\ufdd0-\ufdef\u200b\U000f0000-\U0010ffff]")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=100))
def test_cleaning_never_raises_and_leaves_no_sign_of_its_own(text):
    for tables in ("drop", "text"):
        title, seen = clean_page("電國甲", OURS.sub("", text), tables=tables)
        assert not OURS.search(title + seen)


def test_halves_of_characters_are_left_out():
    assert clean_page("電\ud800", "國\udfff語") == ("电", "国语")


def mutated(text: str, seed: int) -> str:
    """Real markup, damaged: pieces cut out, doubled, moved, and brackets thrown in."""
    chance = random.Random(seed)
    for _ in range(8):
        start, length, place = chance.randrange(len(text)), chance.randrange(1, 60), chance.randrange(len(text))
        piece = text[start : start + length]
        if chance.random() < 0.5:
            text = text[:start] + text[start + length :]
        text = text[:place] + chance.choice([piece, *PIECES]) + text[place:]
    return text


@pytest.mark.parametrize("page", PAGES[::4], ids=lambda page: page.stem)
def test_mutated_real_markup_is_cleaned_in_linear_time(page: Path):
    text = page.with_suffix(".wikitext").read_text(encoding="utf-8")
    for seed in range(6):
        broken = mutated(text, seed)
        assert not OURS.search(clean_wikitext(broken)), seed
    short, long = elapsed(broken * 4), elapsed(broken * 32)
    assert long < 8 * short * 4 + 0.05, "eight times the text took more than 32 times the time"


def elapsed(text: str) -> float:
    best = 1e9
    for _ in range(3):
        started = time.process_time()
        clean_wikitext(text)
        best = min(best, time.process_time() - started)
    return best


# fmt: off
HOSTILE = [
    *("{{", "[[", "-{", "}}{{", "<ref>", "{{a|", "[[File:", "{{nowrap|", "{{a|}}", "\n{|", "'''", "<!--", "<math>"),
    *("{{convert|", "-{zh-cn:", "-{A|zh-cn:a;", "[http://", "}}", "|}\n", "\n==", "（{{x}}", "[[a|{{b]]", "<nowiki>"),
    *("{{{", "&"),
    *("<!--\n", "<pre>\n", "<table>", "<!-- a -->", "<ref>a</ref>b</ref>", "<ref>a<ref>b</ref>", "\n;<b>a:"),
    *("-{H|zh-cn:甲;zh-tw:乙}-乙", "''a", "'''a''b", "<code>軟", "<span lang=ja>軟", "[http://a''b", "a<sup>", "IPA："),
    *("\n{|\n|\n* a", "\n{|\n* a\n|}", "<math>\\frac{</math>", "當<math>\\x</math>", "《{{x}}，", "\n;a", "\n== a =="),
    *("''v''<sub>", "\n*{{x}} - ", "來源：{{x}}", "。{{x}}。", "{{IPA|a}}", "{{chem|->[", "<math>\\begin{align}a"),
]
LONG = [  # one construct with a long run in it
    ("-{zh-cn:a;", " ", "b}-"), ("\n=a", " ", "b"), ("<ce>a", " ", "x</ce>"), ("{{chem|", "->[", "}}"),
    ("甲音", "\n", "{{x}}"), ("-{H|zh-cn:", "甲", ";zh-tw:乙}-甲"), ("[http://", "a", ""), ("\n;", "<b>", ":"),
    ("''", "a", "'''"), ("（{{x}}", " ", "）"),
]
# fmt: on


@pytest.mark.parametrize(("start", "piece", "end"), LONG)
def test_time_is_linear_in_the_length_of_a_run(start, piece, end):
    short, long = elapsed(start + piece * 4_000 + end), elapsed(start + piece * 32_000 + end)
    assert long < 8 * short * 2.5 + 0.05, f"8 times the text took {long / short:.0f} times the time"


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("after", ["", "甲"])
def test_time_is_linear_in_the_length_of_hostile_markup(piece, after):
    short, long = elapsed((piece + after) * 2_000), elapsed((piece + after) * 16_000)
    assert long < 8 * short * 3 + 0.05, f"8 times the text took {long / short:.0f} times the time"


FORMS = (
    "{{{{nowrap|{}}}}}", "[[目标|{}]]", "'''{}'''", "<small>{}</small>", "{{{{未知|{}}}}}", "-{{{}}}-", "<ref>{}</ref>",
    "\n{{|\n| {}\n|}}\n", "<!-- {} -->",
)  # fmt: skip


def wrapped(inner):
    return st.builds("{}{}".format, inner, inner) | st.builds(str.format, st.sampled_from(FORMS), inner)


@given(st.recursive(st.text(alphabet="甲乙丙丁，。", min_size=1, max_size=8), wrapped, max_leaves=12))
@settings(max_examples=300, deadline=None)
def test_well_formed_markup_of_any_depth_leaves_no_markup(wikitext):
    assert not RESIDUE.search(clean_wikitext(wikitext).replace("，，", "").replace("（", ""))
