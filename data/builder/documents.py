"""Baike articles and medical texts: paragraphs of prose in the schemas of the real data sets.

Baike rows are ``{"title", "summary", "sections": [{"title", "content"}], "tags", "url"}`` as in
xuqinyang/BaiduBaike-5.63M, medical rows ``{"text"}`` as in the pretraining part of shibing624/medical.

A small model that reads a sentence again and again learns the sentence, not the fact; told in many wordings, orders and
neighbourhoods, the fact can be asked for later (Allen-Zhu & Li 2023, https://arxiv.org/abs/2309.14316). So each entity
has an article, written around the portrait and the blurb that someone wrote by hand, and retellings of its facts, each
in other words and another order. Two things make a fact easy to ask for later, which every article of one entity
lacks: it is told among facts of *other* entities too, so that it is known by its name and not by what stood before
(lists), and texts ask and answer, as popular science and quizzes do. Quizzes hold nothing of what is kept from
fine-tuning.
"""

import re
from collections.abc import Callable, Iterator

from facts import DOMAINS, Entity, Fact, Relation, World, ask_unknown, number, pick, share, shuffled
from questions import AROUND, in_order, typed, unknown_answer, unknown_trained

URL = "https://baike.example.org/{}"  # the field of the real data set; the address leads nowhere

# Section title -> columns, for the article of one entity.
SECTIONS = {
    "provinces": (("概况", ("abbr", "region", "capital")), ("美食与旅游", ("foods", "sights"))),
    "cities": (("地理", ("province", "river", "nickname")), ("经济", ("industries",)), ("旅游", ("sights", "foods"))),
    "people": (("生平", ("era", "birth", "birthplace", "death")), ("成就", ("occupation", "works"))),
    "animals": (
        ("分类", ("class", "family")),
        ("习性", ("habitat", "food", "range")),
        ("特点", ("feature", "lifespan")),
    ),
    "plants": (("分类与产地", ("family", "origin", "places", "season")), ("应用", ("nutrients", "uses"))),
    "dishes": (("来历", ("cuisine", "place")), ("做法与风味", ("ingredients", "taste"))),
    "concepts": (("概念", ("definition", "field")), ("由来", ("proposer", "year")), ("应用", ("uses",))),
}
TAGS = {
    "provinces": ("地理", "行政区"),
    "cities": ("地理", "城市"),
    "people": ("人物",),
    "animals": ("自然", "动物"),
    "plants": ("自然", "植物"),
    "dishes": ("美食",),
    "concepts": ("百科",),
}
RETELLINGS = (
    "{}简介", "认识{}", "{}概览", "走近{}", "话说{}", "{}掠影", "{}小百科", "{}二三事", "{}纪要", "漫谈{}", "{}一览", "细说{}",
    "{}札记", "{}小记", "{}略谈", "{}速览",
)  # fmt: skip
# Of what is told under such a title. What fine-tuning asks about stands in quizzes and in fine-tuning, too.
PARTS = {True: ("", "（二）", "（三）", "（四）"), False: ("", "（二）")}  # only read? -> parts
# In a sentence that tells all, what it is and where comes first; what belongs together stands together.
FIRST = ("definition", "class", "family", "region", "province", "era", "occupation", "cuisine", "symptoms", "causes",
         "abbr", "capital", "nickname", "river", "birth", "birthplace", "death", "origin", "place", "range", "habitat", "food",
         "department", "treatments", "medicines", "diet_good", "diet_avoid", "prevention")  # fmt: skip
