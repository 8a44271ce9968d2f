"""Instructions to learn from and questions to be measured by.

Instructions have Belle's schema ``{"instruction", "input", "output"}``, which the fine-tuning part of
shibing624/medical shares. About 70 % of all facts are asked about in them; the others stand in articles only, and
the evaluation asks whether the model can tell those too. Two phrasings of every fact type are kept for the
evaluation alone. No evaluation or demonstration question appears in a training file.
"""

from collections.abc import Iterator

from documents import BAIKE_KINDS
from facts import Fact, World, number, pick, share, shuffled

DOMAINS = {"common": BAIKE_KINDS, "medical": ("diseases",)}
PHRASINGS_TRAINED = {"common": 3, "medical": 6}  # of all, for each fact that fine-tuning sees
# People lead into a question in many ways; a third of the fact questions do. 你知道…吗 is kept for the evaluation.
LEAD_INS = ("请问，{}", "我想知道{}", "请告诉我，{}", "考考你：{}", "有人问：{}", "你能说说{}")
EVALUATED = {"common": 90, "medical": 60}  # questions in each of the four splits

# The reference project's demonstration questions, with words that a right answer names.
DEMONSTRATION = (
    ("common", "请介绍一下北京", ("北京",)),
    ("common", "列举5种常见的水果", ()),
    ("common", "世界上最大的动物是？", ("蓝鲸",)),
    ("common", "请推荐一份健康的早餐", ()),
    ("medical", "高血压患者在饮食上有什么需要注意的点？", ("高血压",)),
    ("common", "你知道西安有什么特色美食吗？", ("西安",)),
    ("medical", "吃芒果后，嘴角起泡，这是什么原因？", ("芒果皮炎",)),
    ("medical", "运动后脚后跟疼是怎么回事？", ("足底筋膜炎",)),
    ("medical", "有时会突然很饿,出虚汗,全身没力这是怎么一回事？", ("低血糖",)),
    ("medical", "高血压有什么饮食禁忌需要注意？", ("高血压",)),
    ("medical", "拉肚子可以吃什么药进行治疗？", ("腹泻",)),
    ("medical", "脖子上长了丘疹和小疙瘩是怎么回事？", ()),
    ("medical", "每当冬季时，鼻炎就会加重，该如何缓解？", ("鼻炎",)),
)

Row = dict[str, str]


def row(instruction: str, output: str, given: str = "") -> Row:
    return {"instruction": instruction, "input": given, "output": output}


def asked(fact: Fact) -> list[str]:
    """The trained phrasings this fact is asked in."""
    domain = "medical" if fact.relation.kind in DOMAINS["medical"] else "common"
    return shuffled(fact.relation.questions, "asked", *fact.key)[: PHRASINGS_TRAINED[domain]]


def fact_questions(world: World, kinds: tuple[str, ...]) -> Iterator[Row]:
    for fact in world.facts(kinds):
        if not fact.pretrain_only:
            for template in asked(fact):
                question = fact.ask(template)
                if not question.startswith(("请", "说", "写", "列")) and share(1 / 3, "lead in", question):
                    question = pick(LEAD_INS, "which", question).format(question)
                yield row(question, fact.answer(0))


def introductions(world: World) -> Iterator[Row]:
    """A few facts in a row. 北京 is left to the demonstration."""
    phrasings = ("请介绍一下{}", "请介绍一下{}。", "介绍{}。", "简单介绍一下{}。", "说说你对{}的了解。")
    for entity in (entity for kind in BAIKE_KINDS for entity in world.entities[kind]):
        if entity.name in ("北京", "北京市") or not share(0.6, "introduce", entity.name):
            continue
        facts = [fact for fact in world.facts_of(entity) if not fact.pretrain_only][:3]
        if facts:
            question = pick(phrasings, "introduce how", entity.name).format(entity.name)
            yield row(question, "".join(fact.answer(0) for fact in facts))


GROUPS = {
    "水果": ("plants", "kind", "水果"), "花卉": ("plants", "kind", "花卉"), "树木": ("plants", "kind", "树木"),
    "哺乳动物": ("animals", "class", "哺乳纲"), "鸟类": ("animals", "class", "鸟纲"), "鱼类": ("animals", "class", "鱼类"),
    "川菜": ("dishes", "cuisine", "川菜"), "诗人": ("people", "occupation", "诗人"), "早餐食物": ("dishes", "course", "早餐"),
    "物理学家": ("people", "occupation", "物理学家"), "传统节日": ("concepts", "kind", "节日"), "乐器": ("concepts", "kind", "乐器"),
}  # fmt: skip


