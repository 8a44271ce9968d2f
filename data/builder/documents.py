"""Baike articles and medical texts: plain prose in the schemas of the real data sets.

Baike rows are ``{"title", "summary", "sections": [{"title", "content"}], "tags", "url"}`` as in
xuqinyang/BaiduBaike-5.63M, medical rows ``{"text"}`` as in the pretraining part of shibing624/medical.
Each fact is told in several voices (phrasings), because a small model can only be asked about what it has
read in more than one way (Allen-Zhu & Li 2023, https://arxiv.org/abs/2309.14316).
"""

from collections.abc import Callable, Iterator

from facts import Entity, Relation, World, pick, share, shuffled

BAIKE_KINDS = ("provinces", "cities", "people", "animals", "plants", "dishes", "concepts")
URL = "https://baike.example.org/item/{}"  # the field of the real data set; the address leads nowhere

# Section title -> columns, for the article of one entity.
SECTIONS = {
    "provinces": (("概况", ("abbr", "region", "capital")), ("美食与旅游", ("foods", "sights"))),
    "cities": (("地理", ("province", "river", "nickname")), ("经济", ("industries",)), ("旅游", ("sights", "foods"))),
    "people": (("生平", ("birth", "birthplace", "death")), ("成就", ("works",))),
    "animals": (
        ("分类", ("class", "family")),
        ("习性", ("habitat", "food", "range")),
        ("特点", ("feature", "lifespan")),
    ),
    "plants": (("分类与产地", ("family", "origin", "places")), ("应用", ("nutrients", "uses"))),
    "dishes": (("来历", ("cuisine", "place")), ("做法与风味", ("ingredients", "taste"))),
    "concepts": (("由来", ("proposer", "year")), ("应用", ("uses",))),
}
TAGS = {
    "provinces": ("地理", "行政区"),
    "cities": ("地理", "城市"),
    "people": ("人物",),
    "animals": ("动物", "自然"),
    "plants": ("植物", "自然"),
    "dishes": ("美食",),
    "concepts": ("百科知识",),
}
# What a list of one fact type about several entities is called.
THEMES = {
    ("provinces", "capital"): "各省的省会与首府",
    ("provinces", "abbr"): "各省的简称",
    ("provinces", "region"): "省级行政区的地理分区",
    ("provinces", "foods"): "各省美食",
    ("provinces", "sights"): "各省名胜",
    ("cities", "province"): "城市所在的省份",
    ("cities", "nickname"): "城市的别称",
    ("cities", "foods"): "城市美食地图",
    ("cities", "sights"): "城市旅游指南",
    ("cities", "industries"): "城市的产业",
    ("cities", "river"): "城市与江河湖海",
    ("people", "birth"): "名人的生年",
    ("people", "death"): "名人的卒年",
    ("people", "era"): "名人的时代与国别",
    ("people", "occupation"): "名人的身份",
    ("people", "birthplace"): "名人的故乡",
    ("people", "works"): "名人的成就",
    ("animals", "class"): "动物的分类",
    ("animals", "family"): "动物的科",
    ("animals", "food"): "动物的食物",
    ("animals", "habitat"): "动物的家园",
    ("animals", "range"): "动物的分布",
    ("animals", "lifespan"): "动物的寿命",
    ("animals", "feature"): "动物之最与特点",
    ("plants", "family"): "植物的科",
    ("plants", "season"): "植物的时令",
    ("plants", "origin"): "植物的原产地",
    ("plants", "places"): "植物的产地",
    ("plants", "nutrients"): "植物的成分",
    ("plants", "uses"): "植物的用途",
    ("dishes", "cuisine"): "菜肴与菜系",
    ("dishes", "place"): "菜肴的发源地",
    ("dishes", "ingredients"): "菜肴的主料",
    ("dishes", "taste"): "菜肴的口味",
    ("concepts", "field"): "概念与领域",
    ("concepts", "definition"): "概念小词典",
    ("concepts", "proposer"): "发现与发明的人",
    ("concepts", "year"): "发现与发明的年代",
    ("concepts", "uses"): "知识的应用",
    ("diseases", "department"): "看病挂什么科",
    ("diseases", "symptoms"): "常见病的症状",
    ("diseases", "causes"): "常见病的病因",
    ("diseases", "treatments"): "常见病的治疗",
    ("diseases", "medicines"): "常见病的用药",
    ("diseases", "diet_good"): "患者宜吃的食物",
    ("diseases", "diet_avoid"): "患者忌吃的食物",
    ("diseases", "prevention"): "常见病的预防",
}
# A small model must meet a fact in several wordings, orders and neighbourhoods before it can be asked about it; a text
# repeated is learned by heart instead (Allen-Zhu & Li 2023). So each entity has portraits with its facts in another
# order, and each fact type is listed several times in other groups. Voices: the wiki speaks in 0, articles in 1.
PORTRAITS = (("{}简介", 2), ("认识{}", 3), ("{}小档案", 5), ("{}概览", 0), ("{}掠影", 1), ("话说{}", 4))
THEME_VOICES = (4, 5, 0, 2, 3, 1, 5, 4)
FACTS_PER_THEME = 6
# Real scrapes hold articles twice: another address of the same page, a site that copied it and added its own line.
COPIED_SHARE, TAKEN_SHARE = 0.02, 0.1
CHANGED_LENGTH = 80  # characters; a change to a shorter text would make it another text
SIGNATURES = ("（本文由网友整理。）", "（转载请注明出处。）", "（阅读全文请点这里。）")
NUMERALS = "一二三四五六七八九十"