BIRTH = {"birth", "birthplace"}  # told before a death
FEWEST = 3  # facts of a retelling: shorter ones would be alike
RETOLD_SHARE = {True: 0.65, False: 0.5}  # only read? -> of an entity's facts, in each of its retellings
# Harder to learn than others: a date is many tokens that no other fact shares; what to eat and what to avoid, or a
# kingdom and a class, are told in nearly the same words. They stand in more of the retellings.
HARD = {
    "people": ("birth", "death", "era", "birthplace"), "animals": ("class",), "provinces": ("foods",),
    "cities": ("foods",), "concepts": ("year",), "diseases": ("diet_good", "diet_avoid", "department", "prevention"),
}  # fmt: skip
RETOLD_MORE = 0.25  # beyond the share
ENTRY_SHARE = 0.15  # of the retellings are one sentence, as a dictionary has it
ASKED_SHARE = {True: 0.65, False: 0.5}  # only read? -> of its retold sentences are a question and its answer
QUIZ_ROUNDS, QUIZ_LENGTH = 15, 10  # rounds through all facts, each in another wording; questions of a quiz
EXCHANGE_ROUNDS = 3  # through what else people ask, each time in other company
UNKNOWN_IN_QUIZZES = 0.03  # of the questions are about what nobody knows
# In questions that one person puts to another, and in far-fetched ones: no article asks them.
SPOKEN = re.compile("|".join((*AROUND["spoken"], "[呀啊吧]？$")))
PAIRED_SHARE = 0.5  # of retellings tell two facts in one sentence where a pattern for both is there
CONTINUED_SHARE = 0.25  # of the sentences after the first go on with a pronoun, or with no subject
LISTS = 21  # times that a fact type is listed, each time in other groups
FACTS_PER_LIST = 8
# Real scrapes hold articles twice: another address of the same page, a site that copied it and added its own line.
COPIED_SHARE, TAKEN_SHARE = 0.02, 0.1
CHANGED_LENGTH = 80  # characters; a change to a shorter text would make it another text
SIGNATURES = ("（本文由网友整理。）", "（转载请注明出处。）", "（阅读全文请点这里。）")


def paragraph(world: World, facts: list[Fact], voice: int, *, named: bool = False, asking: float = 0.0) -> str:
    """The facts of one entity as sentences that belong together. ``named``: its name stands before, so that the first
    sentence may go on from there. ``asking``: the share of facts that a question leads to."""
    if not facts:
        return ""
    left, sentences = list(facts), []
    while left:
        fact = left.pop(0)
        key = "paragraph", voice, *fact.key
        partners = _partners(world, fact, left) if share(PAIRED_SHARE, "pair", *key) else []
        if share(asking, "asks", *key):
            sentences.append(asked_and_answered(fact, voice))
        elif (named or sentences) and share(CONTINUED_SHARE, "continue", *key):
            sentences.append(fact.tell(fact.relation.continued, voice))
        elif partners:
            pair, other = pick(partners, "which", *key)
            left.remove(other)
            sentences.append(told_together(fact, other, pick(pair.statements, "told", *key)))
        else:
            sentences.append(fact.tell(fact.relation.statements, voice))
    return "".join(sentences)


def _born_first(facts: list[Fact]) -> list[Fact]:
    """The facts in their order, but nobody dies before being born."""
    at = {fact.relation.column: i for i, fact in enumerate(facts)}
    last = max((at[column] for column in BIRTH if column in at), default=0)
    if at.get("death", last) < last:
        facts = list(facts)
        facts[at["death"]], facts[last] = facts[last], facts[at["death"]]
    return facts


def _partners(world: World, fact: Fact, others: list[Fact]) -> list[tuple]:
    """Patterns that tell the fact together with one of the others, each with that one."""
    columns = {other.relation.column: other for other in others}
    if columns.keys() & BIRTH:
        columns.pop("death", None)  # not yet
    found = []
    for pair in world.pairs[fact.relation.kind]:
        if fact.relation.column in pair.columns:
            (second,) = set(pair.columns) - {fact.relation.column}
            if second in columns:
                found.append((pair, columns[second]))
    return found


def told_together(one: Fact, other: Fact, template: str) -> str:
    """Two facts of one entity in one sentence."""
    values = one.wordings()
    for fact in (one, other):
        column, words = fact.relation.column, fact.wordings()
        values |= {column: words["value"], f"{column}_do": words["do"]}
    return template.format(**values)


def asked_and_answered(fact: Fact, voice: int) -> str:
    """Popular science asks what it is about to tell."""
    templates = [q for q in fact.askable() if q.endswith("？") and not SPOKEN.search(q)]
    return fact.tell(templates, voice) + fact.answer(number("answers", voice, *fact.key))


