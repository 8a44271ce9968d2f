"""The fact base: one CSV a kind of entity, and the language of its columns (``language/<kind>.toml``).

A column is a fact type, a ``Relation``: how it is told in articles, asked in fine-tuning, asked in the exam, and
answered. Every choice the builder makes (which wording, which split) is a hash of what it is about, never the state of
a random generator. So the result is the same on every machine, and a new row changes nothing about the others.
"""

import csv
import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
FACTS, LANGUAGE = HERE.parent / "facts", HERE / "language"
KINDS = ("provinces", "cities", "people", "animals", "plants", "dishes", "concepts", "diseases")
DOMAINS = {"common": KINDS[:-1], "medical": KINDS[-1:]}
CITY_STATES = ("直辖市", "特别行政区")
CAPITALS = {"省会": "省", "首府": "自治区"}  # a word for the capital -> of which provinces it is said
# Column -> words of a question, and how a value ends that they suit: 物理学 is a 学科, 民俗 is none.
SUITED = {"class": ("纲", "纲"), "field": ("学科|学问|门课|科目|专家|学者|专业", "学")}
DYNASTY = "朝|[北南]宋|[西东][汉晋]|北魏"  # how an era of old China ends
# What questions call a value, by how it ends: 临着哪条江, 是哪个朝代的人.
CALLED = {
    "water": ("river", (("[河溪水]", "条河"), ("江", "条江"), ("[湖池]|洱海|纳帕海", "个湖"), ("海", "片海"), ("", "片水域"))),
    "age": ("era", ((DYNASTY, "哪个朝代"), ("时期", "哪个时期"), ("中国", "哪个时代"), ("", "哪个国家"))),
    "folk": ("era", ((DYNASTY, "哪朝人"), ("时期", "哪个时期的人"), ("中国", "哪个时代的人"), ("", "哪国人"))),
    "best": ("works", (("》", "代表作"), ("", "代表成就"))),
}  # fmt: skip
PRETRAIN_ONLY_SHARE = 0.15  # of all entities: told of in texts, no fact of theirs asked about in fine-tuning
DEMONSTRATED = {"北京", "低血糖"}  # never among those: the reference's demonstration asks about them

T = TypeVar("T")


def number(*key: object) -> int:
    """A large integer that depends on ``key`` alone."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:8], "big")


def pick(choices: Sequence[T], *key: object) -> T:
    """One of ``choices``, decided by ``key``."""
    return choices[number(*key) % len(choices)]


def shuffled(items: Sequence[T], *key: object) -> list[T]:
    """``items`` in an order decided by ``key``."""
    return [item for _, _, item in sorted((number(*key, i), i, item) for i, item in enumerate(items))]


def share(part: float, *key: object) -> bool:
    """True for a ``part`` (0 … 1) of all keys."""
    return number(*key) % 10_000 < part * 10_000


def language(name: str) -> dict:
    """The table of wordings ``language/<name>.toml``."""
    return tomllib.loads((LANGUAGE / f"{name}.toml").read_text(encoding="utf-8"))


def enumerated(items: Sequence[str], *, verbs: bool = False) -> str:
    """甲、乙和丙 of nouns; 甲、乙，并丙 of what someone does."""
    if len(items) < 2:
        return "".join(items)
    return "、".join(items[:-1]) + ("，并" if verbs else "和") + items[-1]


def called(row: dict[str, str]) -> dict[str, str]:
    """What questions call the values of an entity."""
    return {
        word: next(name for end, name in names if re.search(f"(?:{end})$", row.get(column, "")))
        for word, (column, names) in CALLED.items()
    }


@dataclass(frozen=True)
class Relation:
    """A fact type: a column of a kind, and its wordings. ``{name}`` stands for the entity, ``{value}`` for the items as
    nouns, ``{do}`` for the items as what someone does (where ``verbs``), ``{event}`` for the cell of that column: 提出,
    发明, 发现, whatever happened to a concept; ``{water}``, ``{age}``, ``{folk}`` and ``{best}`` for what its values are
    called."""

    kind: str
    column: str
    title: str  # of a list of this fact about several entities
    answers: tuple[str, ...]  # of an assistant; the first is the usual one
    statements: tuple[str, ...]
    continued: tuple[str, ...]  # after the name was said: a pronoun, or no subject
    phrases: tuple[str, ...]  # as a dictionary strings them together: 属四川省，别称蓉城
    questions: tuple[str, ...]  # of fine-tuning
    new_questions: tuple[str, ...]  # this and the next: of the exam alone
    everyday_questions: tuple[str, ...]
    follow_ups: tuple[str, ...]  # of a second turn
    new_follow_ups: tuple[str, ...]  # of the exam alone
    needed: int = 1  # of the items, that a right answer names
    verbs: bool = False


@dataclass(frozen=True)
class Pair:
    """Sentences that tell two facts of one entity."""

    columns: tuple[str, str]
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Entity:
    """One row of the fact base. ``name`` is how sentences call it."""

    kind: str
    name: str
    row: dict[str, str] = field(hash=False)

    @property
    def pretrain_only(self) -> bool:
        return self.name not in DEMONSTRATED and share(PRETRAIN_ONLY_SHARE, "split", self.kind, self.name)

    def items(self, column: str) -> list[str]:
        return self.row[column].split("、") if self.row[column] else []


@dataclass(frozen=True)
class Fact:
    """One entity and one fact type that holds for it."""

    entity: Entity
    relation: Relation

    @property
    def key(self) -> tuple[str, str, str]:
        return self.relation.kind, self.relation.column, self.entity.name

    @property
    def pretrain_only(self) -> bool:
        return self.entity.pretrain_only

    @property
    def items(self) -> list[str]:
        return self.entity.items(self.relation.column)

    @property
    def value(self) -> str:
        """The column as nouns in a sentence."""
        return "、".join(self.items) if self.relation.verbs else enumerated(self.items)

    def wordings(self) -> dict[str, str]:
        """What placeholders stand for."""
        words = {"name": self.entity.name, "event": self.entity.row.get("event", ""), **called(self.entity.row)}
        return words | {"value": self.value, "do": enumerated(self.items, verbs=True)}

    def tell(self, templates: Sequence[str], voice: int) -> str:
        """A sentence by one of ``templates``; as many voices as templates, each another."""
        order = shuffled(templates, "voice", *self.key)
        return order[voice % len(order)].format(**self.wordings())

    def fitting(self, templates: Sequence[str]) -> list[str]:
        """The templates whose words suit the fact: a 省 has a 省会, a 自治区 a 首府, a fish no 纲."""
        unfit = [word for word, kind in CAPITALS.items() if self.entity.row.get("kind") not in (kind, None)]
        words, end = SUITED.get(self.relation.column, ("", ""))
        unfit += [words] * (not self.value.endswith(end))
        return [text for text in templates if not any(re.search(word, text) for word in unfit)] or list(templates)

    def askable(self) -> list[str]:
        """The trained questions that suit it: nobody asks what a poem has contributed."""
        texts = self.fitting(self.relation.questions)
        if self.relation.column == "works" and self.value.endswith("》"):
            return [text for text in texts if not re.search("贡献|功绩|(?<!代表作或)成果", text)]
        return texts

    def answer(self, variant: int = 0) -> str:
        return self.relation.answers[variant % len(self.relation.answers)].format(**self.wordings())

    def ask(self, template: str) -> str:
        """A question for the fact, by any of its relation's."""
        return template.format(**self.wordings())


