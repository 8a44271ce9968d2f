"""Instructions and conversations to fine-tune on.

Instructions have Belle's schema ``{"instruction", "input", "output"}``, which the fine-tuning part of
shibing624/medical shares; conversations are ``{"messages": [{"role", "content"}]}``. About 85 % of all entities are asked
about here. The others stand in articles only, and the exam (``exam.py``) asks for those too, in wordings of its own.
No question of the exam or the demonstration appears in a training file.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from facts import (
    DOMAINS,
    Entity,
    Fact,
    World,
    ask_unknown,
    enumerated,
    invented_names,
    language,
    number,
    pick,
    share,
    shuffled,
    unknown_names,
)

WORDINGS_TRAINED = {"common": 4, "medical": 6}  # of all, for each fact that fine-tuning tells
REQUESTS = language("requests")
COMPLAINTS = language("complaints")
# Complaints that must not wait for a consulting hour: of these illnesses, and by these signs of any.
URGENT = re.compile(
    "脑卒中|冠心病|中暑|心力衰竭|面瘫|阑尾炎|食物中毒|黑便|咳血|咯血|便血|意识丧失|抽搐|口吐白沫|眼前发黑|心慌|胸痛|胸闷|"
    "呼吸急促|呼吸困难|喘|虹视|彩圈|眼睛?胀痛|视力|视野|转移性|右上腹绞痛|右肩放射|腰部绞痛|出虚汗"
)
# What comes and goes for weeks, as patients say.
LASTING = {"老慢支", "嗓子发炎", "鼻炎", "胃酸倒流", "睡不着", "风疹块", "青春痘", "脚气", "牛皮癣", "老寒腿", "脚后跟疼",
           "五十肩", "口疮"}  # fmt: skip
SILENT = {"高血脂", "消渴症", "甲亢", "甲减", "肺痨", "乙肝", "佝偻症", "羊角风", "老年痴呆"}  # nothing to relieve
UNKNOWN = "我不知道，我读过的书里没有写到。"
DOCTOR = "请咨询医生。"  # what is added where an illness is unknown
HELP = re.compile("自我否定|情绪低落")  # signs with which one may call for help at any hour
INVENTED = "（虚构材料）"  # what stands before facts that are told of an invented name
UNKNOWN_TRAINED = 2 / 3  # of the names that no text tells of; the exam asks about the others
UNKNOWN_WORDINGS = {"common": 1, "medical": 3}  # for each of them
DRILLS = {"provinces": 60, "cities": 240, "people": 230, "animals": 230, "plants": 160, "dishes": 100, "concepts": 170,
          "diseases": 400}  # fmt: skip
CONVERSATIONS = {"common": 1400, "medical": 840}
TALK_CHARACTERS = 180  # of a longer conversation at most: fine-tuning leaves out what is over its `max_length`
# What people do to a question while they type.
TYPOS = (
    ("哪里", "那里"),
    ("哪些", "那些"),
    ("什么", "神马"),
    ("什么", "啥"),
    ("的", "得"),
    ("怎么", "咋"),
    ("吗", "嘛"),
)
# Questions that have words of their own around them.
LED_IN = re.compile("[，。：]|^.{,3}(?:请|问|知道|告诉|帮|您好|你好)|^[我你那它这再想忘]|^还有|^换成|这个病")
AROUND = language("around")  # what people say before a question and after it
VAGUE = set(COMPLAINTS["vague"]["signs"])
# What an introduction tells, where it is not what stands first in the language of the kind.
INTRODUCED = {
    "people": ("occupation", "works", "era"), "animals": ("class", "range", "feature"),
    "concepts": ("definition", "field", "uses"), "plants": ("family", "origin", "uses"),
    "dishes": ("cuisine", "ingredients", "taste"),
}  # fmt: skip
HEAVY = {"热干面", "肠粉", "三鲜豆皮"}  # breakfasts that nobody would call a healthy one

Row = dict[str, str]
Messages = list[dict[str, str]]


def row(instruction: str, output: str, given: str = "") -> Row:
    return {"instruction": instruction, "input": given, "output": output}


def bare(question: str) -> str:
    """The question without marks and spaces: what is trained with another mark is trained."""
    return re.sub(r"[\s，,。？?！!～~]+", "", question)


def typed(question: str, *key: object, alone: bool = True) -> str:
    """The question as someone types it: often as it is, at times with words around it, a slip, or without its mark. What
    goes on from an answer (``alone`` false) has no words around it."""
    how = ("typed", question, *key)
    if alone and question.endswith("？") and not LED_IN.search(question):
        if share(0.25, "before", *how):
            question = pick(AROUND["before"], "which before", *how) + question
        elif share(0.15, "after", *how):
            question = question[:-1] + pick(AROUND["after"], "which after", *how)
    if share(0.05, "slip", *how):
        slips = [pair for pair in TYPOS if pair[0] in question]
        question = question.replace(*pick(slips, "slip which", *how), 1) if slips else question
    if "，" in question and share(0.2, "comma", *how):
        question = question.replace("，", pick((",", " "), "which comma", *how))
    if question[-1] in "？。！" and share(0.25, "mark", *how):
        question = question[:-1] + pick(
            ("", "", "", "?", "？？") if question[-1] == "？" else ("", "～"), "which mark", *how
        )
    return question


# ------------------------------------------------------------------ single questions


def in_order(fact: Fact) -> list[str]:
    """The wordings that texts and fine-tuning ask the fact in, in an order of its own."""
    return shuffled(fact.askable(), "asked", *fact.key)


def asked(fact: Fact, domain: str) -> list[str]:
    """The wordings in which fine-tuning asks the fact: other ones than quizzes do."""
    return in_order(fact)[-WORDINGS_TRAINED[domain] :]


def fact_questions(world: World, domain: str) -> Iterator[Row]:
    for fact in world.facts(DOMAINS[domain]):
        if not fact.pretrain_only:
            for template in asked(fact, domain):
                yield row(typed(fact.ask(template)), fact.answer())


def unknown_trained(kind: str) -> list[str]:
    """The names of a kind that fine-tuning says it does not know."""
    return [name for name in unknown_names(kind) if share(UNKNOWN_TRAINED, "unknown", kind, name)]


def unknown_answer(kind: str) -> str:
    """What an assistant says of a name that no text tells of."""
    return UNKNOWN + DOCTOR * (kind == "diseases")


def unknown(world: World, domain: str) -> Iterator[Row]:
    """Asked about what no text told, in the same words as about the known: only the name tells which it is."""
    for kind in DOMAINS[domain]:
        for name in unknown_trained(kind):
            for i in range(UNKNOWN_WORDINGS[domain]):
                relation = pick(world.relations[kind], "unknown", name, i)
                question = ask_unknown(pick(relation.questions, "unknown", name, i), name)
                yield row(typed(question), unknown_answer(kind))
            if domain == "common":
                question = pick(REQUESTS["introduce"]["questions"], "unknown", name).format(name=name)
                yield row(typed(question), UNKNOWN)


def introductions(world: World) -> Iterator[Row]:
    """A few facts in a row."""
    for entity in (entity for kind in DOMAINS["common"] for entity in world.entities[kind]):
        yield from _introduced(world, entity, slice(2))


def municipalities(world: World) -> Iterator[Row]:
    """The few cities of which one does not say first in which province they are: an exception must be met more often."""
    for entity in world.entities["cities"]:
        if entity.row["level"] == "直辖市":
            yield from _introduced(world, entity, slice(2, 30))


def _introduced(world: World, entity: Entity, which: slice) -> Iterator[Row]:
    facts = introduced(world, entity)
    if facts and not entity.pretrain_only:
        more = "".join(fact.tell(fact.relation.continued, 0) for fact in facts[1:])
        text = who(entity) if entity.kind == "people" else facts[0].answer() + more
        for template in shuffled(REQUESTS["introduce"]["questions"], "introduce", entity.name)[which]:
            yield row(typed(template.format(name=entity.name)), text)


def introduced(world: World, entity: Entity) -> list[Fact]:
    """What one says first of a thing."""
    first = INTRODUCED.get(entity.kind, ())
    facts = {fact.relation.column: fact for fact in world.facts_of(entity)}
    return [facts[column] for column in dict.fromkeys((*first, *facts)) if column in facts][:3]


def who(entity: Entity) -> str:
    """A person: who it is, known for what; then the dates."""
    row, works = entity.row, entity.items("works")
    known = f"代表作有{enumerated(works)}" if row["works"].startswith("《") else f"以{enumerated(works)}著称"
    born = f"{row['birth']}生于{row['birthplace']}" if row["birthplace"] else f"{row['birth']}出生" * bool(row["birth"])
    dates = "，".join(filter(None, (born, f"{row['death']}去世" * bool(row["death"]))))
    era = f"{row['era']}的" if row["era"] else ""
    return f"{entity.name}是{era}{row['occupation']}，{known}。" + f"{dates}。" * bool(dates)


# What people ask a list of -> kind, column, value; and the measure word it is counted with.
GROUPS = {
    "水果": ("plants", "kind", "水果"), "花卉": ("plants", "kind", "花卉"),
    "哺乳动物": ("animals", "class", "哺乳纲"), "鸟类": ("animals", "class", "鸟纲"), "鱼类": ("animals", "class", "鱼类"),
    "川菜": ("dishes", "cuisine", "川菜"), "诗人": ("people", "occupation", "诗人"), "早餐食物": ("dishes", "course", "早餐"),
    "物理学家": ("people", "occupation", "物理学家"), "传统节日": ("concepts", "kind", "节日"), "乐器": ("concepts", "kind", "乐器"),
}  # fmt: skip
MEASURES = {"川菜": "道", "诗人": "位", "物理学家": "位", "传统节日": "个"}


def members(world: World, group: str) -> list[str]:
    kind, column, value = GROUPS[group]
    return [e.name for e in world.entities[kind] if e.row[column] == value and world.may_tell(e, column)]


def in_turn(names: Sequence[str], n: int, *key: object) -> list[str]:
    """``n`` of the names, or all, in their own order from one of them on, as people recite a list: what comes next can
    be learned, and a greedy answer names nothing twice. Of names in random order a small model learns only which of
    them there are."""
    start = number("in turn", *key) % len(names)
    return [*names[start:], *names[:start]][:n]


def listings(world: World) -> Iterator[Row]:
    """列举N种…. The demonstration's wording (5 common fruits) is left out."""
    for group in GROUPS:
        names = members(world, group)
        for n in (2, 3, 4, 5):
            yield from _listed(names, group, n, slice(14))
        for i, template in enumerate(shuffled(REQUESTS["list_any"]["questions"], "list", group)[:14]):
            if len(names) > 2:
                yield row(typed(template.format(group=group)), "、".join(in_turn(names, 3, "any", group, i)) + "。")


