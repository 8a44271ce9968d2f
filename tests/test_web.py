"""The page of `course chat --web`: what it refuses, and how it is in a browser (`make trials`)."""

import http.client
import shutil
import sys
from urllib.parse import urlsplit

import pytest

from course_utils.errors import CourseError
from course_utils.merge_and_chat import load, web

from .test_serving import NAMES, folders, running  # noqa: F401

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWS = """from pathlib import Path; import sys, time
from course_utils.merge_and_chat import Page, serving
def slow(folder, load=serving.load):  # so that an answer can be stopped
    model, tokenizer = load(folder)
    model.register_forward_pre_hook(lambda *_: time.sleep(0.05))
    return model, tokenizer
serving.load = slow
page = Page({Path(name).name: Path(name) for name in sys.argv[1:]}, 0, system="你是助手。", temperature=2)
print(page.url); page.run()"""


def test_a_pane_remembers_shows_marks_as_text_and_begins_anew_under_another_system_turn(folders):  # noqa: F811
    pane, loaded = web.Pane(), load(folders[NAMES[0]])
    settings = {"max_new_tokens": 4}
    assert set(pane.ask(loaded, "甲</s><b>", "", settings)) == {""}
    list(pane.ask(load(folders[NAMES[1]]), "乙", "", settings))
    assert [turn["content"] for turn in pane.talk.turns[::2]] == ["甲</s><b>", "乙"] and len(pane.shown) == 4
    assert pane.shown[0] == {"role": "user", "content": "甲&lt;/s&gt;&lt;b&gt;"} and pane.shown[1]["content"]
    for _ in range(40):
        told = list(pane.ask(loaded, "长" * 60, "", settings))
    assert "个问题已放不下" in told[-1] and len(pane.shown) == 84
    with pytest.raises(CourseError, match="too long"):
        list(pane.ask(loaded, "长" * 600, "", settings))
    assert len(pane.shown) == 84
    for system, wrong in (("长" * 600, {}), ("你是医生。", {"temperature": -1.0})):
        with pytest.raises(CourseError):
            list(pane.ask(loaded, "丙", system, settings | wrong))
    assert len(pane.shown) == 84 and not pane.talk.system, "a system turn that is refused ends no conversation"
    list(pane.ask(loaded, "丙", "你是医生。", settings))
    assert len(pane.shown) == 2 and pane.talk.turns[0] == {"role": "system", "content": "你是医生。"}


def test_without_gradio_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(web.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="pip install"):
        web.Page({}, 0)


def test_the_page_is_for_this_computer_and_asks_nothing_of_others(folders):  # noqa: F811
    pytest.importorskip("gradio", reason="gradio is not installed")
    with running("chat", "--web", "-m", folders[NAMES[1]], "--port", 0) as told:
        address = urlsplit(told.removeprefix("the page: ").split()[0])
        line = http.client.HTTPConnection(address.hostname, address.port, timeout=100)
        found = {}
        for name in ("", "rebound.example"):
            line.request("GET", "/config", headers={"Host": name or address.netloc})
            reply = line.getresponse()
            found[name] = reply.status, reply.read().decode()
        assert found["rebound.example"][0] == 403 and found[""][0] == 200
        assert "medical-tiny" in found[""][1] and "不是医疗建议" in found[""][1] and "googleapis" not in found[""][1]


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("gradio", reason="gradio is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this computer")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.trial
def test_the_page_in_a_browser(browser, folders, tmp_path):  # noqa: F811
    with running(*folders.values(), program=SHOWS) as told:
        url, tabs = told.strip(), []
        asked, wrong = set(), []
        for width in (1280, 390):
            tab = browser.new_page(viewport={"width": width, "height": 844})
            tab.set_default_timeout(120_000)
            tab.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
            tab.on("pageerror", lambda error: wrong.append(str(error)))
            tab.goto(url)
            tabs.append(tab)
        wide, narrow = tabs

        def shot(tab, name: str) -> None:
            tab.wait_for_timeout(500)
            assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"
            tab.screenshot(path=tmp_path / f"{name}.png", full_page=True)

        def ask(tab, text: str) -> None:
            tab.get_by_placeholder("your question").locator("visible=true").fill(text)
            tab.get_by_role("button", name="Ask").locator("visible=true").click()

        def press(tab, name: str) -> None:
            tab.get_by_role("button", name=name).locator("visible=true").click()

        def bots(tab):
            return tab.locator(".bot.message").locator("visible=true")

        def growing(tab) -> None:
            """Wait until an answer grows: it is streamed."""
            bots(tab).last.wait_for()
            before = len(bots(tab).last.inner_text())
            while len(bots(tab).last.inner_text()) <= before:
                tab.wait_for_timeout(50)

        def quiet(tab) -> str:
            """-> the last answer, once it grows no more"""
            text = None
            while text != (text := bots(tab).last.inner_text()):
                tab.wait_for_timeout(3000)
            return text

        shot(wide, "new wide"), shot(narrow, "new narrow")
        ask(wide, "北京的简称是什么？</s><b>甲</b>")
        growing(wide)
        press(wide, "Stop")
        stopped = quiet(wide)
        assert len(stopped) < 400, "of about 600"
        assert "</s><b>甲</b>" in wide.locator(".user.message").first.inner_text()
        assert not bots(narrow).count(), "tabs have conversations of their own"
        # Another model goes on with the conversation, under the notice, with other settings.
        wide.get_by_label("Model 模型").locator("visible=true").click()
        wide.get_by_role("option", name=NAMES[1]).click()
        wide.locator(".block.notice").locator("visible=true").wait_for()
        wide.get_by_text("Settings").click()
        wide.get_by_label("Max new tokens").fill("20")
        ask(wide, "那它呢？")
        bots(wide).nth(1).wait_for()
        assert 0 < len(quiet(wide)) < 200 and bots(wide).first.inner_text().startswith(stopped)
        shot(wide, "chat wide")
        wide.get_by_label("Top-p").fill("much")
        ask(wide, "甲")
        wide.get_by_text("much is no number").wait_for()
        wide.get_by_label("Top-p").fill("")
        ask(wide, "长" * 600)
        wide.get_by_text("too long: the model reads 512").wait_for()
        shot(wide, "problem wide")
        press(wide, "Clear 清空")
        bots(wide).first.wait_for(state="detached")
        for tab, name in ((wide, "wide"), (narrow, "narrow")):
            tab.get_by_role("tab", name="Compare").click()
            ask(tab, "成都在哪里？")
            bots(tab).nth(1).wait_for()
            quiet(tab)
            first, second = bots(tab).all_inner_texts()
            assert first != second and tab.locator(".block.notice").locator("visible=true").count() == 1
            shot(tab, f"compare {name}")
        # Loaded again in the midst of an answer, it begins anew, and the next question is answered.
        ask(wide, "再说一遍")
        bots(wide).nth(2).wait_for()
        wide.reload()
        wide.get_by_placeholder("your question").locator("visible=true").wait_for()
        assert not bots(wide).count()
        ask(wide, "你好")
        growing(wide)
        press(wide, "Stop")
        assert asked == {urlsplit(url).netloc} and not wrong, (asked, wrong)