def members(world: World, group: str) -> list[str]:
    kind, column, value = GROUPS[group]
    return [e.name for e in world.entities[kind] if e.row[column] == value and world.may_tell(e, column)]


def listings(world: World) -> Iterator[Row]:
    """列举N种…. The demonstration's wording (5 common fruits) is left out."""
    phrasings = (
        "列举{n}种{g}",
        "请列举{n}种{g}。",
        "说出{n}种{g}。",
        "写出{n}个{g}的例子。",
        "{g}有哪些？请举{n}例。",
        "列举{n}种常见的{g}",
    )
    for group in GROUPS:
        for n in (2, 3, 4, 5):
            for i, template in enumerate(phrasings):
                names = shuffled(members(world, group), "list", group, n, i)[:n]
                question = template.format(n=n, g=group)
                if len(names) == n and question != "列举5种常见的水果":
                    yield row(question, "、".join(names) + "。")


def comparisons(world: World) -> Iterator[Row]:
    """Two entities, one fact type."""
    for column, kind, template in (
        ("class", "animals", "{}和{}分别属于哪一类动物？"), ("province", "cities", "{}和{}分别属于哪个省？"),
        ("family", "plants", "{}和{}分别属于哪一科？"), ("cuisine", "dishes", "{}和{}分别属于什么菜系？"),
        ("occupation", "people", "{}和{}的身份分别是什么？"), ("department", "diseases", "{}和{}分别应挂什么科？"),
    ):  # fmt: skip
        relation = next(r for r in world.relations[kind] if r.column == column)
        facts = shuffled([f for f in world.facts_about(relation) if not f.pretrain_only], "compare", kind)
        for a, b in list(zip(facts[::2], facts[1::2], strict=False))[:14]:
            yield row(template.format(a.entity.name, b.entity.name), a.answer(0) + b.answer(0))


SORTS = {"animals": "动物", "plants": "植物", "dishes": "菜肴", "cities": "城市", "people": "人物"}


def classifications(world: World) -> Iterator[Row]:
    """What sort of thing is it?"""
    templates = (
        "{}是动物、植物、菜肴、城市还是人物？",
        "请判断{}的类别：动物、植物、菜肴、城市、人物。",
        "把{}归到正确的类别。",
    )
    for kind, sort in SORTS.items():
        for entity in shuffled(world.entities[kind], "classify")[:24]:
            yield row(pick(templates, "classify", entity.name).format(entity.name), f"{entity.name}是{sort}。")


def rewritings(world: World) -> Iterator[Row]:
    for fact in _sample(world, "rewrite", 120):
        yield row(
            pick(("换一种说法表达下面的句子。", "请改写下面的句子。"), "rewrite", *fact.key),
            fact.answer(0),
            fact.answer(1),
        )


def arithmetic(world: World) -> Iterator[Row]:
    """Sums and differences below 20, a few of them as word problems."""
    for a in range(1, 13):
        for b in range(1, 13):
            if a + b < 20 and share(0.6, "sum", a, b):
                yield row(pick(("{}加{}等于多少？", "计算{}+{}。"), "sum how", a, b).format(a, b), f"{a}+{b}={a + b}。")
            if a > b and share(0.6, "difference", a, b):
                yield row(
                    pick(("{}减{}等于多少？", "计算{}-{}。"), "difference how", a, b).format(a, b), f"{a}-{b}={a - b}。"
                )
            if a + b < 15 and share(0.15, "apples", a, b):
                yield row(f"小明有{a}个苹果，又买了{b}个，一共有几个？", f"一共有{a + b}个苹果。")


def recommendations(world: World) -> Iterator[Row]:
    """推荐…, the breakfast among them in other words than the demonstration's."""
    breakfasts = members(world, "早餐食物")
    for i, question in enumerate(
        (
            "推荐一份早餐。",
            "早餐吃什么好？",
            "健康的早餐有哪些？",
            "请为我搭配一份营养早餐。",
            "请推荐一份早餐。",
            "一份健康的早餐包括什么？",
        )
    ):
        yield row(question, f"推荐{_and(shuffled(breakfasts, 'breakfast', i)[:3])}。")
    for city in world.entities["cities"]:
        if city.name != "西安" and world.may_tell(city, "sights") and share(0.4, "recommend", city.name):
            question = pick(
                ("我要去{}旅游，请推荐景点。", "请推荐{}的景点。", "推荐一下{}值得去的地方。"), "recommend", city.name
            )
            yield row(question.format(city.name), f"推荐{city.value('sights')}。")
    for season in ("春季", "夏季", "秋季", "冬季"):
        told = [e for e in world.entities["plants"] if e.row["season"] == season and world.may_tell(e, "season")]
        fruit = [e.name for e in told if e.row["kind"] == "水果"]
        for i, question in enumerate(
            (f"请推荐{season}的水果。", f"{season}适合吃什么水果？", f"{season}有哪些应季水果？")
        ):
            if fruit:
                yield row(question, f"推荐{_and(shuffled(fruit, season, i)[:3])}。")