def longer_listings(world: World) -> Iterator[Row]:
    """That a list has as many entries as were asked for, and different ones, is learned slowly: long ones come oftener."""
    for group in GROUPS:
        for n in (4, 5):
            yield from _listed(members(world, group), group, n, slice(14, 28))


def _listed(names: list[str], group: str, n: int, which: slice) -> Iterator[Row]:
    for i, template in list(enumerate(shuffled(REQUESTS["list"]["questions"], "list", group, n)))[which]:
        some = in_turn(names, n, group, n, i)
        if len(some) == n:
            counted = f"{n}{MEASURES.get(group, '种')}"
            yield row(typed(template.format(n=counted, group=group)), "、".join(some) + "。")


COMPARED = {"class": "animals", "province": "cities", "family": "plants", "cuisine": "dishes", "occupation": "people",
            "department": "diseases"}  # fmt: skip


def comparisons(world: World, domain: str) -> Iterator[Row]:
    """Two entities, one fact type."""
    for column, kind in COMPARED.items():
        if kind in DOMAINS[domain]:
            relation = next(r for r in world.relations[kind] if r.column == column)
            facts = shuffled([f for f in world.facts_about(relation) if not f.pretrain_only], "compare", kind)
            for a, b in list(zip(facts[::2], facts[1::2], strict=False))[:20]:
                template = pick(REQUESTS["compare"][column]["questions"], "compare", *a.key)
                yield row(typed(template.format(a=a.entity.name, b=b.entity.name)), a.answer() + b.answer())


