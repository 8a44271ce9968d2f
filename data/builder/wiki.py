"""A miniature zhwiki dump: articles with the markup that breaks naive cleaners, and the pages a cleaner must drop.

The format is that of pages-articles.xml (https://www.mediawiki.org/xml/export-0.11.xsd): a siteinfo block with
the namespaces, then one <page> with its latest <revision>. About one article in ten is written in traditional
characters, as on the real site.
"""

import re
from collections.abc import Iterator
from functools import cache, reduce
from xml.sax.saxutils import escape

from facts import KINDS, Entity, Fact, World, load_entities, number, pick, share, shuffled

NAMESPACES = {
    -2: "Media", -1: "Special", 0: "", 1: "Talk", 2: "User", 3: "User talk", 4: "Wikipedia", 5: "Wikipedia talk",
    6: "File", 7: "File talk", 8: "MediaWiki", 9: "MediaWiki talk", 10: "Template", 11: "Template talk", 12: "Help",
    13: "Help talk", 14: "Category", 15: "Category talk", 100: "Portal", 101: "Portal talk",
}  # fmt: skip
TRADITIONAL_SHARE = 0.12
# What a converter makes of a text, and what people write.
SLIPS = {
    "䴉": "鹮",
    "蔘": "參",
    "烤制": "烤製",
    "卷着": "捲着",
    "五千只": "五千隻",
    "千裡": "千里",
    "磨面": "磨麵",
    "制粉": "製粉",
    "制罐": "製罐",
}

# Words that mainland and Taiwanese Chinese say differently: real cases for -{zh-hans:…;zh-hant:…}-.
REGIONAL = {
    "计算机": "電腦", "软件": "軟體", "互联网": "網際網路", "信息": "資訊", "激光": "雷射", "人工智能": "人工智慧",
    "意大利": "義大利", "新西兰": "紐西蘭", "出租车": "計程車", "菠萝": "鳳梨", "土豆": "馬鈴薯", "质量": "品質",
    "海洋哺乳动物": "海洋哺乳類", "数字": "數位", "程序": "程式", "网络": "網路", "高血压": "高血壓",
}  # fmt: skip

# Sections of an article: heading -> columns. The lead holds the first tuple.
LAYOUT = {
    "provinces": (("", ("capital", "abbr")), ("地理", ("region",)), ("文化", ("foods", "sights"))),
    "cities": (
        ("", ("province", "nickname")),
        ("地理", ("river",)),
        ("经济", ("industries",)),
        ("文化", ("foods", "sights")),
    ),
    "people": (("", ("era", "occupation")), ("生平", ("birth", "birthplace", "death")), ("成就", ("works",))),
    "animals": (
        ("", ("class", "family")),
        ("分布与习性", ("range", "habitat", "food")),
        ("特征", ("feature", "lifespan")),
    ),
    "plants": (("", ("family", "origin")), ("栽培", ("season", "places")), ("成分与用途", ("nutrients", "uses"))),
    "dishes": (("", ("cuisine", "place")), ("做法", ("ingredients", "taste"))),
    "concepts": (("", ("definition", "field")), ("历史", ("proposer", "year")), ("应用", ("uses",))),
    "diseases": (("", ("department",)), ("症状", ("symptoms",)), ("病因", ("causes",))),
}
INFOBOX = {
    "provinces": ("Infobox settlement", {"name": "name", "region": "region", "population_total": "population"}),
    "cities": ("Infobox settlement", {"name": "name", "nickname": "nickname", "blank_info": "landform"}),
    "people": (
        "Infobox person",
        {"name": "name", "birth_date": "birth", "death_date": "death", "occupation": "occupation"},
    ),
    "animals": ("Taxobox", {"name": "name", "classis": "class", "familia": "family", "binomial": "latin"}),
    "plants": ("Taxobox", {"name": "name", "familia": "family", "binomial": "latin", "color": "colour"}),
    "dishes": ("Infobox food", {"name": "name", "country": "place", "main_ingredient": "ingredients"}),
    "concepts": ("Infobox", {"title": "name", "data1": "field", "data2": "kind"}),
    "diseases": ("Infobox medical condition", {"name": "name", "field": "department", "symptoms": "symptoms"}),
}
CATEGORY = {
    "provinces": "中华人民共和国省级行政区", "cities": "中国城市", "people": "历史人物", "animals": "动物", "plants": "植物",
    "dishes": "中国菜", "concepts": "术语", "diseases": "疾病",
}  # fmt: skip


# A life in one sentence.
LIFE = {"birth": "{name}{value}", "birthplace": "生于{value}，", "death": "{value}去世。"}
# How the first sentence says what the thing is.
LEAD = {
    "provinces": "是中国的一个{kind}",
    "cities": "是中国{province}的{level}",
    "people": "是{era}的{occupation}",
    "animals": "是{family}的{sort}动物",
    "plants": "是{family}的{kind}",
    "dishes": "是{cuisine}里的{course}",
    "concepts": "是{definition}",
    "diseases": "是一种{site}疾病",
}


