"""A page in the browser to chat with a model, or with two side by side (Gradio, https://www.gradio.app).

In come the folders of models; out goes a page on 127.0.0.1 that asks nothing of any other computer: no fonts, scripts,
share links or counts of use. Each tab of the browser has conversations of its own, which end when it is loaded again.
"""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from ..errors import CourseError
from .chatting import Conversation
from .serving import HOST, LOCAL, Models, listen

NOTICE = (
    "医学模型的回答是教学材料，可能有错，不是医疗建议；身体不适请就医。"
    "Answers about medicine are teaching material, often wrong, and not medical advice: see a doctor."
)
SHUTDOWN_SECONDS = 1  # for open pages after Ctrl-C
CSS = ".block.notice {background: #f59e0b33; padding: 6px 12px; border-radius: 6px} .problem * {color: #dc2626}"
FONTS = ["system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]  # what the computer has
SETTINGS = {  # of ``Sampling`` -> type, label
    "max_new_tokens": (int, "Max new tokens 最多生成"),
    "temperature": (float, "Temperature 温度 (0: greedy)"),
    "top_p": (float, "Top-p 核采样"),
    "repetition_penalty": (float, "Repetition penalty 重复惩罚"),
}


def parsed(texts: Iterable[str]) -> dict:
    """The settings that were written, None for an empty field. Raises CourseError for what is no number."""
    found = {}
    for (name, (kind, label)), text in zip(SETTINGS.items(), texts, strict=True):
        try:
            found[name] = kind(text) if text.strip() else None
        except ValueError:
            raise CourseError(f"{label}: {text} is no {'whole number' if kind is int else 'number'}") from None
    return found


@dataclass
class Pane:
    """A conversation of a tab of the browser, and what it shows of it: forgotten turns too."""

    talk: Conversation | None = None
    shown: list[dict] = field(default_factory=list)

    def ask(self, loaded: tuple, question: str, system: str, settings: dict) -> Iterator[str]:
        """-> what to say below the conversation, with each piece of the answer; another system turn begins anew."""
        same = self.talk is not None and self.talk.system == system
        talk = self.talk if same else Conversation(*loaded, system=system)
        (talk.model, talk.tokenizer), talk.settings = loaded, settings
        said = {"role": "assistant", "content": ""}
        with closing(talk.ask(question)) as pieces:
            for i, piece in enumerate(pieces):
                if i == 0:  # a question that is refused changes nothing
                    shown = [*(self.shown if same else ()), {"role": "user", "content": escape(question)}, said]
                    self.talk, self.shown = talk, shown
                said["content"] += escape(piece)  # what looks like a tag is text
                yield ""
        if talk.forgotten:
            yield f"前 {talk.forgotten} 个问题已放不下 (the first {talk.forgotten} questions no longer fit)"


class Page:
    """The page, with the first of the models chosen. ``system`` and ``settings`` stand in it to begin with. Raises
    CourseError where Gradio is missing, the port cannot be had, or that model cannot be loaded."""

    def __init__(self, folders: dict[str, Path], port: int, *, system: str = "", **settings):
        if not importlib.util.find_spec("gradio"):
            raise CourseError("the page needs the package gradio: pip install 'gradio>=6.0'")
        self.models, self.system, self.settings = Models(folders), system, settings
        self.socket = listen(port)
        self.url = f"http://{HOST}:{self.socket.getsockname()[1]}"
        self.models[next(iter(folders))]  # with all that it imports: from the first question on a Stop comes through

    def run(self) -> None:
        """Serve until Ctrl-C."""
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        import fastapi
        import gradio
        import uvicorn

        look = {"theme": gradio.themes.Default(font=FONTS, font_mono=["monospace"]), "css": CSS}
        where = {"path": "/", "footer_links": [], "run_history": False, "max_file_size": 0, "ssr_mode": False}
        app = gradio.mount_gradio_app(fastapi.FastAPI(openapi_url=None), self.blocks(gradio), **where, **look)
        how = {"log_level": "critical", "timeout_graceful_shutdown": SHUTDOWN_SECONDS}
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(guarded(app), **how)).run([self.socket])

    def blocks(self, gr):
        with gr.Blocks(title="羊驼 · your models", analytics_enabled=False) as page:
            gr.Markdown("## 羊驼 · your models 你的模型")
            with gr.Accordion("Settings 设置 (empty: the model's own)", open=False):
                system = gr.Textbox(self.system, label="System turn 系统提示")
                with gr.Row():
                    # Not gr.Number: its empty field becomes a 0.
                    given = {name: self.settings.get(name) for name in SETTINGS}
                    fields = [
                        gr.Textbox("" if value is None else str(value), label=SETTINGS[name][1], min_width=140)
                        for name, value in given.items()
                    ]
            with gr.Tab("Chat 对话"):
                self.tab(gr, 1, [system, *fields])
            with gr.Tab("Compare 比较"):
                self.tab(gr, 2, [system, *fields])
            gr.Markdown(NOTICE, elem_classes="footer")
        return page

    def tab(self, gr, count: int, settings: list) -> None:
        """One model, or two asked the same question, one after the other."""
        names = list(self.models.folders)
        panes, chosen, chats = gr.State([Pane() for _ in range(count)]), [], []
        with gr.Row():
            for i in range(count):
                with gr.Column(min_width=300):
                    name = names[min(i, len(names) - 1)]
                    chosen.append(gr.Dropdown(names, value=name, label="Model 模型", filterable=False))
                    plain = {
                        "render_markdown": False,
                        "latex_delimiters": [],
                        "feedback_options": None,
                        "buttons": ["copy"],
                    }
                    chats.append(gr.Chatbot(label=f"Conversation 对话 {i + 1}", height="45vh", **plain))
        notice = gr.Markdown(NOTICE, visible=any("medical" in name.value for name in chosen), elem_classes="notice")
        problem = gr.Markdown(elem_classes="problem")
        question = gr.Textbox(placeholder="你的问题 · your question", show_label=False, max_lines=4)
        with gr.Row():
            ask = gr.Button("Ask 提问", variant="primary", min_width=80, size="md")
            stop, clear = (gr.Button(name, min_width=80, size="md") for name in ("Stop 停止", "Clear 清空"))

        def answers(text: str, panes: list[Pane], system: str, *values) -> Iterator[tuple]:
            told, asking, names = [], gr.skip(), values[len(SETTINGS) :]  # what is typed meanwhile stays
            for pane, name in zip(panes, names if text.strip() else (), strict=False):
                line = "…"
                try:
                    given = {**parsed(values[: len(SETTINGS)]), "seed": self.settings.get("seed")}
                    yield "" if pane is panes[0] else asking, line, *(pane.shown for pane in panes)
                    for line in pane.ask(self.models[name], text.strip(), system.strip(), given):
                        yield asking, line, *(pane.shown for pane in panes)
                    told.append(line)
                except Exception as error:
                    what = "" if isinstance(error, CourseError) else f"{type(error).__name__}: "
                    told.append(f"{name}: {what}{error}")
                    asking = text
            yield asking, "  \n".join(filter(None, told)), *(pane.shown for pane in panes)

        def heard(panes: list[Pane]) -> tuple:
            return "", *(pane.shown for pane in panes)

        def cleared(panes: list[Pane]) -> tuple:
            panes[:] = [Pane() for _ in panes]
            return heard(panes)

        def noticed(*names: str):
            return gr.Markdown(visible=any("medical" in name for name in names))

        hidden = {"api_visibility": "private", "show_progress": "hidden"}
        # One answer at a time on this computer, whatever the number of tabs: torch draws from one generator a process.
        asked = gr.on([ask.click, question.submit], answers, [question, panes, *settings, *chosen],
                      [question, problem, *chats], concurrency_limit=1, concurrency_id="answers", **hidden)  # fmt: skip
        stop.click(heard, panes, [problem, *chats], cancels=[asked], **hidden)
        gr.on(
            [clear.click, *(chat.clear for chat in chats)], cleared, panes, [problem, *chats], cancels=[asked], **hidden
        )
        for name in chosen:
            name.change(noticed, chosen, notice, **hidden)


def guarded(app):
    """The app for requests of this computer's own pages alone, see ``serving``."""

    async def only_local(scope, receive, send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if scope["type"] != "lifespan" and not (
            LOCAL.fullmatch(headers.get("host", "")) and LOCAL.fullmatch(headers.get("origin", HOST))
        ):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            return await send({"type": "http.response.body", "body": b"only pages of this computer are answered"})
        await app(scope, receive, send)

    return only_local