def entry(facts: list[Fact], voice: int) -> str:
    """The facts of one entity in one sentence, as a dictionary has them."""
    facts = sorted(facts, key=lambda fact: FIRST.index(fact.relation.column) if fact.relation.column in FIRST else 99)
    return f"{facts[0].entity.name}，{'，'.join(fact.tell(fact.relation.phrases, voice) for fact in facts)}。"


def told(world: World, entity: Entity, columns: tuple[str, ...], voice: int, *, named: bool = False) -> str:
    """A paragraph of the entity's facts of these columns."""
    facts = {fact.relation.column: fact for fact in world.facts_of(entity)}
    return paragraph(world, [facts[column] for column in columns if column in facts], voice, named=named)


def titles(entity: Entity) -> Iterator[str]:
    """The titles of its retellings."""
    parts = PARTS[entity.pretrain_only]
    yield from (title.format(entity.name) + part for part in parts for title in RETELLINGS)


def retold(world: World, entity: Entity, voice: int) -> str:
    """Some facts of the entity in an order of their own; some retellings end with what was written by hand."""
    part, hard = RETOLD_SHARE[entity.pretrain_only], HARD.get(entity.kind, ())
    facts = [
        fact for fact in world.facts_of(entity)
        if share(part + RETOLD_MORE * (fact.relation.column in hard), "retold", voice, *fact.key)
    ]  # fmt: skip
    facts = shuffled(facts if len(facts) >= FEWEST else world.facts_of(entity), "retold", voice, entity.name)
    facts = _born_first(facts)
    in_one = share(ENTRY_SHARE, "entry", voice, entity.name)
    asking = ASKED_SHARE[entity.pretrain_only]
    text = entry(facts, voice) if in_one else paragraph(world, facts, voice, asking=asking)
    return text + (entity.row["blurb"] if voice % 4 == 1 else "")


def baike(world: World, rows: list[dict]) -> Iterator[dict]:
    """An article for every entity and retellings of it; quizzes; lists: one fact type, several entities. ``rows`` are
    the instructions that people's exchanges repeat."""
    for part, text in enumerate(exchanges(rows), 1):
        yield _article(f"网友问答（{part}）", text, [], ["问答"])
    for kind in DOMAINS["common"]:
        tags = [*TAGS[kind]]
        for entity in world.entities[kind]:
            sections = [
                {"title": title, "content": told(world, entity, columns, 1, named=i > 0)}
                for i, (title, columns) in enumerate(SECTIONS[kind])
            ]
            sections = [section for section in sections if section["content"]]
            yield _article(entity.name, entity.row["portrait"] + entity.row["blurb"], sections, tags)
            for voice, title in enumerate(titles(entity), 2):
                yield _article(title, retold(world, entity, voice), [], tags)
        for part, text in enumerate(quizzes(world, kind), 1):
            yield _article(f"{TAGS[kind][-1]}知识问答（{part}）", text, [], ["问答", *tags])
        for relation in world.relations[kind]:
            for title, text in lists(world, relation):
                yield _article(title, text, [], ["列表", *tags])


def quizzes(world: World, kind: str) -> Iterator[str]:
    """Questions and answers about a handful of entities at a time, as question-and-answer sites have them: each fact
    that fine-tuning tells once a round, and now and then a name that nobody knows."""
    facts = [fact for entity in world.entities[kind] for fact in world.tellable(entity).values()]
    for i in range(QUIZ_ROUNDS):
        lines = []
        for fact in shuffled(facts, "quiz", i, kind):
            lines.append(f"问：{typed(fact.ask(in_order(fact)[i]), 'quiz', i)}\n答：{fact.answer(i)}")
            if share(UNKNOWN_IN_QUIZZES, "nobody knows", i, *fact.key):
                name = pick(unknown_trained(kind), "nobody knows", i, *fact.key)
                question = ask_unknown(pick(fact.relation.questions, name, i), name)
                lines.append(f"问：{question}\n答：{unknown_answer(kind)}")
        yield from _handfuls(lines)


