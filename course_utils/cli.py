"""The ``course`` command: every stage of the road from a terminal.

It parses, calls what the notebooks call, and prints. What a user can put right is one line on stderr and exit code 2.
"""

import datetime
import inspect
import json
import os
import shlex
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from typer import Argument, Exit, Option, Typer
from typer.core import TyperGroup

from . import artifacts, merge_and_chat, processes, profiles, road, steps, tokenizer_pruning, training, wiki_cleaning
from .corpora import downloading
from .errors import CourseError, Stopped
from .merge_and_chat import board
from .notebooks.execution import execute
from .training.full_vs_lora_sft import conversation


class Commands(TyperGroup):
    """The commands; here Ctrl-C and a disk that refuses get their line, before typer ends without a word."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            same = shlex.join(["course", *sys.argv[1:]])
            raise Stopped(f"stopped; what was finished is kept, the same command goes on: {same}") from None
        except OSError as error:
            if problem := artifacts.disk_error(error, Path.cwd()):
                raise problem from error
            raise


app = Typer(
    help="Build a Chinese Llama from scratch: one command a stage.", no_args_is_help=True, add_completion=False,
    rich_markup_mode=None, pretty_exceptions_enable=False, cls=Commands,
)  # fmt: skip
console = Console(quiet=not processes.is_main(), highlight=False)

# What several commands ask for; a profile is read as soon as it is named.
read = {"parser": profiles.load, "metavar": "<str>", "show_default": False}
Profile = Annotated[profiles.Profile, Option("-p", "--profile", help="cpu-mini (default), gpu-6gb or colab-t4", **read)]
CHOSEN = profiles.chosen_name()
Force = Annotated[bool, Option("--force", help="make it again although it is made")]
Workers = Annotated[int | None, Option("-w", "--workers", min=1, help="processes; default: one a core")]
Corpus = Annotated[str, Option(help="common or medical")]
Method = Annotated[str, Option(help="full or lora")]
ReportTo = Annotated[str | None, Option(help="tensorboard (default), trackio, wandb, swanlab or none")]
Model = Annotated[str, Option("-m", "--model", help="a folder, or common-full, medical-merged …")]

# Name -> the stage that makes it: common, common-full, common-merged …
MODELS = {step.part: step.stage for step in steps.STEPS if step.part and step.part != "scoreboard"}
WHAT_NEXT = """What next:
  course chat                      talk to the common model
  course chat -m medical-full      talk to the medical one
  make lab                         read, change and run the notebooks
  course budget -p gpu-6gb         plan the 92 M model on your GPU
(course is in .venv/bin; `source .venv/bin/activate` puts it on the path)"""


def command(stage: str):
    """Register a command; its help begins with the number of the notebook that explains it."""
    number = steps.NOTEBOOKS[stage][:2]
    return lambda function: app.command(help=f"{number} {inspect.cleandoc(function.__doc__)}")(function)


def model_folder(profile: profiles.Profile, name: str) -> Path:
    """A folder, or that of a model of the course. Raises CourseError, naming what makes it, when it is missing."""
    if name in MODELS:
        return artifacts.require(profile, MODELS[name], name)
    if os.path.isdir(name):  # a Path would fail on a name that is too long
        return Path(name)
    raise CourseError(f"no model {name!r}: name a folder or one of {', '.join(MODELS)}")


def models_made(profile: profiles.Profile) -> list[str]:
    """The names of the course's models that are there."""
    names = []
    for name in MODELS:
        with suppress(CourseError):
            model_folder(profile, name)
            names.append(name)
    return names


def model_folders(profile: profiles.Profile, names: Iterable[str]) -> dict[str, Path]:
    """Name -> folder of several models; a folder has its own name. Raises CourseError where two have the same."""
    folders: dict[str, Path] = {}
    for name in names:
        folder = model_folder(profile, name).resolve()
        name = name if name in MODELS else folder.name
        if folders.setdefault(name, folder) != folder:
            raise CourseError(f"two models are called {name!r}: rename the folder of one")
    return folders


def reporting(profile: profiles.Profile, report_to: str | None) -> profiles.Profile:
    """The profile with its trainings reported elsewhere, if that is asked for."""
    if report_to is None:
        return profile
    trainings = {name: getattr(profile, name) for name in ("pretraining", "full", "lora")}
    return replace(profile, **{name: replace(one, report_to=report_to) for name, one in trainings.items()})


