"""The fact base: one CSV a kind of entity, and the fact types (`relations.toml`) that turn columns into language.

Every choice the builder makes (which phrasing, which split) is a hash of what it is about, never the state of a
random generator. So the result is the same on every machine, and a new row changes nothing about the others.
"""

import csv
import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
FACTS = HERE.parent / "facts"
KINDS = ("provinces", "cities", "people", "animals", "plants", "dishes", "concepts", "diseases")
CITY_STATES = ("直辖市", "特别行政区")
PRETRAIN_ONLY_SHARE = 0.3  # of all facts: stated in articles, never asked about in fine-tuning

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


@dataclass(frozen=True)
class Entity:
    """One row of the fact base. ``name`` is how sentences call it."""

    kind: str
    name: str
    row: dict[str, str] = field(hash=False)

    def items(self, column: str) -> list[str]:
        return self.row[column].split("、") if self.row[column] else []

    def value(self, column: str) -> str:
        """The column as it reads in a sentence: 甲、乙和丙."""
        items = self.items(column)
        return items[0] if len(items) == 1 else "、".join(items[:-1]) + "和" + items[-1]


@dataclass(frozen=True)
class Relation:
    """A fact type: how a column is stated, asked and answered."""

    kind: str
    column: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    new_questions: tuple[str, ...]
    needed: int = 1
    quiz: bool = True


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
        return share(PRETRAIN_ONLY_SHARE, "split", *self.key)

    def state(self, voice: int) -> str:
        """The fact as a sentence; different voices use different phrasings."""
        order = shuffled(self.relation.statements, "voice", *self.key)
        return self._fill(order[voice % len(order)])

    def answer(self, variant: int) -> str:
        return self._fill(self.relation.statements[variant % 3])

    def ask(self, template: str) -> str:
        return template.format(name=self.entity.name)

    def _fill(self, template: str) -> str:
        return template.format(name=self.entity.name, value=self.entity.value(self.relation.column))


def load_entities() -> dict[str, list[Entity]]:
    """All entities by kind, in file order, with the names that sentences use."""
    rows = {kind: list(csv.DictReader((FACTS / f"{kind}.csv").open(encoding="utf-8"))) for kind in KINDS}
    full = {row["name"]: row["full_name"] for row in rows["provinces"]}
    for row in rows["provinces"]:
        row["short"], row["name"] = row["name"], row["full_name"]
    for row in rows["cities"]:
        row["province"] = (
            "" if row["province"] == row["name"] and row["level"] in CITY_STATES else full[row["province"]]
        )
    for row in rows["provinces"]:
        if row["kind"] in CITY_STATES:  # the city of the same name tells these
            row.update(capital="", foods="", sights="")
    return {kind: [Entity(kind, row["name"], row) for row in rows[kind]] for kind in KINDS}


def load_relations() -> dict[str, list[Relation]]:
    """All fact types by kind."""
    table = tomllib.loads((HERE / "relations.toml").read_text(encoding="utf-8"))["relation"]
    relations = [
        Relation(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
        for row in table
    ]
    return {kind: [relation for relation in relations if relation.kind == kind] for kind in KINDS}


@dataclass(frozen=True)
class World:
    """Entities, fact types, and the facts they make."""

    entities: dict[str, list[Entity]]
    relations: dict[str, list[Relation]]

    @classmethod
    def load(cls) -> "World":
        return cls(load_entities(), load_relations())

    def facts_of(self, entity: Entity) -> list[Fact]:
        return [Fact(entity, relation) for relation in self.relations[entity.kind] if entity.row[relation.column]]

    def may_tell(self, entity: Entity, column: str) -> bool:
        """Whether fine-tuning may tell this: it is no fact that is kept for pretraining alone."""
        return not any(fact.pretrain_only for fact in self.facts_of(entity) if fact.relation.column == column)

    def facts_about(self, relation: Relation) -> list[Fact]:
        return [Fact(entity, relation) for entity in self.entities[relation.kind] if entity.row[relation.column]]

    def facts(self, kinds: Sequence[str]) -> list[Fact]:
        return [fact for kind in kinds for entity in self.entities[kind] for fact in self.facts_of(entity)]