def told(world: World, entity: Entity, columns: tuple[str, ...], voice: int) -> str:
    """The entity's facts of these columns, a sentence each."""
    facts = {fact.relation.column: fact for fact in world.facts_of(entity)}
    return "".join(facts[column].state(voice) for column in columns if column in facts)


def baike(world: World) -> Iterator[dict]:
    """An article for every entity, then list articles: one fact type, several entities."""
    for kind in BAIKE_KINDS:
        for entity in world.entities[kind]:
            yield _article(world, entity)
            for title, voice in PORTRAITS:
                title = title.format(entity.name)
                text = portrait(world, entity, voice)
                yield {"title": title, "summary": text, "sections": [], "tags": [*TAGS[kind]], "url": URL.format(title)}
        for relation in world.relations[kind]:
            for title, text in themes(world, relation):
                yield {
                    "title": title,
                    "summary": text,
                    "sections": [],
                    "tags": ["列表", *TAGS[kind]],
                    "url": URL.format(title),
                }


def _article(world: World, entity: Entity) -> dict:
    sections = [
        {"title": title, "content": told(world, entity, columns, 1)} for title, columns in SECTIONS[entity.kind]
    ]
    told_below = {column for _, columns in SECTIONS[entity.kind] for column in columns}
    rest = tuple(r.column for r in world.relations[entity.kind] if r.column not in told_below)
    return {
        "title": entity.name,
        "summary": told(world, entity, rest, 1) or entity.row["blurb"],
        "sections": [section for section in sections if section["content"]],
        "tags": [*TAGS[entity.kind]],
        "url": URL.format(entity.name),
    }


def portrait(world: World, entity: Entity, voice: int) -> str:
    """All facts of the entity in an order of their own."""
    return "".join(fact.state(voice) for fact in shuffled(world.facts_of(entity), "portrait", voice, entity.name))


def themes(world: World, relation: Relation) -> Iterator[tuple[str, str]]:
    """-> (title, text): the fact type told about a handful of entities at a time, every voice in other company."""
    part = 0
    for i, voice in enumerate(THEME_VOICES):
        facts = shuffled(world.facts_about(relation), "theme", i, relation.kind, relation.column)
        for start in range(0, len(facts), FACTS_PER_THEME):
            part += 1
            text = "".join(fact.state(voice) for fact in facts[start : start + FACTS_PER_THEME])
            yield f"{THEMES[relation.kind, relation.column]}（{_chinese_number(part)}）", text