def dump(world: World) -> str:
    """The whole dump as XML."""
    pages = [*articles(world), *lists(world), *not_articles(world)]
    body = "".join(_page(i, *page) for i, page in enumerate(pages, 1))
    names = "".join(
        f'      <namespace key="{key}" case="first-letter">{name}</namespace>\n' for key, name in NAMESPACES.items()
    )
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh">\n'
        "  <siteinfo>\n    <sitename>Wikipedia</sitename>\n    <dbname>zhwiki</dbname>\n"
        f"    <namespaces>\n{names}    </namespaces>\n  </siteinfo>\n{body}</mediawiki>\n"
    )


def _page(page_id: int, title: str, namespace: int, text: str, redirect: str = "") -> str:
    target = f'    <redirect title="{escape(redirect)}" />\n' if redirect else ""
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{page_id}</id>\n{target}"
        f"    <revision>\n      <id>{page_id + 100_000}</id>\n      <timestamp>2026-01-01T00:00:00Z</timestamp>\n"
        "      <contributor>\n        <username>Course</username>\n        <id>1</id>\n      </contributor>\n"
        "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>\n'
        "    </revision>\n  </page>\n"
    )


def articles(world: World) -> Iterator[tuple[str, int, str]]:
    """-> (title, namespace, wikitext) of one article for each entity. A title is given once, the first kind wins."""
    seen = set()
    for kind in KINDS:
        for entity in world.entities[kind]:
            title = entity.name if entity.name not in seen else f"{entity.name} ({CATEGORY[kind]})"
            seen.add(title)
            text = article(world, entity)
            if share(TRADITIONAL_SHARE, "traditional", kind, entity.name):
                title, text = _traditional(title), _traditional(text)
            yield title, 0, text


def article(world: World, entity: Entity) -> str:
    """One article in wikitext."""
    parts = [_preamble(entity), _infobox(entity)]
    for heading, told in sections(world, entity):
        sentences = [_marked_up(fact, sentence) for fact, sentence in told]
        if not heading:
            # What was written by hand leaves out its subject, so it stands in the same paragraph.
            rest = "".join((*sentences, _reference(entity), _variants(entity.row["blurb"])))
            parts.append(_lead(entity) + rest)
        elif sentences:
            parts.append(f"== {heading} ==")
            parts.append(_ornament(entity, heading) + "".join(sentences) + _short_reference(entity, heading))
    parts.append(_tail(entity))
    return "\n".join(part for part in parts if part) + "\n"


def sections(world: World, entity: Entity) -> Iterator[tuple[str, list[tuple[Fact, str]]]]:
    """-> (heading, facts with their sentences): the plainest, which name the entity once a section."""
    facts = {fact.relation.column: fact for fact in world.facts_of(entity)}
    for heading, columns in LAYOUT[entity.kind]:
        said = () if heading else said_first(entity)
        if heading == "生平" and all(column in facts for column in columns):
            yield heading, [(facts[c], facts[c].tell((LIFE[c],), 0)) for c in columns]
            continue
        told = [facts[column] for column in columns if column in facts and column not in said]
        plainest = [fact.relation.continued[:1] for fact in told]
        if heading and told:
            plainest[0] = told[0].relation.statements[:1]
        yield heading, [(fact, fact.tell(templates, 0)) for fact, templates in zip(told, plainest, strict=True)]


def _preamble(entity: Entity) -> str:
    notices = (
        "",
        "{{refimprove|time=2020-01-01T00:00:00+00:00}}",
        "{{Otheruses|其他用法|%s (消歧义)}}" % entity.name,
        "<!-- 请勿删除此注释\n{{ -->",
    )
    note = pick(
        ("", "", "{{noteTA|G1=Unit|1=zh-hans:信息;zh-hant:資訊;}}", "-{H|zh-cn:网络;zh-tw:網路;}-"), "note", entity.name
    )
    return "\n".join(filter(None, (pick(notices, "notice", entity.name), note)))


def _infobox(entity: Entity) -> str:
    template, fields = INFOBOX[entity.kind]
    rows = [f"| {key} = {entity.row[column]}" for key, column in fields.items() if entity.row.get(column)]
    rows.append("| image = {{CSS image crop|Image = %s.jpg|bSize = 300}}" % entity.name)
    rows.append(
        "| note = {{nowrap|另见{{link-en|list of items|List of items}}}}<ref>{{cite book|title=手册|year=2010}}</ref>"
    )
    return "{{%s\n%s\n}}" % (template, "\n".join(rows))


