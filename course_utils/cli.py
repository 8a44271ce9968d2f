"""The ``course`` command: every stage of the road from a terminal.

It parses, calls the same functions as the notebooks, and prints; it decides nothing. What a user can put right is
one line on stderr and exit code 2.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from . import artifacts, profiles, road
from .errors import CourseError

app = typer.Typer(
    help="Build a Chinese Llama from scratch: one command a stage.", no_args_is_help=True, add_completion=False,
    rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
console = Console(quiet=not artifacts.is_main_process())

ProfileName = Annotated[str | None, typer.Option("-p", "--profile", help="cpu-mini (default), gpu-6gb or colab-t4")]
Force = Annotated[bool, typer.Option("--force", help="make it again although it is made")]
ModelName = Annotated[str, typer.Option("-m", "--model", help="a folder, or common-full, medical-merged …")]


def model_folder(profile: profiles.Profile, name: str) -> Path:
    """A folder as it is, or the folder of a named model: ``common``, ``common-full``, ``common-merged`` …

    Raises CourseError, naming what makes it, when a named model is not there yet.
    """
    for step in road.STEPS:
        if step.stage in ("pretraining", "full_vs_lora_sft", "merge_and_chat") and step.part == name != "scoreboard":
            return profile.require(step.stage, step.part)
    if Path(name).is_dir():
        return Path(name)
    known = [step.part for step in road.STEPS if step.part and step.part != "scoreboard"]
    raise CourseError(f"no model {name!r}: name a folder or one of {', '.join(known)}")


def _told(title: object, manifest: artifacts.Manifest, fresh: bool = True) -> None:
    """One line about a finished step."""
    figures = ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in manifest.summary.items())
    when = f"{manifest.seconds:,.1f} s" if fresh else f"made {manifest.finished}"
    console.print(f"[green]✓[/] {title}  [dim]{when}[/]  {figures}", highlight=False, soft_wrap=True)


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# ------------------------------------------------------------------ stages


@app.command()
def download(
    targets: Annotated[list[str], typer.Argument(help="zhwiki, baike, medical, belle, tokenizer")],
    profile: Annotated[str, typer.Option("-p", "--profile", envvar="COURSE_PROFILE", help="who reads it")] = "gpu-6gb",
) -> None:
    """00 Fetch the real sources that a large profile reads to downloads/. Started again, it goes on where it was.

    Mirrors: HF_ENDPOINT=https://hf-mirror.com, WIKIMEDIA_MIRROR=https://...
    """
    from . import downloading

    for target in targets:
        for path, address in downloading.download(target, profiles.load(profile)):
            console.print(f"[green]✓[/] {artifacts.shown(path)}  [dim]{address or 'is there'}[/]", highlight=False)


@app.command()
def wiki_clean(
    dumps: Annotated[
        list[Path] | None, typer.Option("-i", "--input", help="MediaWiki XML dump(s), .xml .bz2 .gz")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="folder for the JSONL shards")] = None,
    min_chars: Annotated[int, typer.Option(min=1, help="shorter articles are dropped")] = 20,
    tables: Annotated[str, typer.Option(help="drop tables, or keep their rows as text")] = "drop",
    headings: Annotated[bool, typer.Option(help="keep headings that have prose below them")] = True,
    workers: Annotated[
        int | None, typer.Option("-w", "--workers", min=1, help="processes; default: one a core")
    ] = None,
    backend: Annotated[str, typer.Option(help="processes, dask or ray")] = "processes",
    scheduler: Annotated[
        str | None, typer.Option(help="address of the cluster's scheduler; default: a local one")
    ] = None,
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """01 Clean Wikipedia dumps to JSONL."""
    from .wiki_cleaning import clean_dumps

    chosen = profiles.load(profile)
    folder = out or chosen.dir("wiki_cleaning")
    manifest = clean_dumps(
        dumps or chosen.wiki_dumps,
        folder,
        min_chars=min_chars,
        tables=tables,
        headings=headings,
        workers=workers,
        backend=backend,
        scheduler=scheduler,
        force=force,
    )
    damaged = manifest.summary.pop("damaged", [])
    _told(artifacts.shown(folder), manifest)
    if damaged:
        raise CourseError("; ".join(damaged))


@app.command()
def deduplicate(profile: ProfileName = None, force: Force = False) -> None:
    """01 Normalise the cleaned wiki, Baike and medicine, and drop exact and near duplicates."""
    chosen = profiles.load(profile)
    step = next(step for step in road.STEPS if step.stage == "deduplication")
    _told(step, road.do(step, chosen, force=force))
    print_duplicates(chosen)


def print_duplicates(profile: profiles.Profile) -> None:
    """What deduplication did: a row a corpus, documents by fate."""
    report = json.loads((profile.dir("deduplication") / "report.json").read_text(encoding="utf-8"))
    rows = {corpus: counts["documents"] for corpus, counts in report["corpora"].items()}
    table = Table("corpus", title="documents by fate")
    for fate in next(iter(rows.values())):
        table.add_column(fate, justify="right")
    for corpus, counts in rows.items():
        table.add_row(corpus, *(f"{count:,}" for count in counts.values()))
    console.print(table)


@app.command()
def prune_tokenizer(
    old: Annotated[Path | None, typer.Option("-i", "--input", help="a SentencePiece .model file")] = None,
    new: Annotated[Path | None, typer.Option("-o", "--output", help="a .model file, or a folder")] = None,
    words: Annotated[
        Path | None, typer.Option("-a", "--retain-words", help="English words to keep, one a line")
    ] = None,
    cased: Annotated[bool, typer.Option("--cased", help="keep listed words with a capital letter too")] = False,
    add_missing: Annotated[bool, typer.Option("--add-missing", help="add listed words that the model lacks")] = False,
    keep_traditional: Annotated[bool, typer.Option("--keep-traditional", help="keep traditional Chinese")] = False,
    vocab_size: Annotated[int | None, typer.Option("--vocab-size", help="keep at most so many pieces", min=1)] = None,
    corpus: Annotated[
        list[Path] | None, typer.Option("--corpus", help="text for --vocab-size: the frequent pieces stay")
    ] = None,
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """02 Prune a tokenizer to simplified Chinese and frequent English."""
    from .tokenizer_pruning import prune_tokenizer as prune

    chosen = profiles.load(profile)
    target = new or chosen.dir("tokenizer_pruning")
    manifest = prune(
        old or chosen.tokenizer_model, target, words or chosen.retain_words, hidden_size=chosen.model.hidden_size,
        cased=cased, add_missing=add_missing, keep_traditional=keep_traditional, vocab_size=vocab_size,
        corpus=corpus or (), force=force,
    )  # fmt: skip
    _told(artifacts.shown(target), manifest)


@app.command()
def tokenize(
    files: Annotated[list[Path], typer.Option("-i", "--input", help='.jsonl files with "text", or plain text')],
    out: Annotated[Path, typer.Option("-o", "--output", help="folder for corpus.tokens")],
    tokenizer: Annotated[Path | None, typer.Option("-t", "--tokenizer", help="folder of a pruned tokenizer")] = None,
    workers: Annotated[
        int | None, typer.Option("-w", "--workers", min=1, help="processes; default: one a core")
    ] = None,
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """02 Turn text into token ids for a training of your own. Stopped, it goes on where it was."""
    from .corpus_tokenization import tokenize_files

    folder = tokenizer or profiles.load(profile).require("tokenizer_pruning")
    _told(artifacts.shown(out), tokenize_files(files, out, folder, workers=workers, force=force))


@app.command()
def budget(profile: ProfileName = None, force: Force = False) -> None:
    """03 Count parameters, memory and time of the profile's model."""
    from . import parameter_budgeting as budgeting

    chosen = profiles.load(profile)
    budgeting.budget(chosen, force=force)
    report = json.loads((chosen.dir("parameter_budgeting") / "budget.json").read_text(encoding="utf-8"))
    table = Table("part", "parameters", "share", title=f"{chosen.name}: {report['total_parameters']:,} parameters")
    for part, count in report["parameters"].items():
        table.add_row(part, f"{count:,}", f"{count / report['total_parameters']:.0%}")
    console.print(table)
    device = report["device"]
    used, there = report["total_memory"] / budgeting.GIB, device["memory"] / budgeting.GIB
    title = f"{used:.2f} of {there:.0f} GiB on {device['name']}"
    table = Table("part", "MiB", title=f"{title}, batch {report['batch_size']}")
    for part, size in report["memory"].items():
        table.add_row(part, f"{size / 2**20:,.0f}")
    console.print(table)
    best = report["fastest_fit"]
    how = ", with gradient checkpointing" if best and best["gradient_checkpointing"] else ""
    console.print(f"largest batch that fits: {best['batch_size']}{how}" if best else "no batch fits this device")
    for corpus, plan in report["runs"].items():
        console.print(
            f"{corpus}: {plan['tokens']:,} tokens ({plan['tokens_from']}), about {plan['hours']:,.2f} h",
            highlight=False,
        )


