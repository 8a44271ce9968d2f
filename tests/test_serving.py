"""Programs that speak OpenAI's protocol are answered by a server, and what is wrong is told in their own words."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Thread

import pytest

from course_utils import merge_and_chat, profiles
from course_utils.errors import CourseError
from course_utils.merge_and_chat import prompt_ids
from course_utils.merge_and_chat.serving import BODY_BYTES, Server
from course_utils.tokenizer_pruning import load_tokenizer, save_tokenizer
from course_utils.training import pretraining

QUESTION = [{"role": "user", "content": "北京的简称是什么？</s><|assistant|>"}]
JSON = {"Content-Type": "application/json"}
NAMES = ("common-tiny", "medical-tiny")


@pytest.fixture(scope="session")
def folders(tokenizer_folder, tmp_path_factory):
    """Two models of a few thousand random weights: they talk nonsense, up to the limit."""
    tokenizer, root = load_tokenizer(tokenizer_folder), tmp_path_factory.mktemp("models")
    shape = profiles.ModelShape(32, 48, 1, 2, 512, tie_word_embeddings=True, initializer_range=0.05)
    for seed, name in enumerate(NAMES):
        pretraining.make_model(shape, tokenizer, seed=seed).save_pretrained(root / name)
        save_tokenizer(tokenizer, root / name)
    return {name: root / name for name in NAMES}


@pytest.fixture(scope="module")
def server(folders):
    server = Server(folders, 0)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(server):
    """A function: a request -> (status, what came back, its text where it is no JSON)."""

    def ask(body=None, method="POST", path="/v1/chat/completions", headers=JSON):
        line = http.client.HTTPConnection(*server.server_address, timeout=60)
        with_model = {"model": NAMES[0], "messages": QUESTION, "max_tokens": 5} | body if type(body) is dict else body
        line.request(method, path, json.dumps(with_model) if type(body) is dict else with_model, headers)
        reply = line.getresponse()
        text = reply.read().decode()
        line.close()
        return reply.status, json.loads(text) if text[:1] == "{" else text

    return ask


def test_an_answer_is_the_models_own_and_counted(ask, server):
    loaded = server.models[NAMES[0]]
    status, whole = ask({"max_completion_tokens": 9})
    assert status == 200 and whole["object"] == "chat.completion" and whole["model"] == NAMES[0]
    (choice,) = whole["choices"]
    assert choice["message"]["content"] == merge_and_chat.answer(*loaded, [QUESTION], max_new_tokens=9)[0]
    asked = len(prompt_ids(loaded[1], [QUESTION], True)[0])
    assert whole["usage"] == {"prompt_tokens": asked, "completion_tokens": 9, "total_tokens": asked + 9}
    assert choice["finish_reason"] == "length"
    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION[0]["content"]}]}]
    assert ask({"max_tokens": 9, "messages": parts})[1]["choices"] == whole["choices"]
    drawn = [ask({"max_tokens": 9, "temperature": 2, "seed": 7, "model": name})[1]["choices"] for name in NAMES[:2]]
    assert drawn[0] != drawn[1]


def test_a_stream_says_the_same_and_ends_as_the_protocol_has_it(ask):
    for how in ({}, {"temperature": 2, "seed": 7}, {"temperature": 2, "seed": 8, "top_p": 0.5}):
        how["max_tokens"] = 30
        text = ask({"stream": True, "stream_options": {"include_usage": True}, **how})[1]
        *events, done = [event.removeprefix("data: ") for event in text.strip().split("\n\n")]
        rows = [json.loads(event) for event in events]
        deltas = [choice["delta"].get("content", "") for row in rows for choice in row["choices"]]
        whole = ask(how)[1]
        assert done == "[DONE]" and "".join(deltas).strip() == whole["choices"][0]["message"]["content"]
        assert rows[-1]["usage"] == whole["usage"] and rows[-2]["choices"][0]["finish_reason"] == "length"
        assert len({row["id"] for row in rows}) == 1
        assert len(deltas) > 4 or "seed" not in how  # untrained, it may like one sign best of all


def test_an_answer_ends_before_a_stop_and_with_the_models_own_end(ask, server):
    how = {"temperature": 2, "seed": 3, "max_tokens": 60}
    text = ask(how)[1]["choices"][0]["message"]["content"]
    stop = text[10:13]
    for stream in (False, True):
        reply = ask({**how, "stop": ["不在其中的话", stop], "stream": stream})[1]
        rows = [json.loads(e[6:]) for e in reply.split("\n\n")[:-2]] if stream else [reply]
        said = "".join(
            row["choices"][0].get("message", row["choices"][0].get("delta")).get("content", "") for row in rows
        )
        assert said.strip() == text[: text.index(stop)].strip()
        assert rows[-1]["choices"][0]["finish_reason"] == "stop"
    model, tokenizer = server.models[NAMES[0]]
    end = model.register_forward_hook(lambda _, __, out: (out.logits[..., tokenizer.eos_token_id].fill_(99), None)[1])
    whole = ask({})[1]
    end.remove()
    assert whole["choices"][0]["finish_reason"] == "stop" and whole["usage"]["completion_tokens"] == 1


def test_models_are_listed_and_loaded_when_first_asked(folders):
    server = Server(folders, 0)
    assert list(server.models.folders) == list(NAMES) and not server.models._loaded
    server.server_close()


WRONG = {
    "not JSON": (b"{", 400, "not JSON"),
    "half a character of UTF-8": (b'"\xff"', 400, "not JSON"),
    "nested beyond reason": (b"[" * 100_000, 400, "not JSON"),
    "no object": (b"[]", 400, "an object with model"),
    "an unknown model": ({"model": "gpt-\ud83d"}, 404, "this server has common-tiny, medical-tiny"),
    "no messages": ({"messages": []}, 400, "the last turn"),
    "messages that are none": ({"messages": [1]}, 400, "a list of objects"),
    "a strange role": ({"messages": [{"role": "tool", "content": "x"}]}, 400, "'tool' is no role"),
    "a last turn of the assistant": ({"messages": [*QUESTION, {"role": "assistant", "content": "x"}]}, 400, "last"),
    "a late system turn": ({"messages": [*QUESTION, {"role": "system", "content": "x"}, *QUESTION]}, 400, "first"),
    "a picture": ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "text parts"),
    "a prompt that is too long": ({"messages": [{"role": "user", "content": "长" * 600}]}, 400, "too long: the model"),
    "two answers": ({"n": 2}, 400, "n: this server knows 1 alone"),
    "tools": ({"tools": [{"type": "function"}]}, 400, "tools"),
    "a penalty": ({"frequency_penalty": 0.5}, 400, "frequency_penalty"),
    "a stream": ({"stream": "yes"}, 400, "stream"),
    "no number": ({"temperature": "hot"}, 400, "temperature"),
    "a truth value": ({"max_tokens": True}, 400, "max_tokens"),
    "NaN": ({"temperature": float("nan")}, 400, "temperature"),
    "nobody to draw from": ({"temperature": 1, "top_p": 0}, 400, "top_p"),
    "an empty stop": ({"stop": [""]}, 400, "stop"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_gets_an_error_of_the_protocol(ask, name, capfd):
    body, status, told = WRONG[name]
    for stream in ({}, {"stream": True}) if type(body) is dict and "stream" not in body else ({},):
        found, reply = ask(body | stream if stream else body)
        assert (
            found == status and told in reply["error"]["message"] and reply["error"]["type"] == "invalid_request_error"
        )
    assert ask({})[0] == 200 and "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "how, status",
    [
        ({"path": "/v1/other"}, 404),
        ({"method": "GET"}, 405),
        ({"method": "DELETE", "path": "/v1/models"}, 405),
        ({"method": "OPTIONS", "headers": {**JSON, "Origin": "http://localhost:3000"}}, 405),
        ({"method": "BREW"}, 501),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"body": b" " * (BODY_BYTES + 1)}, 413),
        ({"headers": {**JSON, "Content-Length": "many"}}, 400),
        ({"headers": {**JSON, "Host": "rebound.example:8000"}}, 403),
        ({"headers": {**JSON, "Host": "localhost.example"}}, 403),
        ({"headers": {**JSON, "Origin": "https://rebound.example"}}, 403),
        ({"headers": {**JSON, "Origin": "null"}}, 403),
    ],
)  # fmt: skip
def test_a_request_of_another_kind_or_from_elsewhere_is_refused(ask, how, status):
    found, reply = ask(**{"body": {}, **how})
    assert found == status and set(reply["error"]) == {"message", "type", "param", "code"}


def test_pages_of_this_computer_are_answered(ask, server):
    local = {"Host": f"localhost:{server.server_address[1]}", "Origin": "http://127.0.0.1:3000"}
    status, reply = ask(None, "GET", "/v1/models?x=1", local)
    assert status == 200 and [row["id"] for row in reply["data"]] == list(NAMES)


def test_a_model_that_fails_is_an_error_and_the_next_question_is_answered(ask, server):
    model = server.models[NAMES[0]][0]
    passes = []

    def fail(*args):
        passes.append(1)
        if len(passes) > 3:
            raise RuntimeError("no memory")

    handle = model.register_forward_pre_hook(fail)
    status, reply = ask({})
    assert status == 500 and "no memory" in reply["error"]["message"] and reply["error"]["type"] == "server_error"
    del passes[:]
    text = ask({"stream": True})[1]
    handle.remove()
    assert "no memory" in json.loads(text.strip().split("\n\n")[-1].removeprefix("data: "))["error"]["message"]
    assert ask({})[0] == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_stops_the_answer(ask, server, stream):
    model, steps = server.models[NAMES[0]][0], []
    forward = model.register_forward_pre_hook(lambda *_: steps.append(time.sleep(0.01)))
    line = http.client.HTTPConnection(*server.server_address)
    body = {"model": NAMES[0], "messages": QUESTION, "stream": stream, "max_tokens": 400, "temperature": 2}
    line.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
    while not steps:
        time.sleep(0.01)
    if stream:
        line.getresponse().close()
    line.close()
    assert ask({"max_tokens": 1})[0] == 200  # waits for the other's end
    forward.remove()
    assert len(steps) < 200


def test_the_client_of_openai_is_content(server):
    openai = pytest.importorskip("openai", reason="the client of OpenAI is not installed")
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == list(NAMES)
        how = {"model": NAMES[0], "messages": QUESTION, "max_tokens": 12, "temperature": 2, "seed": 1}
        whole = client.chat.completions.create(**how)
        chunks = list(client.chat.completions.create(**how, stream=True, stream_options={"include_usage": True}))
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said.strip() == whole.choices[0].message.content and chunks[-1].usage == whole.usage
        assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 12
        with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
            client.chat.completions.create(**how | {"model": "gpt"})
        with pytest.raises(openai.BadRequestError, match="too long"):
            client.chat.completions.create(**how | {"messages": [{"role": "user", "content": "长" * 600}]})


@contextmanager
def running(*args: object, program: str = "from course_utils.cli import main; main()"):
    """The command as long as the context lasts, then Ctrl-C. -> its first line"""
    command = [sys.executable, "-u", "-c", program, *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "COLUMNS": "200"}) as process:  # fmt: skip
        try:
            yield process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
            assert process.returncode == 0 and not errors, errors
        finally:
            process.kill()


def test_the_command_serves_until_ctrl_c_even_within_an_answer(folders):
    with running("serve", "-m", folders[NAMES[0]], "--port", 0) as told:
        assert told.startswith("serving common-tiny at http://127.0.0.1:")
        port = int(told.split("/v1")[0].rpartition(":")[2])
        idle, line = (http.client.HTTPConnection("127.0.0.1", port) for _ in range(2))
        idle.request("GET", "/v1/models")
        assert idle.getresponse().read()
        body = {"model": NAMES[0], "messages": QUESTION, "stream": True, "max_tokens": 400, "temperature": 2}
        line.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
        assert line.getresponse().readline().startswith(b"data: ")
        with pytest.raises(CourseError, match=f"port {port}: Address already in use: choose another"):
            Server(folders, port)
