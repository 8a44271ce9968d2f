"""Full fine-tuning or LoRA, at which learning rate and rank? Accuracy of the exam after equal steps, over three seeds.

A cell is one training of a cpu-mini base model with one thing changed. Seeds change the order of the conversations and
an adapter's first weights; base model, held-out conversations and exam are the same. The most telling cells come first:
full at its rate, LoRA at that rate and at its own; then the other rates, the other ranks, and three variations.

    python benchmarks/fine_tuning.py                                        (all: four to five hours on two cores)
    python benchmarks/fine_tuning.py --bases medical --methods lora --ranks 16 --rates 6e-4 3e-3 --seeds 42
    python benchmarks/fine_tuning.py --cells 0                              (the tables of what is there)

Each finished cell is added to results/fine_tuning.json at once, and one that is there is not trained again; a row of
other data or another base model is. Needs `course pretrain` to have run; your models are not touched.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import results
import trials

from course_utils import artifacts, profiles, steps
from course_utils.profiles import Profile
from course_utils.training import full_vs_lora_sft, running

NAME = "fine_tuning"
SEEDS = (42, 43, 44)
RANKS = (4, 16, 64)
RATES = {"full": (1e-4, 3e-4, 1.2e-3, 3e-3), "lora": (1e-3, 6e-3)}  # beside the profile's
VARIATIONS = {"NEFTune": {"neftune_alpha": 5.0}, "rsLoRA": {"rslora": True}, "DoRA": {"dora": True}}
LINKED = ("deduplication", "pretraining")  # what fine-tuning reads
SHOWN = ("seen seen", "pretrain_only seen", "pretrain_only everyday", "stable", "unknown")
STUDENT = {2: 12.706, 3: 4.303}  # seeds -> the 97.5 % point of Student's t at one degree of freedom less


@dataclass(frozen=True)
class Cell:
    base: str
    method: str
    rank: int  # 0: full
    learning_rate: float
    seed: int
    variation: str = ""


def grid(profile: Profile) -> list[Cell]:
    """All cells, the most telling first. LoRA is tried at each of its own rates and at the one of full."""
    full, lora, rank = profile.full.learning_rate, profile.lora.learning_rate, profile.lora.r
    tiers = (
        [("full", 0, full), ("lora", rank, full), ("lora", rank, lora)],
        [("full", 0, rate) for rate in RATES["full"]] + [("lora", rank, rate) for rate in RATES["lora"]],
        [("lora", r, rate) for r in RANKS for rate in (full, lora, *RATES["lora"])],
        [("full", 0, full, "NEFTune"), *(("lora", rank, lora, name) for name in VARIATIONS)],
    )
    cells = [
        Cell(base, *arm[:3], seed, *arm[3:])
        for tier in tiers for seed in SEEDS for base in steps.CORPORA for arm in tier
    ]  # fmt: skip
    return list(dict.fromkeys(cells))  # the ranks' tier has the profile's rank again


def arm(profile: Profile, cell: Cell) -> Profile:
    """The profile with a cell's settings; alpha / r stays the profile's."""
    changes = {"learning_rate": cell.learning_rate, "seed": cell.seed, **VARIATIONS.get(cell.variation, {})}
    if cell.method == "lora":
        changes |= {"r": cell.rank, "alpha": profile.lora.alpha * cell.rank // profile.lora.r}
    return replace(profile, **{cell.method: replace(getattr(profile, cell.method), **changes)})


def made_from(profile: Profile, cell: Cell, inputs: dict[str, str]) -> str:
    """Identity of a row: all settings of the cell, and the contents of what it is made from."""
    recipe = getattr(arm(profile, cell), cell.method).recipe
    settings = {"recipe": recipe, "seed": cell.seed, "max_length": profile.sft_max_length}
    return artifacts.fingerprint(f"{NAME}/{cell.base}-{cell.method}", settings, inputs)


def inputs(profile: Profile, base: str) -> dict[str, str]:
    """-> path -> hash of base model, conversations and exam. Raises CourseError where the base model is missing."""
    paths = [artifacts.require(profile, "pretraining", base), *profile.instructions[base], profile.evaluation]
    return {str(path): artifacts.sha256(path) for path in paths}


def measure(profile: Profile, cell: Cell) -> dict:
    """Train a cell in a folder of its own, and let it sit the exam of its base. -> its row."""
    with tempfile.TemporaryDirectory() as folder:
        own = replace(arm(profile, cell), artifacts=Path(folder))
        trials.link(profile, own, LINKED)
        tuned, name = full_vs_lora_sft.fine_tune(own, cell.base, cell.method), f"{cell.base}-{cell.method}"
        done = running.read_log(own.dir("full_vs_lora_sft", name))[-1]["step"]
        shares = trials.exam(own, name)
    return {
        **asdict(cell), "alpha": own.lora.alpha if cell.rank else 0, "steps": done, "seconds": tuned.seconds,
        "held_out_loss": tuned.summary["held_out_loss"],
        **shares,
    }  # fmt: skip


def cell_of(row: dict) -> Cell:
    return Cell(**{field.name: row[field.name] for field in fields(Cell)})


def arms(rows: list[dict]) -> dict[Cell, dict[int, dict]]:
    """Rows by arm, a cell at the seed 0, and by seed."""
    found = {}
    for row in rows:
        found.setdefault(replace(cell_of(row), seed=0), {})[row["seed"]] = row
    return dict(sorted(found.items(), key=lambda item: tuple(asdict(item[0]).values())))


def named(cell: Cell) -> str:
    rank = f" r {cell.rank}" if cell.rank else ""
    return f"{cell.base} {cell.method}{rank} {cell.variation}".rstrip() + f", {cell.learning_rate:g}"


def spread(values: Sequence[float], scale: float = 1, digits: int = 3) -> str:
    """Mean ± standard deviation."""
    deviation = f" ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * statistics.fmean(values):.{digits}f}{deviation}"


def difference(one: dict[int, dict], other: dict[int, dict], split: str) -> str:
    """Of two arms, seed by seed, in percentage points: mean ± half of the two-sided 95 % interval of Student's t, and a
    star where zero lies outside."""
    apart = [100 * (row[split] - other[seed][split]) for seed, row in one.items() if seed in other]
    if len(apart) < 2:
        return f"{apart[0]:+.1f}" if apart else "–"
    mean, half = statistics.fmean(apart), STUDENT[len(apart)] * statistics.stdev(apart) / len(apart) ** 0.5
    return f"{mean:+.1f} ± {half:.1f}{' *' if abs(mean) > half else ''}"


def show(profile: Profile, rows: list[dict]) -> None:
    """Print the arms, and what each has beyond another: LoRA beyond full fine-tuning at the profile's rate, a variation
    beyond the same arm without it."""
    found = arms(rows)
    print("\nmean ± standard deviation over seeds; accuracy in %\n")
    print("| arm | seeds | steps | seconds | held-out loss |", " | ".join(SHOWN), "|")
    print("|---" * (5 + len(SHOWN)) + "|")
    for cell, runs in found.items():
        column = {name: [row[name] for row in runs.values()] for name in ("steps", "seconds", "held_out_loss", *SHOWN)}
        counted = "/".join(map(str, sorted(set(column["steps"]))))  # one number: equal steps
        told = [spread(column["seconds"], digits=0), spread(column["held_out_loss"])]
        told += [spread(column[split], 100, 1) for split in SHOWN]
        print("|", " | ".join([named(cell), str(len(runs)), counted, *told]), "|")
    print("\ndifferences seed by seed: percentage points, two-sided 95 % interval, * not zero\n")
    print("| arm | minus |", " | ".join(SHOWN), "|")
    print("|---" * (2 + len(SHOWN)) + "|")
    for cell, runs in found.items():
        full = Cell(cell.base, "full", 0, profile.full.learning_rate, 0)
        other = replace(cell, variation="") if cell.variation else full
        if cell.method == "lora" or cell.variation:
            apart = (difference(runs, found.get(other, {}), split) for split in SHOWN)
            print("|", " | ".join([named(cell), named(other), *apart]), "|")


def chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Only cells that have one of the named values.")
    parser.add_argument("--bases", nargs="+", choices=steps.CORPORA, default=steps.CORPORA)
    parser.add_argument("--methods", nargs="+", choices=steps.METHODS, default=steps.METHODS)
    parser.add_argument("--ranks", nargs="+", type=int, help="of LoRA")
    parser.add_argument("--rates", nargs="+", type=float)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    parser.add_argument("--variations", nargs="*", choices=VARIATIONS, help="none: the plain methods")
    parser.add_argument("--cells", type=int, help="train at most so many now")
    return parser.parse_args()


def main() -> None:
    only, profile = chosen(), profiles.load("cpu-mini")
    hashes = {base: inputs(profile, base) for base in only.bases}

    def holds(row: dict) -> bool:
        base = row["base"]
        return base not in hashes or row["made_from"] == made_from(profile, cell_of(row), hashes[base])

    wanted = [
        cell for cell in grid(profile)
        if cell.base in only.bases and cell.method in only.methods and cell.seed in only.seeds
        and (only.ranks is None or not cell.rank or cell.rank in only.ranks)
        and (only.rates is None or cell.learning_rate in only.rates)
        and (only.variations is None or cell.variation in (only.variations or [""]))
    ]  # fmt: skip
    rows = results.rows_here(NAME)
    done = {cell_of(row) for row in rows if holds(row)}
    left = [cell for cell in wanted if cell not in done]
    print(f"{len(wanted)} cells, {len(left)} to train; {len(rows) - len(done)} rows are of other data or base models")
    for number, cell in enumerate(left[: only.cells], 1):
        print(f"\n{number} of {len(left)}: {named(cell)}, seed {cell.seed}", flush=True)
        row = measure(profile, cell) | {"made_from": made_from(profile, cell, hashes[cell.base])}
        print(*(f"{name} {row[name]}" for name in ("seconds", "held_out_loss", *SHOWN)), sep=" · ", flush=True)
        kept = [other for other in results.rows_here(NAME) if holds(other)]  # read anew: other processes may add, too
        results.write(NAME, {"profile": profile.name}, [*kept, row])
    show(profile, [row for row in results.rows_here(NAME) if holds(row)])


if __name__ == "__main__":
    results.run(main)
