"""Models served on this computer in OpenAI's chat protocol, for the many programs that speak it.

In come the folders of models; out goes ``http://127.0.0.1:PORT/v1`` with ``/models`` and ``/chat/completions``, whole
or streamed (https://platform.openai.com/docs/api-reference/chat). transformers' own server is not used: it would take
marks in users' words, such as ``</s>``, as control tokens. What a request does not set, the model's
``generation_config.json`` says.

One answer is generated at a time: the models share the computer, and torch draws from one generator a process. Requests
that a page of another site makes a browser send are refused by their Host and Origin.
"""

import json
import os
import re
import select
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from ..errors import CourseError
from .generation import load, prompt_ids, room, stream_answer, streamed

HOST = "127.0.0.1"
LOCAL = re.compile(r"(https?://)?(localhost|127\.0\.0\.1)(:\d+)?", re.IGNORECASE)  # what Host and Origin may say
BODY_BYTES, DRAINED_BYTES = 2**20, 2**26  # of a request at most; of a larger one read before it is refused
METHODS = {"/v1/models": "GET", "/v1/chat/completions": "POST"}
WAIT_SECONDS = 60  # for a client that neither sends nor reads
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Name in a request -> (name in ``Sampling``, type, least, greatest); the later of two names counts.
NUMBERS = {
    "temperature": ("temperature", float, 0, 2),
    "top_p": ("top_p", float, 0, 1),
    "seed": ("seed", int, -(2**63), 2**63 - 1),
    "max_tokens": ("max_new_tokens", int, 1, 2**31),
    "max_completion_tokens": ("max_new_tokens", int, 1, 2**31),
}
ALONE = {  # no other value
    "n": 1, "logprobs": False, "tools": [], "functions": [], "response_format": {"type": "text"}, "logit_bias": {},
    "frequency_penalty": 0, "presence_penalty": 0,
}  # fmt: skip
STOPS = 4  # at most, as OpenAI has it


class Refused(CourseError):
    """A request that gets no answer, with the status of HTTP and, where OpenAI has one, its code."""

    def __init__(self, status: int, message: str, code: str | None = None):
        super().__init__(message)
        self.status, self.code = status, code


class Models:
    """Models by name, each loaded when it is first asked for. Whoever lets one answer holds ``lock``."""

    def __init__(self, folders: dict[str, Path]):
        self.folders, self.lock, self._loaded = folders, Lock(), {}

    def __getitem__(self, name: str):
        """-> (model, tokenizer). Raises CourseError as ``generation.load`` does."""
        if name not in self._loaded:
            self._loaded[name] = load(self.folders[name])
        return self._loaded[name]