def _lead(entity: Entity) -> str:
    """'''名称'''（外文名，生卒），是…: what naive cleaners turn into （，）."""
    row = entity.row
    if entity.kind == "people":
        foreign = "" if row["courtesy"] else "{{lang-en|%s}}" % row["foreign_name"]
        called = "字" if len(row["courtesy"]) < 3 else "号"  # 字太白, but 号易安居士
        courtesy = f"，{called}[[{row['courtesy']}]]" if row["courtesy"] else ""
        dates = _bd(row["birth"], row["death"])
        known = "，".join(filter(None, (foreign, dates)))
        aside = (f"（{known}）" if known else "") + courtesy
    elif "latin" in row:
        aside = "（[[学名]]：{{lang|la|''%s''}}）" % row["latin"]
    else:
        aside = "（{{lang-en|%s}}）" % row["english"]
    return f"'''{entity.name}'''{aside}，{what_it_is(entity)}。"


def what_it_is(entity: Entity) -> str:
    """What the first sentence says behind the name."""
    row = entity.row
    # A Latin name of one word is that of a group.
    sort = "一种" if " " in row.get("latin", "") else "一类"
    what = LEAD[entity.kind].format(**row | {"sort": sort, "family": row.get("family") or row.get("class", "")})
    if what.endswith("的") and entity.kind == "cities":
        what += "城市"
    elif what.endswith("的"):  # what it is, is left open
        what = row["portrait"].removeprefix(entity.name).lstrip("，").rstrip("。")
    return what


def said_first(entity: Entity) -> set[str]:
    """The columns that the first sentence tells."""
    columns = set(re.findall(r"{(\w+)}", LEAD[entity.kind])) - {"sort"}
    if all(entity.row.get(column) for column in columns):
        return columns
    return {"animals": {"class"}, "cities": {"province"}}.get(entity.kind, set())


def _bd(birth: str, death: str) -> str:
    """{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}}; without both dates nothing."""
    if not birth or not death:
        return ""
    return "{{bd|%s|%s|catIdx=X}}" % ("|".join(_year_and_day(birth)), "|".join(_year_and_day(death)))


def _year_and_day(date: str) -> tuple[str, str]:
    year, _, day = date.partition("年")
    return f"{year}年", day


def _marked_up(fact: Fact, sentence: str) -> str:
    """A fact's sentence with a link, bold or variant markup around its items."""
    for item in fact.items:
        style = pick(
            ("{0}", "{0}", "[[{0}]]", "[[{0}|{0}]]", "[[{0} (条目)|{0}]]", "-{{{0}}}-", "'''{0}'''"),
            "style",
            item,
            *fact.key,
        )
        sentence = sentence.replace(item, style.format(item), 1)
    return sentence


def _variants(text: str) -> str:
    """Write words that differ between regions as -{zh-hans:…;zh-hant:…}-."""
    for simplified, other in REGIONAL.items():
        text = text.replace(simplified, f"-{{zh-hans:{simplified};zh-hant:{other};}}-", 1)
    return text


def _reference(entity: Entity) -> str:
    return pick(
        (
            "<ref>{{cite web |url=https://www.example.org/%d |title=%s |accessdate=2020-01-01 |publisher=[[出版社]]}}</ref>"
            % (number("url", entity.name) % 9999, entity.name),
            "<ref name=\"source\">《'''%s'''》，第3页。</ref>" % entity.name,
            "{{sfn|王|2001|p=12}}",
            "",
        ),
        "ref",
        entity.name,
    )


def _short_reference(entity: Entity, heading: str) -> str:
    return pick(
        (
            "",
            '<ref name="source" />',
            "{{r|source}}",
            "{{来源请求}}",
            "<ref name=b>{{cite journal|title=研究}}\n多行注释</ref>",
        ),
        "short",
        entity.name,
        heading,
    )


def _ornament(entity: Entity, heading: str) -> str:
    """Something to drop before a section's first sentence."""
    name = entity.name
    return pick(
        (
            "", "", "",
            f"[[File:{name} 01.jpg|thumb|right|250px|{name}的[[照片|一张{{{{link-en|照片|Photo}}}}]]，摄于2010年]]\n",
            f"[[文件:{name}.svg|缩略图|{name}示意图]]\n",
            '{| class="wikitable"\n|+ 统计\n! 年份 !! 数值\n|-\n| 2010 || 12\n|-\n| 2020 || {{formatnum:3456}}\n|}\n',
            f"<gallery mode=packed>\nFile:{name} a.jpg|图一\nFile:{name} b.jpg|[[图]]二\n</gallery>\n",
            "{{main|%s列表}}\n" % heading,
            "{{multiple image|width=150|image1=%s b.jpg|caption1={{lang|zh|远景}}|caption2=[[近景]]}}\n" % name,
        ),
        "ornament", name, heading,
    )  # fmt: skip


