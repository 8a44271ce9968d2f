"""What a template shows stays in its sentence, and two templates whose names differ in case are told apart."""

import random

import pytest

from course_utils.wiki_cleaning.tables import ZHWIKI
from course_utils.wiki_cleaning.templates import FAMILIES, finder
from course_utils.wiki_cleaning.wikitext import clean_wikitext

SHOWN = [
    # (its page on zh.wikipedia.org, a sentence that calls it, the sentence as read)
    # languages
    ("Template:Vie", "胡（{{vie|v=Hồ|hn=胡}}）是一个姓氏。", "胡（越南语：Hồ，汉字：胡）是一个姓氏。"),
    ("Template:Vie", "阮富仲（{{vie|qn=Nguyễn Phú Trọng}}）", "阮富仲（越南语：Nguyễn Phú Trọng）"),
    ("Template:Vi-nom", "又作{{vi-nom|共和社會主義越南}}。", "又作共和社會主義越南。"),
    ("Template:Rus", "莫斯科（{{rus|Москва}}）", "莫斯科（俄语：Москва）"),
    ("Template:Deu", "{{deu|München}}和{{fra|Paris}}、{{ita|Roma}}", "德语：München和法语：Paris、意大利语：Roma"),
    ("Template:Lang-rus", "站名（{{lang-rus|Ясенево|Yasenevo|p=x}}）", "站名（俄语：Ясенево，罗马化：Yasenevo）"),
    ("Template:Lang", "城市{{lang-de|Köln|lit=殖民地}}。", "城市德语：Köln，直译：“殖民地”。"),
    ("Template:Jpn", "高仓健（{{jpn|j=高倉健|hg=たかくら|rm=Takakura}}）", "高仓健（日语：高倉健／たかくら Takakura）"),
    ("Template:Jp", "寿司（{{jp|j=寿司|hg=すし|kyu=壽司}}）", "寿司（日语：寿司〔壽司〕／すし）"),
    (
        "Template:Kor",
        "金三线（{{kor|諺=김삼선|漢=金三線|羅=Gimsam seon|f=y}}）",
        "金三线（韩语：김삼선／金三線 Gimsam seon）",
    ),
    ("Template:Mong", "蒙古（{{mong|m=ᠮᠣᠩᠭᠣᠯ|k=Монгол}}）", "蒙古（蒙古语：Монгол，传统蒙古文：ᠮᠣᠩᠭᠣᠯ）"),
    ("Template:Thai", "恭贴（{{thai|t=กรุงเทพ|r=Krung Thep}}）", "恭贴（泰语：กรุงเทพ，皇家转写：Krung Thep）"),
    ("Template:Bo", "拉萨（{{bo|t=ལྷ་ས།|w=lha sa}}）", "拉萨（藏语：ལྷ་ས།，威利转写：lha sa）"),
    ("Template:Zh", "名（{{zh|s=简|t=簡|p=jiǎn}}）", "名（简体：简；繁体：簡；拼音：jiǎn）"),
    ("Template:標音", "铀（{{標音|拼音=yóu|注音=丨ㄡˋ}}）", "铀（拼音：yóu；注音：丨ㄡˋ）"),
    ("Template:Nihongo", "{{nihongo|东京|東京|romaji=Tōkyō}}是首都。", "东京（日语：東京，Tōkyō）是首都。"),
    ("Template:Nihongo foot", "{{nihongo foot|东京|東京|Tōkyō}}是首都。", "东京是首都。"),
    ("Template:Engname", "{{engname|《大丈夫》|May-December Love}}。", "《大丈夫》（英语：May-December Love）。"),
    ("Template:Zy", "转为{{zy|舉例|ㄐㄩˇㄌㄧˋ}}。", "转为举例（ㄐㄩˇㄌㄧˋ）。"),
    ("Template:Code", "命令{{code|「電腦」}}与電腦。", "命令「電腦」与电脑。"),
    ("Template:Lang", "书名{{lang|ja|『電車』}}。", "书名『電車』。"),
    ("Template:Link-interwiki", "见{{link-interwiki|zh=甲|lang=en|lang_title=A}}。", "见甲。"),
    # countries
    ("Template:Flag", "{{flag|vie}}对{{flag|rus}}", "越南对俄罗斯"),
    ("Template:VIE", "{{VIE}}、{{RUS}}、{{ROK}}", "越南、俄罗斯、韩国"),
    ("Template:USA", "{{USA|1896}}的邮票", "美国的邮票"),
    ("Template:Flag", "{{flag|Algeria}}与{{flag|Empire of Japan|size=25px}}", "阿尔及利亚与大日本帝国"),
    ("Template:VIE", "前文{{and|文字}}{{col|文字}}后文", "前文后文"),
    # identifiers
    ("Template:EC number", "酶（{{EC number|4.2.3.110}}）", "酶（EC 4.2.3.110）"),
    ("Template:CAS", "水的编号是{{CAS|7732-18-5}}。", "水的编号是7732-18-5。"),
    ("Template:ISBN", "书号{{ISBN|978-7-03-030572-5}}。", "书号ISBN 978-7-03-030572-5。"),
    ("Template:Doi", "论文{{doi|10.1016/j.icarus.2007.01.001}}，", "论文doi:10.1016/j.icarus.2007.01.001，"),
    ("Template:ISSN", "期刊{{ISSN|1003-0271}}停刊。", "期刊ISSN 1003-0271停刊。"),
    ("Template:PMID", "见{{PMID|8307957}}。", "见PMID 8307957。"),
    (
        "Template:ArXiv",
        "见{{arXiv|1203.4898}}和{{arxiv|archive=hep-th|id=9901001}}。",
        "见arXiv:1203.4898和arXiv:hep-th/9901001。",
    ),
    ("Template:OEIS", "数列（{{OEIS|id=A051021}}）", "数列（OEIS数列A051021）"),
    ("Template:RFC", "标准{{RFC|2616}}规定", "标准RFC 2616规定"),
    # numbers
    ("Template:Val", "约{{val|1.67|0.01|e=-27|u=kg}}", "约1.67±0.01×10⁻²⁷ kg"),
    ("Template:Val", "在{{val|5|to|16|e=26|u=erg/s}}之间", "在5×10²⁶至16×10²⁶ erg/s之间"),
    ("Template:Val", "面积{{val|2673|u=km2}}，{{val|fmt=commas|29,000|u=光年}}", "面积2673 km²，29,000 光年"),
    ("Template:Percentage", "占{{percentage|55|100}}，{{percentage|1|3|1}}", "占55%，33.3%"),
    ("Template:和暦", "{{和暦|1942}}12月，{{和暦|1926}}改元", "1942年（昭和17年）12月，1926年改元"),
    ("Template:NTD", "耗资{{NTD|580億}}，{{AUD|1.02億}}", "耗资NT$580亿，A$1.02亿"),
    ("Template:Currency", "价{{currency|5000|USD}}。", "价$5,000。"),
    ("Template:Mp", "小行星{{mp|2004 XR|190}}是", "小行星2004 XR190是"),
    ("Template:Solar mass", "质量{{Solar mass|0.12}}，", "质量0.12 M☉，"),
    ("Template:Coord", "位于{{coord|22.28|-114.16|display=inline}}的", "位于22.28°N 114.16°W的"),
    ("Template:±", "误差{{±|0.1}}，{{±|2|1}}，{{pm|文字}}", "误差±0.1，+2−1，文字"),
    ("Template:E", "3{{e|7}}公里", "3×10⁷公里"),
    ("Template:Su", "粒子K{{su|p=0|b=S}}衰变", "粒子K⁰S衰变"),
    ("Template:Bra-ket", "态{{math|{{braket|ket|''ψ''}}}}与{{braket|braket|a|b}}", "态|ψ⟩与⟨a|b⟩"),
    ("Template:Convert", "时速{{convert|70.86|mi:h|km:h|2}}。", "时速70.86英里每小时（114.04千米每小时）。"),
    # signs
    ("Template:Music", "从A{{music|flat}}到C{{music|sharp}}", "从A♭到C♯"),
    ("Template:Nbsp", "甲{{nbsp|3}}乙{{sp|文字}}", "甲 乙文字"),
    ("Template:Pi", "圆周率{{pi}}，{{pi|文字}}", "圆周率π，文字"),
    ("Template:Br", "甲句。{{br|2}}乙句。", "甲句。\n乙句。"),
    ("Template:℃", "油温180{{℃}}，谚：{{“}}一叶知秋{{”}}", "油温180℃，谚：“一叶知秋”"),
    ("Template:Angbr", "字母{{angbr|a}}", "字母⟨a⟩"),
    ("Template:Span-tt", "称为「{{span-tt|チャブ|Chabu}}」。", "称为“チャブ”。"),
]


