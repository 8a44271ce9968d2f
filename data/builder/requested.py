"""What the exam asks beside single facts: lists, recommendations, introductions; complaints, lay names, diets.

Each function yields ``(question, accepted answers, how many of them are needed)`` in the wordings that are kept for the
exam (``new_questions``). Every answer is one that fine-tuning may tell, in other wordings.
"""

from collections.abc import Iterator

from facts import DOMAINS, Entity, Fact, World, pick, shuffled
from questions import (
    COMPARED,
    COMPLAINTS,
    GROUPS,
    HEAVY,
    MEASURES,
    REQUESTS,
    SORTS,
    VAGUE,
    introduced,
    members,
)

Asked = Iterator[tuple[str, list[str], int]]


def wording(name: str, *key: object) -> str:
    return pick(REQUESTS[name]["new_questions"], "requested", name, *key)


def told(world: World, kinds: tuple[str, ...]) -> list[Entity]:
    """The entities that fine-tuning asks about."""
    return [entity for kind in kinds for entity in world.entities[kind] if not entity.pretrain_only]


def introductions(world: World) -> Asked:
    for entity in told(world, DOMAINS["common"]):
        facts = introduced(world, entity)
        if entity.kind == "people":  # an era alone does not say who it is
            facts = [fact for fact in facts if fact.relation.column != "era"]
        items = [item for fact in facts for item in fact.items if item not in entity.name]
        yield wording("introduce", entity.name).format(name=entity.name), items, 1


def listings(world: World) -> Asked:
    for group in GROUPS:
        names = members(world, group)
        for n in (2, 3, 4):
            counted = f"{n}{MEASURES.get(group, '种')}"
            yield wording("list", group, n).format(n=counted, group=group), names, n
        yield wording("list_any", group).format(group=group), names, 2


def recommendations(world: World) -> Asked:
    healthy = [name for name in members(world, "早餐食物") if name not in HEAVY]
    for question in REQUESTS["breakfast"]["new_questions"][:4]:
        yield question, healthy, 2
    for city in told(world, ("cities",)):
        sights = world.fact(city, "sights")
        if sights:
            yield wording("visit", city.name).format(name=city.name), sights.items, min(2, len(sights.items))


def classifications(world: World) -> Asked:
    for kind, sort in SORTS.items():
        for entity in told(world, (kind,)):
            yield wording("classify", entity.name).format(name=entity.name), [sort], 1


def comparisons(world: World) -> Asked:
    for column, kind in COMPARED.items():
        if kind in DOMAINS["common"]:
            facts = shuffled([fact for entity in told(world, (kind,)) if (fact := world.fact(entity, column))], column)
            for a, b in zip(facts[::2], facts[1::2], strict=False):
                question = pick(REQUESTS["compare"][column]["new_questions"], *a.key)
                items = list(dict.fromkeys((a.items[0], b.items[0])))
                yield question.format(a=a.entity.name, b=b.entity.name), items, len(items)


def superlatives(world: World) -> Asked:
    for animal in told(world, ("animals",)):
        if feature := animal.row["feature"]:
            yield wording("superlative", animal.name).format(feature=feature), [animal.name], 1


def translations(world: World) -> Asked:
    for entity in told(world, ("cities", "concepts")):
        yield wording("translate", entity.name).format(name=entity.name), [entity.row["english"]], 1


def judgements(world: World) -> Asked:
    for fact in _facts(world):
        other = pick([f for f in world.facts_about(fact.relation) if f.items != fact.items], "claim", *fact.key)
        for claimed, verdict in ((fact, "正确"), (Fact(other.entity, fact.relation), "不正确")):
            claim = fact.relation.answers[0].format(**claimed.wordings() | {"name": fact.entity.name})
            yield f"{wording('judge', *fact.key, verdict)}\n{claim}", [verdict], 1


def extractions(world: World) -> Asked:
    for fact in _facts(world):
        asked = pick(fact.fitting(fact.relation.new_questions), "extract", *fact.key)
        yield f"{wording('extract', *fact.key).format(question=fact.ask(asked))}\n{fact.answer(1)}", fact.items, 1


def topics(world: World) -> Asked:
    for fact in _facts(world):
        yield f"{wording('topic', *fact.key)}\n{fact.answer(2)}", [fact.entity.name], 1


def complaints(world: World) -> Asked:
    """Two signs. Right is every illness that has both."""
    for entity in told(world, ("diseases",)):
        some = shuffled(entity.items("symptoms"), "complaint asked", entity.name)[:2]
        if len(some) == 2 and not VAGUE.issuperset(some):
            question = pick(COMPLAINTS["complaint"]["new_questions"], entity.name).format(a=some[0], b=some[1])
            yield question, _having(world, some), 1


def single_complaints(world: World) -> Asked:
    for entity in told(world, ("diseases",)):
        for sign in entity.items("symptoms"):
            if sign not in VAGUE and len(_having(world, [sign])) == 1:
                yield pick(COMPLAINTS["one_symptom"]["new_questions"], sign).format(a=sign), [entity.name], 1


def lay_names(world: World) -> Asked:
    for entity in told(world, ("diseases",)):
        for column in ("causes", "medicines", "treatments", "department"):
            if entity.row["alias"] and (fact := world.fact(entity, column)):
                question = pick(COMPLAINTS["lay_name"][f"new_{column}"], entity.name)
                needed = min(fact.relation.needed, len(fact.items))
                yield question.format(alias=entity.row["alias"]), fact.items, needed


def diets(world: World) -> Asked:
    for entity in told(world, ("diseases",)):
        good, avoid = (world.fact(entity, column) for column in ("diet_good", "diet_avoid"))
        if good and avoid:
            question = pick(COMPLAINTS["diet"]["new_questions"], entity.name).format(name=entity.name)
            yield question, good.items, 1


def _facts(world: World) -> list[Fact]:
    return [fact for fact in world.facts(DOMAINS["common"]) if not fact.pretrain_only]


def _having(world: World, signs: list[str]) -> list[str]:
    return [other.name for other in world.entities["diseases"] if set(signs) <= set(other.items("symptoms"))]


# By what the exam calls it: the domain, and who makes the questions.
ASKED = {
    "request": ("common", (introductions, listings, recommendations, classifications, comparisons, superlatives,
                           translations, judgements, extractions, topics)),
    "complaint": ("medical", (complaints, single_complaints, lay_names, diets)),
}  # fmt: skip