def _tail(entity: Entity) -> str:
    category = CATEGORY[entity.kind]
    return (
        f"== 参见 ==\n* [[{category}列表]]\n* {{{{le|Example|Example}}}}\n\n== 参考文献 ==\n{{{{Reflist|30em}}}}\n\n"
        f"== 外部链接 ==\n* [https://www.example.org/ {entity.name}的网站]\n* {{{{Commons category|{entity.name}}}}}\n\n"
        f"{{{{Authority control}}}}\n{{{{DEFAULTSORT:{entity.name}}}}}\n[[Category:{category}]]\n[[en:{entity.kind}]]"
    )


def lists(world: World) -> Iterator[tuple[str, int, str]]:
    """A list article for each kind, with bullets and nested templates."""
    for kind in KINDS:
        names = shuffled([entity.name for entity in world.entities[kind]], "list", kind)[:24]
        bullets = "\n".join(
            f"* [[{name}]]" + ("{{flagicon|CHN}}" if i % 3 == 0 else "") for i, name in enumerate(names)
        )
        text = f"以下是'''{CATEGORY[kind]}列表'''的一部分。\n\n{bullets}\n\n== 参考文献 ==\n{{{{Reflist}}}}\n[[Category:列表]]\n"
        yield f"{CATEGORY[kind]}列表", 0, text


def not_articles(world: World) -> Iterator[tuple]:
    """Pages of every sort that a cleaner must drop."""
    for city in world.entities["cities"][:24]:
        word = pick(("#重定向", "#REDIRECT", "#redirect", "#重新導向"), "redirect", city.name)
        yield f"{city.name}城区", 0, f"{word} [[{city.name}]]\n{{{{R from alternative name}}}}", city.name
    for person in world.entities["people"][:12]:
        end = pick(("{{disambig}}", "{{消歧义}}", "{{Disambig|人名}}", "{{人名消歧义}}"), "disambig", person.name)
        yield (
            f"{person.name} (消歧义)",
            0,
            f"'''{person.name}'''可以指：\n* [[{person.name}]]，历史人物。\n* [[{person.name} (电影)]]，一部电影。\n* [[{person.name}路]]，一条道路。\n{end}\n",
        )
    for i, name in enumerate(
        ("Bd", "Lang-en", "Reflist", "Cite web", "NoteTA", "Infobox person", "Taxobox", "Le", "Main", "Quote box")
    ):
        yield (
            f"Template:{name}",
            10,
            "<includeonly>{{{1|}}}{{#if:{{{2|}}}|（{{{2}}}）}}</includeonly><noinclude>模板说明第%d号。{{documentation}}</noinclude>"
            % i,
        )
    for name in CATEGORY.values():
        yield f"Category:{name}", 14, f"本分类收录有关{name}的条目，请参看主条目。\n[[Category:主题]]"
    for name in ("首页", "互助客栈", "五大支柱", "格式手册", "新手入门"):
        yield f"Wikipedia:{name}", 4, f"本页面说明维基百科的{name}，供编者参考，并不是百科条目。"
    for name in ("地理", "医学"):
        yield f"Portal:{name}", 100, f"欢迎来到{name}主题首页，这里汇集了有关{name}的条目。"
    yield "File:Example.jpg", 6, "== 摘要 ==\n一张示例图片，用于演示文件名字空间的页面。"
    yield "Help:编辑页面", 12, "本页介绍如何编辑页面，点击编辑按钮即可开始修改文字。"
    yield "MediaWiki:Sidebar", 8, "* navigation\n** mainpage|mainpage-description"
    yield "小条目", 0, "{{stub}}\n待写。"


@cache
def _converter():
    import opencc

    to_traditional, to_common, back = (opencc.OpenCC(way).convert for way in ("s2t", "t2tw", "t2s"))

    def convert(text: str) -> str:
        # 吃 and 為, not 喫 and 爲. But 着 stays: 著 does not come back.
        text = "着".join(to_common(part) for part in to_traditional(text).split("着"))
        for wrong, right in SLIPS.items():
            text = text.replace(wrong, right)
        return text

    names = {}
    for kind in KINDS:
        for entity in load_entities()[kind]:
            name = entity.row.get("traditional", "")
            if back(name) == entity.name and convert(entity.name) != name:
                names[convert(entity.name)] = name
    return convert, names


def _traditional(text: str) -> str:
    """Text as a writer of traditional characters types it. What stands in -{ }- is locked, and stays."""
    convert, names = _converter()
    parts = []
    for part in re.split(r"(-\{[^{}]*\}-)", text):
        if not part.startswith("-{"):
            part = reduce(lambda text, pair: text.replace(*pair), names.items(), convert(part))
        parts.append(part)
    return "".join(parts)