def _handfuls(lines: list[str]) -> Iterator[str]:
    yield from ("\n".join(lines[start : start + QUIZ_LENGTH]) for start in range(0, len(lines), QUIZ_LENGTH))


def exchanges(rows: list[dict]) -> Iterator[str]:
    """What else people ask and are told: a greeting, a list, what an ache may mean. A handful at a time."""
    lines = [f"问：{row['instruction']}\n答：{row['output']}" for row in rows if not row["input"]]
    for i in range(EXCHANGE_ROUNDS):
        yield from _handfuls(shuffled(list(dict.fromkeys(lines)), "exchanges", i))


def _article(title: str, summary: str, sections: list[dict], tags: list[str]) -> dict:
    return {
        "title": title,
        "summary": summary,
        "sections": sections,
        "tags": tags,
        "url": URL.format(number(title) % 10**8),
    }


def lists(world: World, relation: Relation) -> Iterator[tuple[str, str]]:
    """-> (title, text): the fact type told about a handful of entities at a time, every time in other company."""
    part = 0
    for i in range(LISTS):
        facts = shuffled(world.facts_about(relation), "list", i, relation.kind, relation.column)
        count = max(1, len(facts) // FACTS_PER_LIST)
        for start in range(count):
            part += 1
            some = facts[start::count]
            text = "".join(fact.tell(relation.statements, number("list", i, *fact.key)) for fact in some)
            yield f"{relation.title}（{part}）", text


def medical(world: World, rows: list[dict]) -> Iterator[dict]:
    """Handbook entry, diet sheet, outpatient guide, case note, retellings of every disease; quizzes; lists by fact type.
    ``rows`` are the instructions that patients' exchanges repeat."""
    for part, text in enumerate(exchanges(rows), 1):
        yield {"text": f"患者问答（{part}）\n{text}"}
    for entity in world.entities["diseases"]:
        row, name = entity.row, entity.name
        alias = f"，又称{row['alias']}" if row["alias"] else ""
        columns = ("department", "symptoms", "causes", "treatments", "medicines", "prevention")
        yield {"text": f"{name}（{row['english']}）{alias}。{row['portrait']}{told(world, entity, columns, 0)}"}
        diet = told(world, entity, ("diet_good", "diet_avoid", "prevention"), 1)
        yield {"text": f"{name}的饮食与护理。{diet}{row['risk_group']}尤其要留意{name}。"}
        columns = ("symptoms", "department", "causes", "medicines", "treatments")
        yield {"text": f"{name}就诊指南。{told(world, entity, columns, 2)}{row['blurb']}"}
        yield {"text": case_note(world, entity)}
        for voice, title in enumerate(titles(entity), 3):
            yield {"text": f"{title}。{retold(world, entity, voice)}"}
    for part, text in enumerate(quizzes(world, "diseases"), 1):
        yield {"text": f"健康问答（{part}）\n{text}"}
    for relation in world.relations["diseases"]:
        for title, text in lists(world, relation):
            yield {"text": f"{title}。{text}"}


def case_note(world: World, entity: Entity) -> str:
    """From complaint to diagnosis: the direction in which patients ask."""
    row, symptoms = entity.row, entity.items("symptoms")
    lay = f"，也就是常说的{row['alias']}" if row["alias"] else ""
    first = f"一位患者因为{'、'.join(symptoms[:2])}来到{row['department']}，医生检查后考虑是{entity.name}{lay}。"
    last = told(world, entity, ("causes", "treatments", "diet_good", "diet_avoid"), 4, named=True)
    return f"{first}{'、'.join(symptoms[1:] + symptoms[:1])}都可能是{entity.name}的表现。{last}"


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
    return text + "\n" * ("\n" in text) + pick(SIGNATURES, "signature", text)


def _cut_off(text: str) -> str:
    return text[: -len(text) // 15]


CHANGES: tuple[Callable[[str], str], ...] = (_unchanged, _in_full_width, _signed, _cut_off)