def _chinese_number(n: int) -> str:
    """1 … 199 in Chinese characters."""
    if n > 99:
        rest = n - 100
        return "一百" + ("" if not rest else ("零" if rest < 10 else "一" if rest < 20 else "") + _chinese_number(rest))
    tens, ones = divmod(n, 10)
    head = "" if tens == 0 else ("十" if tens == 1 else NUMERALS[tens - 1] + "十")
    return head + (NUMERALS[ones - 1] if ones else "")


def medical(world: World) -> Iterator[dict]:
    """Handbook entry, diet sheet, outpatient guide, case note, portraits of every disease; lists by fact type."""
    for entity in world.entities["diseases"]:
        alias = f"又称{entity.row['alias']}，" if entity.row["alias"] else ""
        columns = ("department", "symptoms", "causes", "treatments", "medicines", "prevention")
        yield {
            "text": f"{entity.name}（{entity.row['english']}），{alias}是{entity.row['site']}的疾病或不适。"
            f"{told(world, entity, columns, 0)}{entity.row['blurb']}"
        }
        yield {
            "text": f"{entity.name}的饮食与护理。{told(world, entity, ('diet_good', 'diet_avoid', 'prevention'), 1)}"
            f"{entity.row['risk_group']}尤其要注意{entity.name}。"
        }
        yield {
            "text": f"{entity.name}就诊指南。{told(world, entity, ('symptoms', 'department', 'causes', 'medicines'), 2)}"
            f"{told(world, entity, ('treatments',), 1)}"
        }
        yield {"text": case_note(world, entity)}
        for title, voice in PORTRAITS:
            yield {"text": f"{title.format(entity.name)}。{portrait(world, entity, voice)}"}
    for relation in world.relations["diseases"]:
        for title, text in themes(world, relation):
            yield {"text": f"{title}。{text}"}


def case_note(world: World, entity: Entity) -> str:
    """From complaint to diagnosis: the direction in which patients ask."""
    first, second, *_ = entity.items("symptoms")
    lay = f"，也就是常说的{entity.row['alias']}" if entity.row["alias"] else ""
    return (
        f"有{first}、{second}等表现的患者到{entity.row['department']}就诊，医生考虑是{entity.name}{lay}。"
        f"如果出现{entity.value('symptoms')}，很可能是{entity.name}。"
        f"{told(world, entity, ('causes', 'treatments', 'diet_good', 'diet_avoid'), 4)}"
    )


# ------------------------------------------------------------------ copies


def copies_of_baike(articles: list[dict]) -> Iterator[dict]:
    """Articles a second time, at another address and changed as copyists change them."""
    for article in articles:
        if share(COPIED_SHARE, "copy", article["url"]):
            yield {**article, "summary": _changed(article["summary"]), "url": article["url"] + "?from=copy"}


def copies_of_medical(texts: list[dict], articles: list[dict]) -> Iterator[dict]:
    """Medical texts a second time, and articles on plants that a medical site took over from Baike."""
    for row in texts:
        if share(COPIED_SHARE, "copy", row["text"]):
            yield {"text": _changed(row["text"])}
    for row in articles:
        if "植物" in row["tags"] and not row["sections"] and share(TAKEN_SHARE, "taken", row["url"]):
            yield {"text": _changed(f"{row['title']}\n{row['summary']}")}


def _changed(text: str) -> str:
    return pick(CHANGES if len(text) >= CHANGED_LENGTH else CHANGES[:2], "change", text)(text)


def _unchanged(text: str) -> str:
    return text


def _in_full_width(text: str) -> str:
    """Digits and letters as wide as ideographs, and marks that nobody sees: the same text to a reader."""
    return "\u3000\u3000" + "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text) + "\u200b"


def _signed(text: str) -> str:
    return text + pick(SIGNATURES, "signature", text)


def _cut_off(text: str) -> str:
    return text[: -len(text) // 15]


CHANGES: tuple[Callable[[str], str], ...] = (_unchanged, _in_full_width, _signed, _cut_off)
