"""The exam: questions with accepted answers, of which none stands in a training file, and the demonstration's.

A question asks about a fact that fine-tuning told (``fact`` is ``seen``) or that only articles tell
(``pretrain_only``), in a wording of fine-tuning (``phrasing`` is ``seen``), one of other construction (``new``) or as
people talk (``everyday``). The facts that were only read are asked in five wordings each, which share a ``group``: are
all five answered alike? The rest asks about what no text told or what cannot be known (``unknown``), in a second turn
(``second turn``, with a ``history``), for what must not wait (``alarm``), for lists, recommendations and the like
(``request``, ``requested.py``), as patients do (``complaint``), and for courtesy (``manners``).
"""

from collections.abc import Callable, Iterator
from itertools import islice

import requested
from facts import DOMAINS, Fact, World, ask_unknown, pick, shuffled, unknown_names
from questions import COMPLAINTS, REQUESTS, said, unknown_trained

GROUPS = {"common": 60, "medical": 40}  # facts that were only read, five wordings each
SEEN = {"common": 60, "medical": 40}  # questions about facts of fine-tuning, in each phrasing
UNKNOWN = {"common": 80, "medical": 40}
SECOND_TURNS = {"common": 60, "medical": 40}
REQUESTS_EACH = 8  # of each kind in ``requested.ASKED``
# Of a group's five wordings: which list, and how many.
FIVE = (("seen", 1), ("new", 1), ("everyday", 3))
WORDINGS = {"seen": "questions", "new": "new_questions", "everyday": "everyday_questions"}
DECLINED = "我不知道"
# What a right answer says: one of these.
MANNERS = {"greeting": ["你好", "您好"], "thanks": ["不客气"], "identity": ["模型"], "goodbye": ["再见"],
           "praise": ["谢谢", "过奖"], "blame": ["对不起", "抱歉"]}  # fmt: skip
Taken = Callable[[str], bool]

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
DEMONSTRATED = {question for _, question, _ in DEMONSTRATION}


def demonstration() -> Iterator[dict]:
    for domain, question, names in DEMONSTRATION:
        yield {"question": question, "domain": domain, "names": list(names)}


def exam(world: World, taken: dict[str, Taken], texts: dict[str, list[str]]) -> Iterator[dict]:
    """All questions. ``taken`` says by domain whether fine-tuning or a text asks one; ``texts`` are the rows of
    fine-tuning, question and answer."""
    for domain, kinds in DOMAINS.items():
        facts = world.facts(kinds)
        seen = [fact for fact in facts if not fact.pretrain_only]
        # A capital tells the province of its city: what fine-tuning says by another road is not "only read".
        longer = Longer(facts)
        only_read = [f for f in facts if f.pretrain_only and not any(tells(text, f, longer) for text in texts[domain])]
        yield from _groups(shuffled(only_read, "groups", domain), domain, taken[domain])
        for phrasing in WORDINGS:
            count = 0
            for fact in shuffled(seen, "seen", domain, phrasing):
                if count < SEEN[domain] and (questions := _wordings(fact, phrasing, taken[domain], 1)):
                    count += 1
                    yield _question(questions[0], domain, fact, phrasing)
        yield from _second_turns(world, shuffled(facts, "second turn", domain), domain)
        yield from _unknown(world, domain)
    for alarm in COMPLAINTS["alarm"]:
        if alarm.get("exam"):
            for question in alarm["questions"]:
                yield _row(question, "medical", "alarm", "new", answers=["120", "就医", "急诊", "医院"])
    for question in REQUESTS["cannot"]["new_questions"]:
        yield _row(question, "common", "unknown", "new", answers=[DECLINED])
    for fact, (domain, makers) in requested.ASKED.items():
        for make in makers:
            rows = shuffled({row[0]: row for row in make(world)}.values(), make.__name__)
            for question, answers, needed in islice((row for row in rows if not taken[domain](row[0])), REQUESTS_EACH):
                yield _row(question, domain, fact, "new", answers=answers, needed=needed)
    for name, answers in MANNERS.items():
        for question in (q for q in REQUESTS[name]["new_questions"] if not taken["common"](q)):
            yield _row(question, "common", "manners", "new", answers=answers)