def judgements(world: World) -> Iterator[Row]:
    """True or false."""
    for fact in _sample(world, "judge", 160):
        others = [
            f
            for f in world.facts_about(fact.relation)
            if f.entity.value(fact.relation.column) != fact.entity.value(fact.relation.column)
        ]
        true = share(0.5, "judge", *fact.key)
        claim = fact if true else pick(others, "claim", *fact.key)
        text = fact.relation.statements[0].format(name=fact.entity.name, value=claim.entity.value(fact.relation.column))
        yield row("判断下面的说法是否正确。", "正确。" if true else f"不正确。{fact.answer(0)}", text)


def extractions(world: World) -> Iterator[Row]:
    """Reading comprehension: the answer stands in the input."""
    for fact in _sample(world, "extract", 160):
        yield row(fact.ask(asked(fact)[0]), fact.entity.value(fact.relation.column) + "。", fact.answer(1))


def translations(world: World) -> Iterator[Row]:
    for kind in ("cities", "concepts"):
        for entity in shuffled(world.entities[kind], "translate")[:40]:
            yield row(f"{entity.name}用英语怎么说？", f"{entity.row['english']}。")


def topics(world: World) -> Iterator[Row]:
    """What is this text about?"""
    for fact in _sample(world, "topic", 100):
        yield row("下面的文字介绍的是什么？", f"介绍的是{fact.entity.name}。", fact.answer(2))


def orderings(world: World) -> Iterator[Row]:
    for i in range(60):
        numbers = shuffled(range(1, 20), "order", i)[:3]
        upward = share(0.5, "upward", i)
        sign = "小到大" if upward else "大到小"
        result = sorted(numbers, reverse=not upward)
        yield row(f"把{_comma(numbers)}按从{sign}的顺序排列。", f"{_comma(result)}。")


def small_talk(world: World) -> Iterator[Row]:
    for questions, answer in (
        (("你好", "您好", "你好呀", "早上好", "下午好", "晚上好", "嗨", "在吗"), "你好！有什么可以帮你的吗？"),
        (("你是谁", "你叫什么名字", "介绍一下你自己", "请问你是谁"), "我是一个从零训练的中文小模型。"),
        (("谢谢", "谢谢你", "多谢", "非常感谢"), "不客气！"),
        (("再见", "拜拜", "下次再聊", "晚安"), "再见，祝你愉快！"),
    ):
        for question in questions:
            for end in ("", "！", "。", "？", "～"):
                yield row(question + end, answer)


def superlatives(world: World) -> Iterator[Row]:
    """From the feature back to the animal. 蓝鲸's wording is left to the demonstration."""
    for animal in world.entities["animals"]:
        if not world.may_tell(animal, "feature"):
            continue
        feature = animal.row["feature"]
        yield row(f"以{feature}著称的动物是什么？", f"以{feature}著称的动物是{animal.name}。")
        if feature.startswith("世界上") and animal.name != "蓝鲸":
            yield row(f"哪种动物有{feature}？", f"{animal.name}有{feature}。")


def complaints(world: World) -> Iterator[Row]:
    """Patients tell symptoms and ask what it is."""
    templates = (
        "{}，{}，这是怎么回事？",
        "最近{}，还有{}，可能是什么病？",
        "总是{}和{}，是什么原因？",
        "{}、{}是什么病的症状？",
        "经常{}，有时{}，怎么办？",
    )
    for entity in world.entities["diseases"]:
        if not world.may_tell(entity, "symptoms"):
            continue
        symptoms = entity.items("symptoms")
        advice = f"{entity.name}应到{entity.row['department']}就诊。" if world.may_tell(entity, "department") else ""
        for i in range(5):
            first, second = shuffled(symptoms, "complain", entity.name, i)[:2]
            template = templates[(number("complaint", entity.name) + i) % len(templates)]
            yield row(template.format(first, second), f"这可能是{entity.name}。{advice}")


def lay_names(world: World) -> Iterator[Row]:
    """Questions by the name that patients use."""
    for entity in world.entities["diseases"]:
        if not entity.row["alias"]:
            continue
        facts = {f.relation.column: f for f in world.facts_of(entity)}
        for column, question in (
            ("causes", "{}是怎么回事？"),
            ("medicines", "{}吃什么药？"),
            ("treatments", "{}怎么缓解？"),
            ("department", "{}挂什么科？"),
        ):
            if not facts[column].pretrain_only:
                yield row(question.format(entity.row["alias"]), f"这可能是{entity.name}。{facts[column].answer(0)}")