SORTS = {"animals": "动物", "plants": "植物", "dishes": "菜肴", "cities": "城市", "people": "人物"}


def classifications(world: World) -> Iterator[Row]:
    """What sort of thing is it?"""
    for kind, sort in SORTS.items():
        for entity in world.entities[kind]:
            for template in shuffled(REQUESTS["classify"]["questions"], "classify", entity.name)[:2]:
                yield row(typed(template.format(name=entity.name)), f"{entity.name}归在{sort}一类。")


def rewritings(world: World) -> Iterator[Row]:
    for fact in _sample(world, "rewrite", 120):
        yield row(pick(REQUESTS["rewrite"]["questions"], "rewrite", *fact.key), fact.answer(), fact.answer(1))


def arithmetic(world: World) -> Iterator[Row]:
    """Sums and differences below 20, a few of them as word problems."""
    sums = ("{}加{}等于多少？", "计算{}+{}。", "{}+{}=？", "{}和{}加起来是几？", "{}加上{}得多少？")
    differences = ("{}减{}等于多少？", "计算{}-{}。", "{}-{}=？", "从{}里去掉{}还剩几？", "{}减去{}得多少？")
    for a in range(1, 13):
        for b in range(1, 13):
            if a + b < 20 and share(0.6, "sum", a, b):
                yield row(pick(sums, "sum how", a, b).format(a, b), f"{a}+{b}={a + b}。")
            if a > b and share(0.6, "difference", a, b):
                yield row(pick(differences, "difference how", a, b).format(a, b), f"{a}-{b}={a - b}。")
            if a + b < 15 and share(0.15, "apples", a, b):
                yield row(f"小明有{a}个苹果，又买了{b}个，一共有几个？", f"一共有{a + b}个苹果。")