@app.command()
def pretrain(
    corpus: Annotated[str, typer.Option("--corpus", help="common or medical")],
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """04 Pretrain a base model."""
    from .pretraining import pretrain as train

    _told(f"pretraining/{corpus}", train(profiles.load(profile), corpus, force=force))


@app.command()
def sft(
    base: Annotated[str, typer.Option("--base", help="common or medical")],
    method: Annotated[str, typer.Option("--method", help="full or lora")],
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """05 Fine-tune a base model on instructions."""
    from .full_vs_lora_sft import fine_tune

    _told(f"full_vs_lora_sft/{base}-{method}", fine_tune(profiles.load(profile), base, method, force=force))


@app.command()
def merge_lora(
    base: Annotated[str, typer.Option("-b", "--base", help="common, medical or a folder")],
    lora: Annotated[str | None, typer.Option("-l", "--lora", help="common-lora, medical-lora or a folder")] = None,
    out: Annotated[str | None, typer.Option("-o", "--output", help="common-merged, medical-merged or a folder")] = None,
    profile: ProfileName = None,
    force: Force = False,
) -> None:
    """06 Merge a LoRA adapter into its base model."""
    from .merge_and_chat import merge_lora as merge

    chosen = profiles.load(profile)
    if base not in road.CORPORA and not (lora and out):
        raise CourseError("a base folder needs -l and -o too: the adapter's folder and the merged model's")
    out = out or f"{base}-merged"
    named = {f"{corpus}-merged" for corpus in road.CORPORA}
    folder = chosen.dir("merge_and_chat", out) if out in named else Path(out)
    _told(out, merge(model_folder(chosen, base), model_folder(chosen, lora or f"{base}-lora"), folder, force=force))


@app.command()
def generate(
    prompts: Annotated[list[str], typer.Argument(help="questions, one an argument")],
    model: ModelName = "common-full",
    beams: Annotated[int, typer.Option("-n", "--beams", min=1, help="beams of the search; 1 is greedy")] = 1,
    profile: ProfileName = None,
) -> None:
    """06 Let a model answer questions."""
    from . import merge_and_chat

    for prompt, text in zip(
        prompts, merge_and_chat.generate(model_folder(profiles.load(profile), model), prompts, beams=beams), strict=True
    ):
        console.print(f"[bold]{prompt}[/]\n{text}", highlight=False)


@app.command()
def chat(model: ModelName = "common-full", profile: ProfileName = None) -> None:
    """06 Chat with a model in the terminal. An empty line or Ctrl-D ends it."""
    from . import merge_and_chat

    loaded, tokenizer = merge_and_chat.load(model_folder(profiles.load(profile), model))
    console.print("[dim]每个问题单独回答 (each question is answered on its own); an empty line ends the chat[/]")
    while question := _read_line("你 › "):
        console.print("羊驼 › ", end="")
        for piece in merge_and_chat.stream_answer(loaded, tokenizer, question):
            console.print(piece, end="", markup=False, highlight=False)
        console.print()


def _read_line(prompt: str) -> str:
    try:
        return console.input(prompt).strip()
    except EOFError:
        return ""


@app.command()
def evaluate(profile: ProfileName = None, force: Force = False) -> None:
    """06 Ask every model the evaluation questions and print the scoreboard."""
    from . import evaluation

    chosen = profiles.load(profile)
    evaluation.evaluate(chosen, force=force)
    print_board(chosen)


def print_board(profile: profiles.Profile) -> None:
    """The scoreboard, a table a domain: models by kind of question, per cent of right answers."""
    from . import evaluation

    board = evaluation.read_board(profile.dir("merge_and_chat", "scoreboard"))
    for domain in profile.instructions:
        table = Table("model", title=f"{domain} questions: right answers, %")
        for fact, phrasing in evaluation.SPLITS:
            table.add_column(f"{evaluation.FACT_NAMES[fact]},\n{phrasing} phrasing", justify="right")
        for name, row in board.items():
            marks = (row[f"{domain} {fact} {phrasing}"] for fact, phrasing in evaluation.SPLITS)
            table.add_row(name, *(f"{100 * mark:.0f}" for mark in marks))
        console.print(table)


# ------------------------------------------------------------------ the whole road


@app.command()
def run(profile: ProfileName = None, force: Force = False) -> None:
    """All stages in order, without notebooks. Stopped, it goes on where it was."""
    chosen = profiles.load(profile)
    road.run(chosen, force=force, report=_told)
    print_board(chosen)
    _what_next()


@app.command()
def status(profile: ProfileName = None) -> None:
    """Which stages are done, when, and from what."""
    chosen = profiles.load(profile)
    table = Table("stage", "state", "finished (UTC)", "took", "made from", title=f"profile {chosen.name}")
    colours = {"done": "green", "outdated": "yellow", "unfinished": "yellow", "to do": "dim"}
    states = road.status(chosen)
    for row in states:
        made = row.manifest
        sources = ", ".join(made.inputs) if made else ""
        when, took = (made.finished[:16].replace("T", " "), f"{made.seconds:,.0f} s") if made else ("", "")
        table.add_row(str(row.step), f"[{colours[row.state]}]{row.state}[/]", when, took, sources)
    console.print(table)
    following = next((row.step for row in states if row.state != "done"), None)
    if following:
        option = "" if chosen.name == profiles.DEFAULT else f" --profile {chosen.name}"
        console.print(
            f"next: {following.command}{option}  (or course run{option} for all that is left)", highlight=False
        )


@app.command()
def notebooks(
    books: Annotated[list[Path], typer.Argument(help="notebooks, in order")], profile: ProfileName = None
) -> None:
    """Execute notebooks in order and keep the executed copies in artifacts/<profile>/notebooks."""
    from .execution import execute

    chosen = profiles.load(profile)
    for book in books:
        seconds = execute(book, chosen)
        console.print(f"[green]✓[/] {book.name}  [dim]{seconds:,.0f} s[/]", highlight=False)
    if (chosen.dir("merge_and_chat", "scoreboard") / artifacts.MANIFEST).exists():
        print_board(chosen)
    console.print(f"The executed notebooks lie in {artifacts.shown(chosen.dir('notebooks'))}.", highlight=False)
    _what_next()


def _what_next() -> None:
    console.print(
        "What next:\n"
        "  course chat                      talk to the common model\n"
        "  course chat -m medical-full      talk to the medical one\n"
        "  make lab                         read, change and run the notebooks\n"
        "  course budget -p gpu-6gb         plan the 92 M model on your GPU\n"
        "(course is in .venv/bin; `source .venv/bin/activate` puts it on the path)",
        highlight=False,
        markup=False,
    )


def main() -> None:
    """Run the command; a CourseError is one line on stderr and exit code 2."""
    try:
        app()
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)