def _turns(messages: object) -> list[dict]:
    """The turns of a conversation that ends with a question. Raises Refused for anything else."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Refused(400, "messages: a list of objects with role and content is needed")
    turns = []
    for role, parts in ((message.get("role"), message.get("content")) for message in messages):
        if not isinstance(role, str) or role not in ROLES:
            raise Refused(400, f"messages: {role!r} is no role: {', '.join(ROLES)}")
        parts = [{"text": parts}] if isinstance(parts, str) else parts
        if not isinstance(parts, list) or not all(
            isinstance(p, dict) and isinstance(p.get("text"), str) for p in parts
        ):
            raise Refused(400, "messages: a content is a text or a list of text parts")
        turns.append({"role": ROLES[role], "content": "\n".join(part["text"] for part in parts)})
    if "system" in [turn["role"] for turn in turns[1:]]:
        raise Refused(400, "messages: a system turn that is not the first")
    if not turns or turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
        raise Refused(400, "messages: the last turn is not a question of the user")
    return turns


@dataclass(frozen=True)
class Request:
    """What is asked of ``/chat/completions``."""

    model: str
    turns: list[dict]
    stop: list[str]
    settings: dict  # of ``Sampling``
    stream: bool
    usage: bool  # told at the end of a stream too

    @classmethod
    def of(cls, body: bytes) -> "Request":
        """Raises Refused for a body that is no such request."""
        try:
            row = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(row, dict) or not isinstance(row.get("model"), str):
            raise Refused(400, "an object with model and messages is needed")
        settings = {}
        for key, (name, kind, least, greatest) in NUMBERS.items():
            if (value := row.get(key)) is not None:
                right = isinstance(value, (int, kind)) and not isinstance(value, bool)
                if not right or not least <= value <= greatest:  # nor is NaN between them
                    raise Refused(400, f"{key}: {'a number' if kind is float else 'a whole number'} from {least} to "
                                       f"{greatest} is needed")  # fmt: skip
                settings[name] = value
        if other := next((name for name, one in ALONE.items() if row.get(name) not in (None, one)), None):
            raise Refused(400, f"{other}: this server knows {json.dumps(ALONE[other])} alone")
        stop = row.get("stop") or []
        stop = [stop] if isinstance(stop, str) else stop
        if not isinstance(stop, list) or len(stop) > STOPS or not all(isinstance(s, str) and s for s in stop):
            raise Refused(400, f"stop: a text or a list of at most {STOPS} is needed")
        if (stream := row.get("stream")) not in (None, False, True):
            raise Refused(400, "stream: true or false is needed")
        options = row.get("stream_options")
        usage = isinstance(options, dict) and options.get("include_usage") is True
        return cls(row["model"], _turns(row.get("messages")), stop, settings, bool(stream), usage)


class Answer:
    """An answer, piece by piece up to the first of the stops. After its end it has ``finish_reason`` and ``usage``.
    Raises CourseError for a prompt that is too long."""

    def __init__(self, model, tokenizer, asked: Request):
        self.model, self.tokenizer, self.asked = model, tokenizer, asked
        (prompt,) = prompt_ids(tokenizer, [asked.turns], chat=True)
        room(model, prompt, streamed(model, **asked.settings))
        self.prompt_tokens = len(prompt)

    def __iter__(self) -> Iterator[str]:
        stops, ids, text, found = self.asked.stop, [], "", []
        held = max(map(len, stops), default=1) - 1  # characters that may be the beginning of a stop
        asked = stream_answer(self.model, self.tokenizer, self.asked.turns, ids=ids, **self.asked.settings)
        with closing(asked) as pieces:
            for piece in pieces:
                text += piece
                if found := [at for stop in stops if (at := text.find(stop)) >= 0]:
                    text = text[: min(found)]
                    break
                if len(text) > held:
                    yield text[: len(text) - held]
                    text = text[len(text) - held :]
        if text:
            yield text
        self.finish_reason = "stop" if found or ids[-1] == self.tokenizer.eos_token_id else "length"
        count = {"prompt_tokens": self.prompt_tokens, "completion_tokens": len(ids)}
        self.usage = {**count, "total_tokens": sum(count.values())}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version, timeout, disable_nagle_algorithm = "HTTP/1.1", WAIT_SECONDS, True
    streaming = False

    def route(self) -> None:
        """Any request: the one place where what goes wrong becomes an answer."""
        try:
            body, path = self.body(), self.path.partition("?")[0]
            origin = self.headers.get("Origin", HOST)
            if not LOCAL.fullmatch(self.headers.get("Host", "")) or not LOCAL.fullmatch(origin):
                raise Refused(403, "only pages and programs of this computer are answered")
            if path not in METHODS:
                raise Refused(404, f"there is no {path}: ask {' or '.join(METHODS)}")
            if self.command != METHODS[path]:
                raise Refused(405, f"{path} is asked with {METHODS[path]}")
            if self.command == "GET":
                self.list_models()
            elif self.headers.get_content_type() != "application/json":
                raise Refused(415, "the body's Content-Type is application/json")
            else:
                self.complete(Request.of(body))
        except (ConnectionError, TimeoutError):  # the client went away
            self.close_connection = True
        except CourseError as problem:
            self.refuse(getattr(problem, "status", 400), str(problem), getattr(problem, "code", None))
        except Exception as error:
            self.refuse(500, f"the model failed: {type(error).__name__}: {error}")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = route

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,15}", length):
            raise Refused(400, "a body comes whole, with its Content-Length")
        if int(length) > BODY_BYTES:
            left = min(int(length), DRAINED_BYTES)
            while left > 0 and (read := self.rfile.read(min(left, BODY_BYTES))):  # so that the client hears why
                left -= len(read)
            raise Refused(413, f"a body of {int(length):,} bytes is too large: {BODY_BYTES:,} at most")
        return self.rfile.read(int(length))

    def list_models(self) -> None:
        common = {"object": "model", "owned_by": "course"}
        folders = self.server.models.folders.items()
        rows = [
            {"id": name, "created": int(folder.stat().st_mtime), **common}
            for name, folder in folders
            if folder.is_dir()
        ]
        self.send(200, {"object": "list", "data": rows})

    def complete(self, asked: Request) -> None:
        models = self.server.models
        if asked.model not in models.folders:
            names = ", ".join(models.folders)
            raise Refused(404, f"no model {asked.model!r}: this server has {names}", "model_not_found")
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked.model}
        with models.lock:
            answer = Answer(*models[asked.model], asked)
            with closing(iter(answer)) as pieces:
                if asked.stream:
                    self.stream(head, answer, pieces)
                else:
                    message = {"role": "assistant", "content": "".join(map(self.heard, pieces)).strip()}
                    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
                    whole = {"object": "chat.completion", "choices": [choice], "usage": answer.usage}
                    self.send(200, {**head, **whole})

    def stream(self, head: dict, answer: Answer, pieces: Iterator[str]) -> None:
        def send(delta: dict, finish_reason: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            self.send_event({**head, "object": "chat.completion.chunk", "choices": [choice]})

        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache",
                            "Connection": "close"}.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.streaming = True
        send({"role": "assistant", "content": ""})
        for piece in map(self.heard, pieces):
            send({"content": piece})
        send({}, answer.finish_reason)
        if asked_usage := answer.asked.usage and answer.usage:
            self.send_event({**head, "object": "chat.completion.chunk", "choices": [], "usage": asked_usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def heard(self, piece: str) -> str:
        """A piece that someone still waits for. Raises ConnectionError where nobody does."""
        readable = select.select([self.connection], [], [], 0)[0]
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError("nobody listens")
        return piece

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.close_connection, problem = True, {"message": message, "type": kind, "param": None, "code": code}
        with suppress(ConnectionError, TimeoutError):
            self.send_event({"error": problem}) if self.streaming else self.send(status, {"error": problem})

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library itself refuses, such as a method that HTTP does not have."""
        self.refuse(code, message or self.responses[code][0])

    def send(self, status: int, value: dict) -> None:
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else data)

    def send_event(self, value: dict) -> None:
        self.wfile.write(f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode("utf-8", "replace"))

    def log_message(self, *_) -> None:
        """Nothing: what people ask is theirs, and a client hears what is wrong."""


def listen(port: int) -> socket.socket:
    """A socket on this computer's own address; port 0 is any free one. Raises CourseError where it cannot be had."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise CourseError(f"port {port}: {os.strerror(error.errno)}: choose another with --port") from None


class Server(ThreadingHTTPServer):
    """Serves models by name on a port. Raises CourseError where the port cannot be had."""

    daemon_threads = False  # a thread that still frees tensors while Python ends would abort the process

    def __init__(self, folders: dict[str, Path], port: int):
        listening = listen(port)
        super().__init__((HOST, port), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listening, listening.getsockname()
        self.models, self.connections = Models(folders), set()
        self.url = f"http://{HOST}:{self.server_address[1]}/v1"

    def run(self) -> None:
        """Serve until Ctrl-C. An answer that is being generated then ends with the piece it is at."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()
        self.server_close()

    def server_close(self) -> None:
        """End every connection and wait for its thread."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def process_request(self, request, client_address) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        """A connection that broke is no concern of the others; anything else is a line."""
        if not isinstance(error := sys.exception(), ConnectionError | TimeoutError):
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