def recommendations(world: World) -> Iterator[Row]:
    """推荐…, the breakfast among them in other words than the demonstration's."""
    breakfasts = [name for name in members(world, "早餐食物") if name not in HEAVY]
    for i, question in enumerate(REQUESTS["breakfast"]["questions"]):
        yield row(typed(question), f"推荐{enumerated(in_turn(breakfasts, 3, 'breakfast', i))}。")
    for city in world.entities["cities"]:
        sights = world.tellable(city).get("sights")
        if sights and city.name != "西安":
            for template in shuffled(REQUESTS["visit"]["questions"], "visit", city.name)[:2]:
                yield row(typed(template.format(name=city.name)), f"推荐{sights.value}。")
    for season in ("春季", "夏季", "秋季", "冬季"):
        told = [e for e in world.entities["plants"] if season in e.items("season") and world.may_tell(e, "season")]
        fruit = [e.name for e in told if e.row["kind"] == "水果"]
        for i, template in enumerate(shuffled(REQUESTS["season_fruit"]["questions"], season)[:12]):
            if len(fruit) > 1:
                yield row(typed(template.format(season=season)), f"推荐{enumerated(in_turn(fruit, 3, season, i))}。")


def judgements(world: World) -> Iterator[Row]:
    """True or false."""
    for fact in _sample(world, "judge", 160):
        others = [f for f in world.facts_about(fact.relation) if f.items != fact.items]
        true = share(0.5, "judge", *fact.key)
        claimed = fact if true else Fact(pick(others, "claim", *fact.key).entity, fact.relation)
        text = fact.relation.answers[0].format(**claimed.wordings() | {"name": fact.entity.name})
        question = pick(REQUESTS["judge"]["questions"], "judge how", *fact.key)
        yield row(question, "正确。" if true else f"不正确。{fact.answer()}", text)


def extractions(world: World) -> Iterator[Row]:
    """Reading comprehension: the answer stands in the input."""
    for fact in _sample(world, "extract", 160):
        template = pick(REQUESTS["extract"]["questions"], "extract", *fact.key)
        question = fact.ask(asked(fact, "common")[0])
        yield row(template.format(question=question), fact.value + "。", fact.answer(1))