def load_entities() -> dict[str, list[Entity]]:
    """All entities by kind, in file order, with the names that sentences use."""
    rows = {kind: list(csv.DictReader((FACTS / f"{kind}.csv").open(encoding="utf-8"))) for kind in KINDS}
    full = {row["name"]: row["full_name"] for row in rows["provinces"]}
    for row in rows["provinces"]:
        row["short"], row["name"] = row["name"], row["full_name"]
    for row in rows["cities"]:
        is_its_own = row["province"] == row["name"] and row["level"] in CITY_STATES
        row["province"] = "" if is_its_own or not row["province"] else full[row["province"]]
    for row in rows["provinces"]:
        if row["kind"] in CITY_STATES:  # the city of the same name tells these
            row.update(capital="", foods="", sights="")
    return {kind: [Entity(kind, row["name"], row) for row in rows[kind]] for kind in KINDS}


def load_language(kind: str) -> tuple[list[Relation], list[Pair]]:
    """-> (the fact types of a kind, its sentences that tell two facts)."""
    tables = language(kind)
    pairs = [Pair(tuple(row["columns"]), tuple(row["statements"])) for row in tables.pop("pair", [])]
    relations = []
    for column, table in tables.items():
        texts = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        relations.append(Relation(kind, column, **texts))
    return relations, pairs


@dataclass(frozen=True)
class World:
    """Entities, fact types, and the facts they make."""

    entities: dict[str, list[Entity]]
    relations: dict[str, list[Relation]]
    pairs: dict[str, list[Pair]]

    @classmethod
    def load(cls) -> "World":
        spoken = {kind: load_language(kind) for kind in KINDS}
        relations, pairs = ({kind: both[i] for kind, both in spoken.items()} for i in (0, 1))
        return cls(load_entities(), relations, pairs)

    def facts_of(self, entity: Entity) -> list[Fact]:
        return [Fact(entity, relation) for relation in self.relations[entity.kind] if entity.row[relation.column]]

    def fact(self, entity: Entity, column: str) -> Fact | None:
        """The fact that a column holds, if there is one."""
        return next((fact for fact in self.facts_of(entity) if fact.relation.column == column), None)

    def tellable(self, entity: Entity) -> dict[str, Fact]:
        """The facts that fine-tuning may tell, by column."""
        return {fact.relation.column: fact for fact in self.facts_of(entity) if not fact.pretrain_only}

    def may_tell(self, entity: Entity, column: str) -> bool:
        """Whether fine-tuning may tell this: it is no fact that is kept for pretraining alone."""
        fact = self.fact(entity, column)
        return fact is None or not fact.pretrain_only

    def facts_about(self, relation: Relation) -> list[Fact]:
        return [Fact(entity, relation) for entity in self.entities[relation.kind] if entity.row[relation.column]]

    def facts(self, kinds: Sequence[str]) -> list[Fact]:
        return [fact for kind in kinds for entity in self.entities[kind] for fact in self.facts_of(entity)]


def ask_unknown(template: str, name: str) -> str:
    """A question about a name of which nothing is known: not even what happened to it."""
    words = called({"river": "河", "era": "" if "·" in name else "中国", "works": ""})
    return template.format(name=name, event="提出" if re.search("[谁者人位]|归功", template) else "出现", **words)


def unknown_names(kind: str) -> list[str]:
    """Names of a kind that no text of this world tells of, real ones and invented ones."""
    return _unknown(kind).split()


def invented_names(kind: str) -> list[str]:
    """Those of the unknown names that nothing has; they stand below the empty line of the file."""
    return _unknown(kind).split("\n\n")[1].split()


@cache
def _unknown(kind: str) -> str:
    return (HERE / "unknown" / f"{kind}.txt").read_text(encoding="utf-8")
