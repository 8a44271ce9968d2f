"""A zh-cn reader sees the words of her region, as MediaWiki's language converter chooses them."""

import pytest

from course_utils.wiki_cleaning.language_conversion import parse_rule, simplified
from course_utils.wiki_cleaning.wikitext import clean_page, clean_wikitext


@pytest.mark.parametrize(
    ("wikitext", "seen"),
    [
        ("用-{zh-hans:计算机;zh-hant:電腦;}-写", "用计算机写"),
        ("-{zh-cn:信息;zh-tw:資訊;zh-hk:資訊}-", "信息"),
        ("-{zh-tw:資訊;zh-cn:信息}-", "信息"),
        ("-{zh-hans:简;zh-cn:大陆;zh-tw:台}-", "大陆"),
        ("-{zh-sg:德士;zh-tw:計程車}-", "德士"),  # zh-cn falls back to zh-hans, zh-sg, zh-my
        ("-{zh-my:巴士;zh-tw:公車}-", "巴士"),
        ("-{zh-hans:着;\nzh-hant:著;}-色", "着色"),
        ("-{乾隆}-與-{R|發財}-", "乾隆与發財"),  # left as written
        ("-{zh;zh-hans;zh-hant|國語}-", "国语"),
        ("-{D|zh-hans:甲;zh-hant:乙}-", "简体：甲；繁体：乙；"),
        ("-{H|zh-cn:网络;zh-tw:網路;}-上網路", "上网络"),
        ("-{A|zh-cn:宏;zh-tw:巨集}-和巨集", "宏和宏"),
        ("-{H|巨集=>zh-cn:宏}-巨集與集合", "宏与集合"),
        ("{{NoteTA|1=zh-hans:信息; zh-hant:資訊;|2=zh-cn:链表;zh-tw:串列}}資訊用串列存", "信息用链表存"),
        ("{{noteTA|zh-cn:打印机;zh-tw:印表機}}印表機", "打印机"),
        ("{{NoteTA|1=zh-cn:智能手机;zh-tw:智慧型手機|2=zh-cn:智能;zh-tw:智慧}}智慧型手機很智慧", "智能手机很智能"),
        ("{{NoteTA|1=乾}}餅乾與乾", "饼乾与乾"),  # a word alone is not to be converted
        ("-{H|zh-cn:网络;zh-tw:網路}-网路-{-|zh-cn:网络;zh-tw:網路}-網路", "网路网路"),
        ("[[流控制|-{zh-tw:串流控制; zh-cn:流控制;}-]]和-{[[A|發]]}-", "流控制和發"),
        ("-{zh-hans:{{lang-en|A}};zh-hant:乙}-", "英语：A"),
        ("1949-{{nowrap|年}}", "1949-年"),
        ("沒有規則的頁面說：資訊", "没有规则的页面说：资讯"),
        ("{{lang|ja|東京}}與{{lang-ja|満島}}、{{lang|zh|東京}}", "東京与日语：満島、东京"),
        ("{{nihongo|東京|東京|Tōkyō}}", "东京（日语：東京，Tōkyō）"),
        ("隨著著名學者著手著作", "随着著名学者着手著作"),
        ("鲁迅著，1923年", "鲁迅著，1923年"),
        ("（加倉井 著）、著：加倉井", "（加仓井 著）、著：加仓井"),
        ("魯迅著，曹雪芹著「紅樓夢」。他看著，討論著要走", "鲁迅著，曹雪芹著“红楼梦”。他看着，讨论着要走"),
        ("討論著作權，跟著名師看著書", "讨论著作权，跟着名师看着书"),
        ("兩欄位置，仲介面試，風乾安置，乾安縣", "两栏位置，仲介面试，风干安置，乾安县"),
        ("-{H|zh-cn:甲:丙;zh-tw:電國}-看電國", "看甲:丙"),
        ("-{H|zh-cn:'''甲'''{{x}};zh-tw:電國}-電國", "甲"),
        ("義大利的網路、軟體與滑鼠", "意大利的网络、软件与鼠标"),
        ("高3公尺，这部份的互联网路由器与软体动物", "高3米，这部分的互联网路由器与软体动物"),
        ("公尺", "米"),
        ("「文件」需要『支援』", "“文件”需要‘支援’"),
        ("乾縣的餅乾、乾县的饼干", "乾县的饼干、乾县的饼干"),
    ],
)
def test_the_reader_sees_her_regions_words(wikitext, seen):
    assert clean_wikitext(wikitext) == seen


def test_the_title_follows_its_own_rule():
    assert clean_page("資訊", "{{NoteTA|T=zh-cn:信息;zh-tw:資訊}}甲乙丙丁")[0] == "信息"
    assert clean_page("資訊", "-{T|zh-hans:信息论;zh-hant:資訊理論}-甲乙丙丁")[0] == "信息论"
    assert clean_page("臺北", "甲乙丙丁")[0] == "台北"


def test_a_title_is_plain():
    assert clean_page("丁丁", "{{NoteTA|1=zh-cn:*NSYNC;zh-tw:丁丁}}看丁丁") == ("*NSYNC", "看*NSYNC")
    assert clean_page("乙", "{{NoteTA|T=zh-cn:''甲''<ref>x</ref>;zh-tw:乙}}甲")[0] == "甲"


def test_a_rule_is_read_as_mediawiki_reads_it():
    assert parse_rule("zh-cn:a;b;zh-tw:c") == ({"zh-cn": "a;b", "zh-tw": "c"}, {})
    assert parse_rule("zh-cn:&lt;甲;zh-tw:乙") == ({"zh-cn": "&lt;甲", "zh-tw": "乙"}, {})
    assert parse_rule("a=>zh-cn:b;") == ({}, {"zh-cn": {"a": "b"}})
    assert parse_rule("http:甲;zh-cn:乙") == ({}, {}), "an unknown variant: it is no rule"


def test_simplified_lines_are_left_alone():
    assert simplified("鲁迅的著作与显著的成就，乾隆") == "鲁迅的著作与显著的成就，乾隆"