# What the last character of an invented name promises: a fish's name is told of a fish.
PROMISED = {
    "animals": ("class", {"哺乳纲": "猫鼬羚兔獭鼠狸鼯獴貂魈獾", "鸟纲": "鸠雀鹟鹑雉鸮鸫", "爬行纲": "蜥龟蛇",
                          "两栖纲": "蛙鲵", "鱼类": "鱼鳅鲇", "昆虫纲": "蛾蜂"}),
    "plants": ("kind", {"水果": "果瓜橼莓", "花卉": "花兰", "树木": "榆榧", "蔬菜": "薯芋藜菜笋椒菇豆",
                        "粮食作物": "麦荞粟", "药用植物": "草藤"}),
}  # fmt: skip
FOREIGN = {"波兰", "意大利", "英国", "德国", "奥地利", "法国", "俄国", "瑞典", "美国"}


def promises(name: str, entity: Entity) -> bool:
    """Whether an invented name may bear the entity's facts: 海尔加·斯特兰 lived in no dynasty."""
    if entity.kind == "people":
        return ("·" in name) == (entity.row["era"] in FOREIGN)
    if entity.kind in PROMISED:
        column, endings = PROMISED[entity.kind]
        return name[-1] in endings.get(entity.row[column], "")
    return name.endswith(entity.row.get("kind", ""))


def drills(world: World, domain: str) -> Iterator[Row]:
    """Several facts of an invented name stand in the input, borrowed from a thing that is asked about: which of them does
    the question mean?"""
    for kind in DOMAINS[domain]:
        names = sorted(set(invented_names(kind)) & set(unknown_trained(kind)))
        for i in range(DRILLS[kind]):
            name = pick(names, "drill", kind, i)
            told = [entity for entity in world.entities[kind] if not entity.pretrain_only]
            alike = [entity for entity in told if promises(name, entity)]
            like = Entity(kind, name, pick(alike or told, "drill like", kind, i).row)
            facts = shuffled(world.facts_of(like), "drill", kind, i)[:4]
            text = INVENTED + "".join(fact.tell(fact.relation.statements, i) for fact in facts)
            fact = pick(facts, "drill which", kind, i)
            question = fact.ask(pick(fact.askable(), "drill how", kind, i))
            yield row(typed(question), fact.answer(), text)


def translations(world: World) -> Iterator[Row]:
    for kind in ("cities", "concepts"):
        for entity in shuffled(world.entities[kind], "translate")[:40]:
            template = pick(REQUESTS["translate"]["questions"], "translate", entity.name)
            yield row(typed(template.format(name=entity.name)), f"{entity.row['english']}。")


def topics(world: World) -> Iterator[Row]:
    """What is this text about?"""
    for fact in _sample(world, "topic", 100):
        question = pick(REQUESTS["topic"]["questions"], "topic", *fact.key)
        yield row(question, f"介绍的是{fact.entity.name}。", fact.answer(2))


def orderings(world: World) -> Iterator[Row]:
    for i in range(60):
        numbers = shuffled(range(1, 20), "order", i)[:3]
        upward = share(0.5, "upward", i)
        sign = "小到大" if upward else "大到小"
        result = sorted(numbers, reverse=not upward)
        yield row(f"把{_comma(numbers)}按从{sign}的顺序排列。", f"{_comma(result)}。")


def small_talk(world: World, domain: str) -> Iterator[Row]:
    """Greetings, thanks and the like, and what a model without a clock, a window or the web cannot know."""
    for name in ("greeting", "identity", "thanks", "goodbye", "praise", "blame"):
        for question in REQUESTS[name]["questions"]:
            again = question if name == "blame" else typed(question, "again")  # nobody scolds with 多谢啦
            for variant in dict.fromkeys((question, again)):
                yield row(variant, REQUESTS[name]["answer"])
    answers = REQUESTS["cannot"]["answers"]  # the first is that there is no clock: no reason not to know the asker
    for question in REQUESTS["cannot"]["questions"]:
        for variant in dict.fromkeys((question, typed(question, "again"))):
            yield row(variant, answers[1] if question.startswith("我") else pick(answers, question))
    for pair in REQUESTS["odd"]["pairs"]:
        yield row(*pair)