def print_step(title: object, manifest: artifacts.Manifest, fresh: bool = True) -> None:
    """One line about a finished step, and one for each kind of row that was left out."""
    figures = ((name.replace("_", " "), value) for name, value in manifest.summary.items() if name != "left_out")
    told = ", ".join(f"{name} {value:,}" if type(value) is int else f"{name} {value}" for name, value in figures)
    when = f"{manifest.seconds:,.1f} s" if fresh else f"made {manifest.finished}"
    console.print(f"[green]✓[/] {title}  [dim]{when}[/]  {told}", soft_wrap=True)
    for kind in manifest.summary.get("left_out", []):
        text = f"· left out: {kind['rows']:,} of a kind, first {kind['first']}: {kind['reason']}"
        console.print(text, soft_wrap=True, markup=False)


def print_table(title: str, columns: list[str], rows: Iterable[list[str]], justify: str = "left") -> None:
    """A table with a title; ``justify`` is for all columns but the first, which names the row."""
    table = Table(columns[0], *(Column(name, justify=justify) for name in columns[1:]), title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_unfinished(found: list[artifacts.Unfinished], states: list[road.State]) -> None:
    """A line for each unfinished work and leftover."""
    going_on = {state.work for state in states}
    for left in found:
        changed = datetime.datetime.fromtimestamp(left.changed, datetime.UTC)
        what = f"unfinished {left.stage}" if left.stage else "left by a stopped run"
        then = ": the next run would go on from here" if left.folder in going_on else ""
        text = f"· {artifacts.shown(left.folder)}, {left.size}, {changed:%Y-%m-%d %H:%M} UTC, {what}{then}"
        console.print(text, soft_wrap=True, markup=False)


def print_board(folder: Path) -> None:
    """The tables of a board: shares with their intervals, how models answer, how well they foretell text."""
    found, place = board.read(folder), escape(artifacts.shown(folder))
    for title, columns, rows in board.tables(found):
        print_table(title, columns, rows, justify="right")
    told = f"{found['exam']['questions']:,} questions, {found['device']}; board.json, board.md, board.png: {place}"
    console.print(told, soft_wrap=True)


@command("start")
def download(
    targets: Annotated[list[str], Argument(help="zhwiki, baike, medical, belle, tokenizer")],
    profile: Annotated[str, Option("-p", "--profile", envvar="COURSE_PROFILE", help="who reads it")] = "gpu-6gb",
) -> None:
    """Fetch the real sources that a large profile reads to downloads/. Started again, it goes on where it was.

    Mirrors: HF_ENDPOINT=https://hf-mirror.com, WIKIMEDIA_MIRROR=https://...
    """
    for target in targets:
        for path, address in downloading.download(target, profiles.load(profile)):
            console.print(f"[green]✓[/] {artifacts.shown(path)}  [dim]{address or 'is there'}[/]")


@command("wiki_cleaning")
def wiki_clean(
    dumps: Annotated[list[Path] | None, Option("-i", "--input", help="MediaWiki XML dump(s), .xml .bz2 .gz")] = None,
    out: Annotated[Path | None, Option("-o", "--output", help="folder for the JSONL shards")] = None,
    min_chars: Annotated[int, Option(min=1, help="shorter articles are dropped")] = 20,
    tables: Annotated[str, Option(help="drop tables, or keep their rows as text")] = "drop",
    headings: Annotated[bool, Option(help="keep headings that have prose below them")] = True,
    workers: Workers = None, backend: Annotated[str, Option(help="processes, dask or ray")] = "processes",
    scheduler: Annotated[str | None, Option(help="address of the cluster's scheduler; default: a local one")] = None,
    profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Clean Wikipedia dumps to JSONL."""
    dumps, out = dumps or profile.wiki_dumps, out or profile.dir("wiki_cleaning")
    how = {"min_chars": min_chars, "tables": tables, "headings": headings}
    where = {"workers": workers, "backend": backend, "scheduler": scheduler}
    manifest = wiki_cleaning.clean_dumps(dumps, out, **how, **where, force=force)
    damaged = manifest.summary.pop("damaged", [])
    print_step(artifacts.shown(out), manifest)
    if damaged:
        raise CourseError("; ".join(damaged))


@command("deduplication")
def deduplicate(profile: Profile = CHOSEN, force: Force = False) -> None:
    """Normalise the cleaned wiki, Baike and medicine; drop scraped rubbish, exact and near duplicates."""
    step = steps.step("deduplication")
    print_step(step, road.do(step, profile, force=force))
    corpora = json.loads((profile.dir("deduplication") / "report.json").read_text(encoding="utf-8"))["corpora"]
    fates = next(iter(corpora.values()))["documents"]
    rows = [[fate, *(f"{corpus['documents'][fate]:,}" for corpus in corpora.values())] for fate in fates]
    print_table("documents by fate", ["fate", *corpora], rows, justify="right")


@command("tokenizer_pruning")
def prune_tokenizer(
    old: Annotated[Path | None, Option("-i", "--input", help="a SentencePiece .model file")] = None,
    new: Annotated[Path | None, Option("-o", "--output", help="a .model file, or a folder")] = None,
    words: Annotated[Path | None, Option("-a", "--retain-words", help="English words to keep, one a line")] = None,
    cased: Annotated[bool, Option("--cased", help="keep listed words with a capital letter too")] = False,
    add_missing: Annotated[bool, Option("--add-missing", help="add listed words that the model lacks")] = False,
    keep_traditional: Annotated[bool, Option("--keep-traditional", help="keep traditional Chinese")] = False,
    vocab_size: Annotated[int | None, Option(min=1, help="keep at most so many pieces")] = None,
    corpus: Annotated[list[Path] | None, Option(help="text for --vocab-size: the frequent pieces stay")] = None,
    profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Prune a tokenizer to simplified Chinese and frequent English."""
    new = new or profile.dir("tokenizer_pruning")
    manifest = tokenizer_pruning.prune_tokenizer(
        old or profile.tokenizer_model, new, words or profile.retain_words, hidden_size=profile.model.hidden_size,
        cased=cased, add_missing=add_missing, keep_traditional=keep_traditional, vocab_size=vocab_size,
        corpus=corpus or (), force=force,
    )  # fmt: skip
    print_step(artifacts.shown(new), manifest)


@command("tokenizer_pruning")
def tokenize(
    files: Annotated[list[Path], Option("-i", "--input", help='.jsonl files with "text", or plain text')],
    out: Annotated[Path, Option("-o", "--output", help="folder for a `datasets` folder of token ids")],
    tokenizer: Annotated[Path | None, Option("-t", "--tokenizer", help="folder of a pruned tokenizer")] = None,
    workers: Workers = None, profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Turn text into token ids for a training of your own. Stopped, it goes on where it was."""
    tokenizer = tokenizer or artifacts.require(profile, "tokenizer_pruning")
    manifest = tokenizer_pruning.tokenize_files(files, out, tokenizer, workers=workers, force=force)
    print_step(artifacts.shown(out), manifest)


@command("parameter_budgeting")
def budget(profile: Profile = CHOSEN, force: Force = False) -> None:
    """Count parameters, memory and time of the profile's model, and find the fastest settings that fit."""
    road.do(steps.step("parameter_budgeting"), profile, force=force)
    report = json.loads((profile.dir("parameter_budgeting") / "budget.json").read_text(encoding="utf-8"))
    count, device, plans = report["total_parameters"], report["device"], report["trainings"]
    rows = ([part, f"{weights:,}", f"{weights / count:.0%}"] for part, weights in report["parameters"].items())
    print_table(f"{profile.name}: {count:,} parameters", ["part", "parameters", "share"], rows)
    lost = ", ".join(f"{size / 2**20:,.0f} {name}" for name, size in report["subtracted"].items())
    console.print(f"{device['name']}: {device['memory'] / 2**20:,.0f} MiB, less {lost}: {report['limit'] / 2**20:,.0f}",
                  soft_wrap=True)  # fmt: skip
    parts = plans["pretraining"]["memory"]
    rows = [[part, *(f"{plan['memory'][part] / 2**20:,.0f}" for plan in plans.values())] for part in parts]
    rows.append(["at the peak", *(f"{plan['total_memory'] / 2**20:,.0f}" for plan in plans.values())])
    rows.append(["fits", *("yes" if plan["fits"] else "NO" for plan in plans.values())])
    titles = (f"{name}, batch {plan['batch_size']}" for name, plan in plans.items())
    print_table("memory, MiB", ["part", *titles], rows, justify="right")
    told = ("batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "loss")
    found = {name: plan["fastest_fit"] for name, plan in plans.items()}
    found |= {f"pretraining, {loss} loss": best for loss, best in plans["pretraining"]["by_loss"].items()}
    console.print("The fastest settings, with the largest batch that fits, as profiles.toml has them:")
    for name, best in found.items():
        how = ", ".join(f"{key} = {json.dumps(best[key])}" for key in told) if best else "nothing fits this device"
        speed = f"; about {best['tokens_per_second']:,.0f} tokens/s" if best and name.startswith("pretraining") else ""
        console.print(f"  {name}: {how}{speed}", soft_wrap=True, markup=False)
    for corpus, run in report["runs"].items():
        console.print(f"{corpus}: {run['tokens']:,} tokens ({run['tokens_from']}), about {run['hours']:,.2f} h")


@command("pretraining")
def pretrain(corpus: Corpus, report_to: ReportTo = None, profile: Profile = CHOSEN, force: Force = False) -> None:
    """Pretrain a base model. Stopped, it goes on where it was."""
    print_step(f"pretraining/{corpus}", training.pretrain(reporting(profile, report_to), corpus, force=force))


@command("full_vs_lora_sft")
def sft(
    base: Corpus, method: Method, report_to: ReportTo = None, profile: Profile = CHOSEN, force: Force = False
) -> None:
    """Fine-tune a base model on instructions. Stopped, it goes on where it was."""
    manifest = training.fine_tune(reporting(profile, report_to), base, method, force=force)
    print_step(f"full_vs_lora_sft/{base}-{method}", manifest)


@command("merge_and_chat")
def merge_lora(
    base: Annotated[str, Option("-b", "--base", help="common, medical or a folder")],
    lora: Annotated[str | None, Option("-l", "--lora", help="common-lora, medical-lora or a folder")] = None,
    out: Annotated[str | None, Option("-o", "--output", help="common-merged, medical-merged or a folder")] = None,
    profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Merge a LoRA adapter into its base model."""
    if base not in steps.CORPORA and not (lora and out):
        raise CourseError("a base folder needs -l and -o too: the adapter's folder and the merged model's")
    lora, out = lora or f"{base}-lora", out or f"{base}-merged"
    if out in MODELS and out != f"{base}-merged":
        raise CourseError(f"-o {out}: that is another model of the course: name a folder of your own, such as my/{out}")
    folder = profile.dir("merge_and_chat", out) if out in MODELS else Path(out)
    sources = (model_folder(profile, name) for name in (base, lora))
    print_step(out, merge_and_chat.merge_lora(*sources, folder, force=force))


NewTokens = Annotated[int | None, Option("--max-new-tokens", min=1, help="of an answer at most; default: 300")]
Temperature = Annotated[
    float | None, Option(min=0, help="0 takes the likeliest token each time; above, tokens are drawn")
]
TopP = Annotated[float | None, Option("--top-p", help="draw among the likeliest tokens that make up this share")]
Penalty = Annotated[
    float | None, Option("--repetition-penalty", help="above 1 says nothing twice; the reference has 1.4")
]
Seed = Annotated[int | None, Option(help="of what is drawn")]
Port = Annotated[int, Option(min=0, max=65535, help="on 127.0.0.1; 0 is any free one")]
System = Annotated[str, Option(help="a system turn, which comes first")]


@command("merge_and_chat")
def generate(
    prompts: Annotated[list[str] | None, Argument(help="questions, one an argument")] = None,
    model: Model = "common-full",
    file: Annotated[Path | None, Option("-f", "--file", help="questions: a line each, or rows of JSON")] = None,
    out: Annotated[Path | None, Option("-o", "--output", help="of --file: JSON Lines")] = None,
    system: System = "", batch_size: Annotated[int, Option(min=1, help="questions at a time")] = 16,
    max_new_tokens: NewTokens = None, temperature: Temperature = None, top_p: TopP = None,
    beams: Annotated[int | None, Option("-n", "--beams", min=1, help="beams of the search; 1 is greedy")] = None,
    repetition_penalty: Penalty = None, seed: Seed = None, profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Let a model answer questions. What is not set, the model's generation_config.json says."""
    if bool(prompts) == bool(file) or bool(file) != bool(out):
        raise CourseError("give questions as arguments, or a file of them with -f and a place for the answers with -o")
    folder = model_folder(profile, model)
    how = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "beams": beams,
           "repetition_penalty": repetition_penalty, "seed": seed, "batch_size": batch_size}  # fmt: skip
    if file:
        counts = merge_and_chat.generate_file(folder, file, out, system=system, force=force, **how)
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        console.print(f"[green]✓[/] {escape(artifacts.shown(out))}  {told}", soft_wrap=True)
        return
    asked = [prompt.strip() for prompt in prompts]
    if not all(asked):
        raise CourseError("an empty question: there is nothing to answer")
    loaded, tokenizer = merge_and_chat.load(folder)
    chats = [conversation(prompt, history=merge_and_chat.system_turn(system)) for prompt in asked]
    if note := length_note(folder, loaded, tokenizer, chats):
        print(note, file=sys.stderr)
    for prompt, text in zip(asked, merge_and_chat.answer(loaded, tokenizer, chats, **how), strict=True):
        console.print(prompt, style="bold", markup=False, soft_wrap=True)
        console.print(text, markup=False, soft_wrap=True)


def length_note(folder: Path, model, tokenizer, chats: list[list[dict]]) -> str:
    """What to say of prompts that are longer than any conversation of fine-tuning; "" for none, and where the model
    cannot read them at all."""
    seen = merge_and_chat.longest_seen(folder)
    longest = max(map(len, merge_and_chat.prompt_ids(tokenizer, chats, True)))
    if seen is None or not seen < longest < model.config.max_position_embeddings:
        return ""
    return f"note: {longest} tokens; fine-tuning saw {seen} at most, answers to longer prompts are worse"


CHAT_HELP = """/reset          forget what was said
/system TEXT    begin anew under a system turn (without a text: under none)
/model NAME     go on with another model
/save FILE      add the conversation to a file that fine-tuning can read
/quit           end, as Ctrl-D does"""


@command("merge_and_chat")
def chat(
    model: Model = "common-full", system: System = "", max_new_tokens: NewTokens = None,
    temperature: Temperature = None, top_p: TopP = None, repetition_penalty: Penalty = None, seed: Seed = None,
    web: Annotated[bool, Option("--web", help="on a page in the browser, with all models that are there")] = False,
    port: Port = 7860, profile: Profile = CHOSEN,
) -> None:  # fmt: skip
    """Chat with a model in the terminal. It remembers what was said; Ctrl-C stops an answer, Ctrl-D ends the chat."""
    how = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p,
           "repetition_penalty": repetition_penalty, "seed": seed}  # fmt: skip
    if web:
        page = merge_and_chat.Page(model_folders(profile, [model, *models_made(profile)]), port, system=system, **how)
        console.print(f"the page: {page.url}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
        return page.run()
    talk = merge_and_chat.Conversation(*merge_and_chat.load(model_folder(profile, model)), system=system, **how)
    console.print(
        "它记得前面说过的话 (it remembers what was said); /help lists what you can do", style="dim", markup=False
    )
    with suppress(EOFError):
        while sys.stdin and (text := console.input("你 › ").strip()) != "/quit":
            try:
                if text.startswith("/"):
                    console.print(command_of_chat(talk, profile, text), style="dim", markup=False, soft_wrap=True)
                elif text:
                    print_answer(talk, text)
            except CourseError as problem:
                console.print(str(problem), style="red", markup=False, soft_wrap=True)


def print_answer(talk: merge_and_chat.Conversation, question: str) -> None:
    """Stream an answer; Ctrl-C ends it, and the chat goes on."""
    forgotten = talk.forgotten
    console.print("羊驼 › ", end="")
    try:
        with closing(talk.ask(question)) as pieces:
            for piece in pieces:
                console.print(piece, end="", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print(" …", end="")
    finally:
        console.print()
    if talk.forgotten > forgotten:
        console.print(
            f"(the first {talk.forgotten} questions no longer fit and are forgotten)", style="dim", markup=False
        )


def command_of_chat(talk: merge_and_chat.Conversation, profile: profiles.Profile, text: str) -> str:
    """Do what a line with a slash says. -> what to tell. Raises CourseError where it cannot be done."""
    name, _, what = text.partition(" ")
    what = what.strip()
    if name == "/help":
        return CHAT_HELP
    if name == "/reset":
        talk.reset()
        return "forgotten"
    if name == "/system":
        talk.reset(what)
        return f"a new conversation under: {what}" if what else "a new conversation without a system turn"
    if name == "/model" and what:
        talk.model, talk.tokenizer = merge_and_chat.load(model_folder(profile, what))
        return f"goes on with {what}"
    if name == "/save" and what:
        talk.save(Path(what))
        return f"added to {what}"
    raise CourseError(f"{name} is no command, or lacks its word; /help lists them")


export = Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(export, name="export", help=f"{steps.NOTEBOOKS['merge_and_chat'][:2]} Models that travel: GGUF, a card.")
Overwrite = Annotated[bool, Option("--force", help="write over what is there")]


@export.command("gguf")
def export_gguf(
    model: Model = "common-full",
    out: Annotated[Path | None, Option("-o", "--output", help="a .gguf file; a Modelfile comes beside it")] = None,
    dtype: Annotated[str, Option(help="f32, or f16 for half the size")] = "f32", profile: Profile = CHOSEN,
    force: Overwrite = False,
) -> None:  # fmt: skip
    """Write a model as one file for llama.cpp and Ollama, with its tokenizer and chat template."""
    folder = model_folder(profile, model)
    name = folder.resolve().name
    out = out or profile.dir("merge_and_chat", f"{name}-gguf") / f"{name}.gguf"
    counts = merge_and_chat.export_gguf(folder, out, dtype=dtype, force=force)
    told = ", ".join(f"{what} {count:,}" for what, count in counts.items())
    console.print(f"[green]✓[/] {escape(artifacts.shown(out))}  {told}", soft_wrap=True)


@export.command("card")
def export_card(
    model: Model = "common-full",
    out: Annotated[Path | None, Option("-o", "--output", help="default: README.md in the model's folder")] = None,
    profile: Profile = CHOSEN, force: Overwrite = False,
) -> None:  # fmt: skip
    """Write a model card for the Hub: how the model was made, and how well it answers."""
    folder = model_folder(profile, model)
    out = out or folder / "README.md"
    merge_and_chat.write_card(profile, folder, out, force=force)
    console.print(f"[green]✓[/] {escape(artifacts.shown(out))}", soft_wrap=True)


@command("merge_and_chat")
def serve(
    models: Annotated[list[str] | None, Option("-m", "--model", help="one or several; default: all made")] = None,
    port: Port = 8000, profile: Profile = CHOSEN,
) -> None:  # fmt: skip
    """Serve models on this computer in OpenAI's chat protocol, each loaded when it is first asked. Ctrl-C ends it."""
    names = models or models_made(profile) or ["common-full"]
    server = merge_and_chat.Server(model_folders(profile, names), port)
    console.print(
        f"serving {', '.join(server.models.folders)} at {server.url}  (Ctrl-C ends it)", markup=False, soft_wrap=True
    )
    server.run()


@command("merge_and_chat")
def evaluate(
    models: Annotated[list[str] | None, Option("-m", "--model", help="a name or folder; may be repeated")] = None,
    out: Annotated[Path | None, Option("-o", "--output", help="folder for the board of -m")] = None,
    profile: Profile = CHOSEN, force: Force = False,
) -> None:  # fmt: skip
    """Ask models the evaluation questions and print the board. Without -m: every model of the profile."""
    folder = profile.dir("merge_and_chat", "scoreboard")
    if models:
        titles = (name if name in MODELS else artifacts.shown(Path(name)) for name in models)
        named = {title: model_folder(profile, name) for title, name in zip(titles, models, strict=True)}
        if len(named) < len(models):
            raise CourseError("two of the models have the same name: name each once, or rename a folder")
        folder = out or folder.with_name("board-" + "+".join(Path(name).name for name in named))
        merge_and_chat.evaluate(profile, named, folder, force=force)
    elif out:
        raise CourseError("-o goes with -m: the board of the whole profile has its own place")
    else:
        road.do(steps.step("merge_and_chat", "scoreboard"), profile, force=force)
    print_board(folder)


@app.command()
def run(profile: Profile = CHOSEN, force: Force = False) -> None:
    """All stages in order, without notebooks. Stopped, it goes on where it was."""
    road.run(profile, force=force, report=print_step)
    print_board(profile.dir("merge_and_chat", "scoreboard"))
    console.print(WHAT_NEXT, markup=False)


@app.command()
def status(profile: Profile = CHOSEN) -> None:
    """Which stages are done, when, and from what."""
    colours = {"done": "green", "outdated": "yellow", "unfinished": "yellow", "to do": "dim"}
    states, rows = road.status(profile), []
    for row in states:
        rows.append([str(row.step), f"[{colours[row.state]}]{row.state}[/]"])
        if made := row.manifest:
            rows[-1] += made.finished[:16].replace("T", " "), f"{made.seconds:,.0f} s", ", ".join(made.inputs)
    print_table(f"profile {profile.name}", ["stage", "state", "finished (UTC)", "took", "made from"], rows)
    if found := artifacts.unfinished(profile.dir("")):
        print_unfinished(found, states)
    if following := next((row.step for row in states if row.state != "done"), None):
        option = "" if profile.name == profiles.DEFAULT else f" --profile {profile.name}"
        console.print(f"next: {following.command}{option}  (or course run{option} for all that is left)")


@app.command()
def clean(
    everything: Annotated[bool, Option("--all", help="also what the next run would go on from")] = False,
    yes: Annotated[bool, Option("--yes", help="do not ask")] = False, profile: Profile = CHOSEN,
) -> None:  # fmt: skip
    """Remove unfinished work of other settings and what stopped runs left, after asking. Results stay."""
    found, states, refused = artifacts.unfinished(profile.dir("")), road.status(profile), []
    print_unfinished(found, states)
    going_on = {state.work for state in states}
    chosen = [left for left in found if everything or left.folder not in going_on]
    if not chosen:
        console.print("nothing to remove" + (" (--all removes also what would go on)" if found else ""))
        return
    size = artifacts.decimal(sum(left.bytes for left in chosen))
    if not yes and not sys.stdin.isatty():
        raise CourseError(f"this removes {len(chosen)} of these, {size}, and there is no terminal to ask in: add --yes")
    if not yes and not confirmed(f"Remove {len(chosen)} of these, {size}? [y/N] "):
        console.print("nothing was removed")
        return
    for left in chosen:
        try:
            artifacts.remove(left)
        except CourseError as error:
            refused.append(str(error))
    console.print(f"[green]✓[/] removed {len(chosen) - len(refused)}")
    if refused:
        raise CourseError("; ".join(refused))


def confirmed(question: str) -> bool:
    """Whether the user says yes; the end of the input is a no."""
    with suppress(EOFError):
        return input(question).strip().lower() in ("y", "yes")
    return False


@app.command()
def notebooks(books: Annotated[list[Path], Argument(help="notebooks, in order")], profile: Profile = CHOSEN) -> None:
    """Execute notebooks in order and keep the executed copies in artifacts/<profile>/notebooks."""
    wrong = []
    for book in books:
        seconds, claims = execute(book, profile)
        wrong += [f"✗ claim: {book.name}: {claim}" for claim in claims]
        console.print(f"{'[red]✗[/]' if claims else '[green]✓[/]'} {book.name}  [dim]{seconds:,.0f} s[/]")
    if (scoreboard := profile.dir("merge_and_chat", "scoreboard") / "board.json").exists():
        print_board(scoreboard.parent)
    console.print(f"The executed notebooks lie in {artifacts.shown(profile.dir('notebooks'))}.")
    for text in wrong:
        console.print(text, markup=False, soft_wrap=True)
    if wrong:
        raise Exit(1)
    console.print(WHAT_NEXT, markup=False)


def main() -> None:
    """Run the command; a CourseError is one line on stderr and exit code 2, a stop has its own."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):  # a terminal of GBK or ASCII gets ? for what it cannot show
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except (Stopped, KeyboardInterrupt) as stop:
        if processes.is_main():
            print(stop if isinstance(stop, Stopped) else "stopped before it began", file=sys.stderr)
        sys.exit(getattr(stop, "exit_code", 130))
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