@pytest.mark.parametrize(("page", "wikitext", "seen"), SHOWN)
def test_a_template_shows_its_text_in_the_sentence(page, wikitext, seen):
    assert clean_wikitext(wikitext) == seen, page


def test_an_identifier_in_a_reference_goes_with_it():
    assert clean_wikitext("句子<ref>书{{ISBN|978-1}}，{{doi|10.1/x}}</ref>。") == "句子。"


def test_no_text_becomes_a_country():
    """{{vie|v=Hồ}} is no 越南: in lower case, as templates of languages are, no name with text shows a country."""
    find, countries = finder(FAMILIES), set(ZHWIKI["countries"].values())
    for code in ZHWIKI["countries"]:
        for name in {code.lower(), code.capitalize(), code.upper()}:
            _, _, render = find(name)
            assert not render or render(find(name)[0], ["文字"], {}) not in countries, name


def test_no_renderer_stops_the_cleaning():
    words = ("", "5", "文字", "a", "1e5", "-", "²", "٣", "1.2.3", "to", "N", "(5)", "1e999", "9" * 5000)
    keys = ("e", "u", "display", "fmt", "name", "p", "b", "zh", "d", "j", "v", "id", "archive", "lit", "extra", "text")
    draw = random.Random(0)
    for family, names, render in FAMILIES:
        for name in draw.sample(names, min(len(names), 40)) if render else ():
            args = [draw.choice(words) for _ in range(draw.randint(0, 6))]
            named = {draw.choice(keys): draw.choice(words) for _ in range(draw.randint(0, 3))}
            assert isinstance(render(name.replace("*", "ru"), args, named), str), (family, name)