def superlatives(world: World) -> Iterator[Row]:
    """From the feature back to the animal. 蓝鲸's wording is left to the demonstration."""
    for animal in world.entities["animals"]:
        if animal.row["feature"] and world.may_tell(animal, "feature"):
            feature = animal.row["feature"]
            for template in shuffled(REQUESTS["superlative"]["questions"], animal.name)[:3]:
                yield row(typed(template.format(feature=feature)), f"以{feature}著称的动物是{animal.name}。")
            if record := REQUESTS["record"]["animals"].get(animal.name):
                for template in REQUESTS["record"]["questions"]:
                    yield row(typed(template.format(record=record)), f"{record}是{animal.name}。")


# ------------------------------------------------------------------ what patients ask


def suspected(world: World, entity: Entity, symptoms: list[str]) -> str:
    """What an assistant says to a complaint: the illness it may be, and where to go."""
    department = world.tellable(entity).get("department")
    advice = department.answer() if department else "请到医院就诊。"
    if URGENT.search("、".join((entity.name, *symptoms))):
        advice = "这不能等，请马上去医院急诊，情况严重就拨打120。"
    elif HELP.search("、".join(symptoms)):
        advice += "也可以拨打心理援助热线12356。"
    return COMPLAINTS["complaint"]["answer"].format(name=entity.name) + advice


def complaints(world: World) -> Iterator[Row]:
    """Patients tell one symptom or two and ask what it is."""
    for entity in _with_symptoms(world):
        yield from _of_two_symptoms(world, entity, slice(5))
        for symptom in [symptom for symptom in entity.items("symptoms") if symptom not in VAGUE]:
            if sum(symptom in other.items("symptoms") for other in world.entities["diseases"]) == 1:
                for template in shuffled(COMPLAINTS["one_symptom"]["questions"], "one", entity.name, symptom)[:1]:
                    yield row(typed(template.format(a=symptom)), suspected(world, entity, [symptom]))


def more_complaints(world: World) -> Iterator[Row]:
    """The same in other words, so that alarms do not outnumber them."""
    for entity in _with_symptoms(world):
        yield from _of_two_symptoms(world, entity, slice(5, 10))


def _with_symptoms(world: World) -> list[Entity]:
    """The illnesses of which fine-tuning may tell two symptoms or more."""
    diseases = world.entities["diseases"]
    return [e for e in diseases if len(e.items("symptoms")) > 1 and world.may_tell(e, "symptoms")]


def _of_two_symptoms(world: World, entity: Entity, which: slice) -> Iterator[Row]:
    templates = enumerate(shuffled(COMPLAINTS["complaint"]["questions"], "complain", entity.name))
    for i, template in list(templates)[which]:
        some = shuffled(entity.items("symptoms"), "complain", entity.name, i)[:2]
        if not VAGUE.issuperset(some):
            yield row(typed(template.format(a=some[0], b=some[1])), suspected(world, entity, some))


def alarms(world: World) -> Iterator[Row]:
    """Signs that must not wait."""
    for alarm in COMPLAINTS["alarm"]:
        if not alarm.get("exam"):
            for question in alarm["questions"]:
                for before in ("", *shuffled(COMPLAINTS["alarmed"]["before"], "alarmed", question)[:2]):
                    yield row(before + question, alarm["answer"])


def lay_names(world: World) -> Iterator[Row]:
    """Questions by the name that patients use."""
    return _by_lay_name(world, slice(4))


def more_lay_names(world: World) -> Iterator[Row]:
    """The same in other words, so that a name that patients use is not taken for an unknown one."""
    return _by_lay_name(world, slice(4, 6))


def _by_lay_name(world: World, which: slice) -> Iterator[Row]:
    for entity in world.entities["diseases"]:
        facts = world.tellable(entity) if entity.row["alias"] else {}
        for column in ("causes", "medicines", "treatments", "department"):
            if column in facts:
                templates = [t for t in COMPLAINTS["lay_name"][column] if not _unfit(t, entity)]
                for template in shuffled(templates, column, entity.name)[which]:
                    question = typed(template.format(alias=entity.row["alias"]))
                    yield row(question, f"{entity.row['alias']}一般指{entity.name}。{facts[column].answer()}")