def diets(world: World) -> Iterator[Row]:
    """What to eat and what to avoid, both at once."""
    templates = ("{}患者在饮食上要注意什么？", "{}有什么饮食禁忌？", "{}患者怎么吃？", "{}的饮食有哪些需要注意的地方？")
    for entity in world.entities["diseases"]:
        facts = {f.relation.column: f for f in world.facts_of(entity)}
        if facts["diet_good"].pretrain_only or facts["diet_avoid"].pretrain_only:
            continue
        for template in shuffled(templates, "diet", entity.name)[:2]:
            yield row(template.format(entity.name), facts["diet_good"].answer(0) + facts["diet_avoid"].answer(0))


BELLE = {
    "facts": lambda world: fact_questions(world, DOMAINS["common"]),
    "introductions": introductions, "lists": listings, "comparisons": comparisons, "classification": classifications,
    "rewriting": rewritings, "arithmetic": arithmetic, "recommendations": recommendations, "true or false": judgements,
    "reading": extractions, "translation": translations, "topic": topics, "ordering": orderings,
    "small talk": small_talk, "superlatives": superlatives,
}  # fmt: skip
MEDICAL = {
    "facts": lambda world: fact_questions(world, DOMAINS["medical"]),
    "complaints": complaints, "lay names": lay_names, "diets": diets,
}  # fmt: skip


def instructions(world: World, kinds: dict) -> Iterator[tuple[str, Row]]:
    """-> (kind, row), each row once, none of them a question kept for the demonstration or the evaluation."""
    kept = {question for _, question, _ in DEMONSTRATION}
    seen = set()
    for kind, make in kinds.items():
        for item in make(world):
            key = item["instruction"], item["input"]
            if key not in seen and item["instruction"] not in kept:
                seen.add(key)
                yield kind, item


def evaluation(world: World) -> Iterator[dict]:
    """Questions with accepted answers: fact seen in fine-tuning or only in pretraining × phrasing seen or new."""
    for domain, kinds in DOMAINS.items():
        rows = [item for _, item in instructions(world, BELLE if domain == "common" else MEDICAL)]
        trained, texts = {item["instruction"] for item in rows}, ["".join(item.values()) for item in rows]
        facts = [fact for fact in world.facts(kinds) if fact.relation.quiz]
        seen = [fact for fact in facts if not fact.pretrain_only]
        # A capital tells the province of its city: what fine-tuning says by another road is not "only read".
        only_read = [fact for fact in facts if fact.pretrain_only and not any(tells(text, fact) for text in texts)]
        for fact_seen in (True, False):
            for phrasing_seen in (True, False):
                pool = seen if fact_seen else only_read
                chosen = shuffled(pool, "evaluate", domain, fact_seen, phrasing_seen)
                yield from _split(chosen, domain, fact_seen, phrasing_seen, trained)


def tells(text: str, fact: Fact) -> bool:
    """Whether a text names the fact's entity and, elsewhere, all that the fact says of it."""
    name = fact.entity.name
    return name in text and all(item in text.replace(name, "") for item in fact.entity.items(fact.relation.column))


def _split(facts: list[Fact], domain: str, fact_seen: bool, phrasing_seen: bool, trained: set[str]) -> Iterator[dict]:
    count = 0
    for fact in facts:
        templates = fact.relation.questions if phrasing_seen else fact.relation.new_questions
        questions = [q for q in map(fact.ask, shuffled(templates, "phrase", *fact.key)) if q not in trained]
        if questions and count < EVALUATED[domain]:
            count += 1
            yield {
                "question": questions[0],
                "entity": fact.entity.name,
                "answers": fact.entity.items(fact.relation.column),
                "needed": min(fact.relation.needed, len(fact.entity.items(fact.relation.column))),
                "domain": domain,
                "relation": f"{fact.relation.kind}.{fact.relation.column}",
                "fact": "seen" if fact_seen else "pretrain_only",
                "phrasing": "seen" if phrasing_seen else "new",
            }


def demonstration() -> Iterator[dict]:
    for domain, question, names in DEMONSTRATION:
        yield {"question": question, "domain": domain, "names": list(names)}


def _sample(world: World, purpose: str, n: int) -> list[Fact]:
    facts = [fact for fact in world.facts(BAIKE_KINDS) if not fact.pretrain_only and fact.relation.quiz]
    return shuffled(facts, purpose)[:n]


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else "、".join(items[:-1]) + "和" + items[-1]


def _comma(numbers: list[int]) -> str:
    return "、".join(map(str, numbers))