def _groups(facts: list[Fact], domain: str, taken: Taken) -> Iterator[dict]:
    count = 0
    for fact in facts:
        found = [(phrasing, _wordings(fact, phrasing, taken, n), n) for phrasing, n in FIVE]
        if count < GROUPS[domain] and all(len(questions) == n for _, questions, n in found):
            count += 1
            for phrasing, questions, _ in found:
                for question in questions:
                    yield _question(question, domain, fact, phrasing, group=f"{domain} {count}")


def _wordings(fact: Fact, phrasing: str, taken: Taken, n: int) -> list[str]:
    """At most ``n`` questions for the fact that no one asks elsewhere, of one sort of wording."""
    templates = shuffled(fact.fitting(getattr(fact.relation, WORDINGS[phrasing])), "exam", phrasing, *fact.key)
    return list(islice((question for question in map(fact.ask, templates) if not taken(question)), n))


def _second_turns(world: World, facts: list[Fact], domain: str) -> Iterator[dict]:
    """First a question about another fact of the entity, one that fine-tuning told; then one with a pronoun."""
    count = 0
    for fact in facts:
        others = [f for f in world.tellable(fact.entity).values() if f.relation.column != fact.relation.column]
        if others and count < SECOND_TURNS[domain]:
            count += 1
            first = pick(others, "first turn", *fact.key)
            question = pick(first.fitting(first.relation.questions), "first turn", *fact.key)
            history = said(first.ask(question), first.answer())
            asked = fact.ask(pick(fact.fitting(fact.relation.new_follow_ups), "second turn", *fact.key))
            yield _question(asked, domain, fact, "second turn", history=history)


def _unknown(world: World, domain: str) -> Iterator[dict]:
    names = [
        (kind, name)
        for kind in DOMAINS[domain]
        for name in sorted(set(unknown_names(kind)) - set(unknown_trained(kind)))
    ]
    for kind, name in shuffled(names, "unknown", domain)[: UNKNOWN[domain]]:
        relation = pick(world.relations[kind], "exam", name)
        phrasing = pick(tuple(WORDINGS), "exam phrasing", name)
        question = ask_unknown(pick(getattr(relation, WORDINGS[phrasing]), "exam", name), name)
        where = f"{kind}.{relation.column}"
        yield _row(question, domain, "unknown", phrasing, answers=[DECLINED], entity=name, relation=where)


def _question(question: str, domain: str, fact: Fact, phrasing: str, **more: object) -> dict:
    return _row(
        question, domain, "pretrain_only" if fact.pretrain_only else "seen", phrasing, answers=fact.items,
        entity=fact.entity.name, needed=min(fact.relation.needed, len(fact.items)),
        relation=f"{fact.relation.kind}.{fact.relation.column}", **more,
    )  # fmt: skip


def _row(
    question: str, domain: str, fact: str, phrasing: str, *, answers: list[str], entity: str = "", needed: int = 1,
    relation: str = "", group: str = "", history: list | None = None,
) -> dict:  # fmt: skip
    return {
        "question": question, "history": history or [], "entity": entity, "answers": answers, "needed": needed,
        "domain": domain, "relation": relation, "fact": fact, "phrasing": phrasing, "group": group,
    }  # fmt: skip


class Longer:
    """Which names and values of the world contain a value and say something else: 青海湖 and 青岛 for 青."""

    def __init__(self, facts: list[Fact]):
        self.words = {fact.entity.name for fact in facts} | {item for fact in facts for item in fact.items}
        self.found: dict[str, list[str]] = {}

    def than(self, item: str) -> list[str]:
        if item not in self.found:
            self.found[item] = sorted((w for w in self.words if item in w and w != item), key=len, reverse=True)
        return self.found[item]


def tells(text: str, fact: Fact, longer: Longer) -> bool:
    """Whether a text names the fact's entity and, elsewhere and not within a longer name, all that the fact says."""
    name = fact.entity.name
    if name not in text:
        return False
    for item in fact.items:
        left = text
        for word in (name, *longer.than(item)):
            left = left.replace(word, "\0")
        if item not in left:
            return False
    return True