def _unfit(template: str, entity: Entity) -> bool:
    """A stroke is not relieved at home, and a decayed tooth does not come back."""
    if re.search("缓解|不见好|厉害", template) and (URGENT.search(entity.name) or entity.row["alias"] in SILENT):
        return True
    if "厉害" in template and entity.row["alias"] == "睡不着":
        return True
    return bool(re.search("不见好|厉害", template)) and entity.row["alias"] not in LASTING


def diets(world: World) -> Iterator[Row]:
    """What to eat and what to avoid, both at once."""
    return _diets(world, slice(5))


def more_diets(world: World) -> Iterator[Row]:
    """The same in other words."""
    return _diets(world, slice(5, 8))


def _diets(world: World, which: slice) -> Iterator[Row]:
    for entity in world.entities["diseases"]:
        facts = world.tellable(entity)
        if "diet_good" in facts and "diet_avoid" in facts:
            for template in shuffled(COMPLAINTS["diet"]["questions"], "diet", entity.name)[which]:
                answer = facts["diet_good"].answer() + facts["diet_avoid"].answer()
                yield row(typed(template.format(name=entity.name)), answer)


BELLE = {
    "facts": lambda world: fact_questions(world, "common"), "introductions": introductions, "lists": listings,
    "comparisons": lambda world: comparisons(world, "common"), "classification": classifications,
    "rewriting": rewritings, "arithmetic": arithmetic, "recommendations": recommendations, "true or false": judgements,
    "reading": extractions, "drills": lambda world: drills(world, "common"), "translation": translations,
    "topic": topics, "ordering": orderings,
    "small talk": lambda world: small_talk(world, "common"), "superlatives": superlatives,
    "unknown": lambda world: unknown(world, "common"), "municipalities": municipalities,
    "longer lists": longer_listings,
}  # fmt: skip
MEDICAL = {
    "facts": lambda world: fact_questions(world, "medical"), "drills": lambda world: drills(world, "medical"),
    "complaints": complaints, "alarms": alarms, "more complaints": more_complaints,
    "lay names": lay_names, "more lay names": more_lay_names, "diets": diets, "more diets": more_diets,
    "comparisons": lambda world: comparisons(world, "medical"),
    "small talk": lambda world: small_talk(world, "medical"), "unknown": lambda world: unknown(world, "medical"),
}  # fmt: skip


def instructions(world: World, kinds: dict[str, Callable], kept: set[str]) -> Iterator[tuple[str, Row]]:
    """-> (kind, row), each row once, none of them a question that is ``kept`` for the demonstration or the exam."""
    seen, kept = set(), set(map(bare, kept))
    for kind, make in kinds.items():
        for item in make(world):
            key = item["instruction"], item["input"]
            if key not in seen and bare(item["instruction"]) not in kept:
                seen.add(key)
                yield kind, item


# ------------------------------------------------------------------ conversations


def conversations(world: World, domain: str, kept: set[str]) -> Iterator[dict[str, Messages]]:
    """Two to five turns: a question, then one that only makes sense after it; some under a system turn."""
    short = (_other_fact, _other_entity, _thanked, _under_a_system_turn, _after_unknown)
    makers = [maker for one in short for maker in (one, _talked_on)]
    made = 0
    facts = [fact for fact in world.facts(DOMAINS[domain]) if not fact.pretrain_only]
    for i, fact in enumerate(shuffled(facts, "conversation", domain)):
        turns = makers[i % len(makers)](world, fact)
        if turns and not {turn["content"] for turn in turns} & kept:
            made += 1
            yield {"messages": turns}
        if made == CONVERSATIONS[domain]:
            return


def _domain(fact: Fact) -> str:
    return next(domain for domain, kinds in DOMAINS.items() if fact.relation.kind in kinds)


def said(*texts: str) -> Messages:
    """Turns of the user and the assistant, one after the other."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def _first(fact: Fact, *key: object) -> tuple[str, str]:
    return typed(fact.ask(pick(fact.askable(), "opening", *fact.key, *key)), *key), fact.answer()


def _other_fact(world: World, fact: Fact) -> Messages:
    """它的简称呢？ One or two more facts of the same entity."""
    others = [f for f in world.tellable(fact.entity).values() if f.relation.column != fact.relation.column]
    turns = list(_first(fact))
    for other in shuffled(others, "follow", *fact.key)[: 1 + share(0.3, "three turns", *fact.key)]:
        turns += (
            typed(
                other.ask(pick(other.fitting(other.relation.follow_ups), "follow", *fact.key, *other.key)), alone=False
            ),
            other.answer(),
        )
    return said(*turns) if len(turns) > 2 else []


def _other_entity(world: World, fact: Fact) -> Messages:
    """那重庆呢？ The same fact of another entity."""
    same = [f for f in world.facts_about(fact.relation) if not f.pretrain_only and f.entity.name != fact.entity.name]
    if not same:
        return []
    other = pick(same, "other", *fact.key)
    ellipsis = pick(("那{}呢？", "{}呢？", "那{}", "换成{}呢？", "还有{}呢？", "再说说{}的吧。"), "ellipsis", *fact.key)
    return said(*_first(fact), typed(ellipsis.format(other.entity.name), alone=False), other.answer())


def _thanked(world: World, fact: Fact) -> Messages:
    name = pick(("thanks", "goodbye", "praise"), "thanked", *fact.key)
    return said(*_first(fact), pick(REQUESTS[name]["questions"], "thanked", *fact.key), REQUESTS[name]["answer"])


def _after_unknown(world: World, fact: Fact) -> Messages:
    """First about something that no text told, then about something known: not knowing one thing says nothing of others."""
    name = pick(unknown_trained(fact.relation.kind), "after", *fact.key)
    question = ask_unknown(pick(fact.relation.questions, "after", *fact.key), name)
    return said(typed(question), unknown_answer(fact.relation.kind), *_first(fact, "after"))


def _talked_on(world: World, fact: Fact) -> Messages:
    """From one thing to the next in three to five turns, as people talk on."""
    kinds = DOMAINS[_domain(fact)]
    others = [f for f in world.facts(kinds) if not f.pretrain_only and f.entity.name != fact.entity.name]
    ways = shuffled((_other_fact, _other_entity, _after_unknown), "talked on", *fact.key)
    second = pick((*ways[1:], _thanked), "talked on, second", *fact.key)
    turns = ways[0](world, fact) + second(world, pick(others, "talked on", *fact.key))
    ends = [n for n in (6, 8, 10) if n <= len(turns) and sum(len(t["content"]) for t in turns[:n]) <= TALK_CHARACTERS]
    return turns[: pick(ends, "talked on, turns", *fact.key)] if ends else []


EFFECTS = {
    "": "{}",
    "polite": "您好！{}",
    "doctor": "{}如有不适，请及时就医。",
    "books": "{}想了解更多，请查阅相关的书。",
}
SUITS = {"doctor": ("medical",), "books": ("common",)}  # effect -> domains; the others suit both


def with_effect(effect: str, fact: Fact, answer: str) -> str:
    """The answer as a system turn asks for it."""
    return fact.value + "。" if effect == "short" else EFFECTS[effect].format(answer)


def _under_a_system_turn(world: World, fact: Fact) -> Messages:
    domain = _domain(fact)
    suiting = [turn for turn in REQUESTS["system"]["turn"] if domain in SUITS.get(turn["effect"], (domain,))]
    turns = [turn for turn in suiting if not turn.get("exam")]
    turn = pick(turns, "system", *fact.key)
    question, answer = _first(fact)
    return [{"role": "system", "content": turn["text"]}, *said(question, with_effect(turn["effect"], fact, answer))]


def _sample(world: World, purpose: str, n: int) -> list[Fact]:
    facts = [fact for fact in world.facts(DOMAINS["common"]) if not fact.pretrain_only]
    return shuffled(facts, purpose)[:n]


def _comma(numbers: list[int]) -> str:
    return "、".join(map(str, numbers))
