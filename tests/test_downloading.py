"""Downloads end whole or not at all: a real server on this machine drops, changes, garbles and refuses."""

import hashlib
import http.server
import os
import shutil
import threading
import time
from collections import Counter, namedtuple

import filelock
import huggingface_hub.utils
import pytest
from huggingface_hub import constants

from course_utils import profiles
from course_utils.corpora import downloading
from course_utils.errors import CourseError

CONTENT = os.urandom(3_000_000)
BLOCK = 100_000  # bytes; the Hub's library keeps what comes in blocks, of 10 MB where it is not tested
BELLE, BAIKE = "datasets/BelleGroup/train_1M_CN", "datasets/xuqinyang/BaiduBaike-5.63M"
MEDICAL = "datasets/shibing624/medical"
JSON = "Belle_open_source_1M.json"


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` (path -> bytes) with ETags, and misbehaves as told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.headers, self.redirects = {}, {}, {}
        self.drops = []  # bytes after which the next large answers end
        self.ranges = True
        self.etags = True
        self.states = []  # HTTP states of the next answers
        self.asked = []  # (method, path, Range)
        self.sent = Counter()  # path -> bytes
        self.after_drop = None  # called when an answer was cut off

    def handle_error(self, request, client_address):
        """A client that goes away is no error here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ranges_of(self, path: str) -> list[str | None]:
        return [asked for method, name, asked in self.asked if method == "GET" and name == path]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        server = self.server
        server.asked.append((self.command, self.path, self.headers.get("Range")))
        if server.states:
            return self.send_error(server.states.pop(0))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.answer_headers()
            return None
        content = server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        start = 0
        if (asked := self.headers.get("Range")) and server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.answer_headers()
                return None
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        if server.etags:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.answer_headers()
        if body:
            drops = server.drops if len(content) > BLOCK else []
            end = start + drops.pop(0) if drops else len(content)
            server.sent[self.path] += len(content[start:end])
            self.wfile.write(content[start:end])
            if end < len(content):
                self.close_connection = True
                if server.after_drop:
                    server.after_drop()
        return None

    def answer_headers(self):
        for name, value in self.server.headers.get(self.path, {}).items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # `make test` sets it
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", BLOCK)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the library waits longer after each failure
    return tmp_path


@pytest.fixture
def server(home, monkeypatch):
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("WIKIMEDIA_MIRROR", running.url + "/")
        yield running
        running.shutdown()


def on_hub(server, repository: str, name: str, content: bytes) -> str:
    """A large file as the Hub serves it: the checksum here, the bytes elsewhere. -> the path of the bytes."""
    path, elsewhere = f"/{repository}/resolve/main/{name}", f"/lfs/{name}"
    server.redirects[path] = server.url.replace("127.0.0.1", "localhost") + elsewhere
    server.files[elsewhere] = content
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    server.headers[path] = {"X-Linked-Etag": tag, "X-Linked-Size": str(len(content)), "X-Repo-Commit": "c" * 40}
    return elsewhere


def on_wikimedia(server, content: bytes, name: str = "pages-articles-multistream.xml.bz2") -> str:
    """A mirror with one finished dump. -> the path of its file."""
    latest = "/zhwiki/latest/zhwiki-latest-pages-articles-multistream.xml.bz2-rss.xml"
    link = "http://download.wikimedia.org/zhwiki/20261101"
    server.files[latest] = f"<rss><item><title>{link}</title></item></rss>".encode()
    sums = f"{'0' * 40}  zhwiki-20261101-pages-articles-multistream-index.txt.bz2\n"
    sums += f"{hashlib.sha1(content).hexdigest()}  zhwiki-20261101-{name}\n"
    server.files["/zhwiki/20261101/zhwiki-20261101-sha1sums.txt"] = sums.encode()
    server.files[f"/zhwiki/20261101/zhwiki-20261101-{name}"] = content
    return f"/zhwiki/20261101/zhwiki-20261101-{name}"


def offer(server, target: str, content: bytes) -> str:
    return on_hub(server, BELLE, JSON, content) if target == "belle" else on_wikimedia(server, content)


def got(target: str, profile: str = "gpu-6gb") -> list[tuple]:
    return list(downloading.download(target, profiles.load(profile)))


def kept(home) -> list[str]:
    """Names of the files in downloads/, whole or not."""
    files = [path for path in (home / "downloads").rglob("*") if path.is_file()]
    return sorted(path.name for path in files if not path.name.endswith(".lock"))


# ------------------------------------------------------------------ one file

both = pytest.mark.parametrize("target", ["belle", "zhwiki"])


@both
def test_a_dropped_download_goes_on_where_it_was(server, home, target):
    path = offer(server, target, CONTENT)
    server.drops = [1_000_050, 500_050, 700_050]
    ((found, _),) = got(target)
    assert found.read_bytes() == CONTENT and kept(home) == [found.name]
    assert server.ranges_of(path) == [None, "bytes=1000000-", "bytes=1500000-", "bytes=2200000-"]
    assert server.sent[path] < len(CONTENT) + 3 * BLOCK


@both
def test_a_reset_connection_goes_on_too(server, home, target, monkeypatch):
    """The library itself gives up where the network says that the connection was reset."""
    path, httpx = offer(server, target, CONTENT), huggingface_hub.utils.httpx
    whole = httpx.Response.iter_bytes

    def reset_once(response, chunk_size=None):
        for count, block in enumerate(whole(response, chunk_size)):
            if count == 5 and not resets:
                resets.append(count)
                raise httpx.ReadError("[Errno 104] Connection reset by peer")
            yield block

    resets = []
    monkeypatch.setattr(httpx.Response, "iter_bytes", reset_once)
    assert got(target)[0][0].read_bytes() == CONTENT and resets
    assert server.ranges_of(path) == [None, "bytes=500000-"]


@both
def test_a_later_start_goes_on_too(server, home, target):
    path = offer(server, target, CONTENT)
    server.drops = [1_000_050]
    server.after_drop = lambda: server.states.extend([503] * 100)
    with pytest.raises(
        CourseError, match="503 Service Unavailable.*: check the network, try again later, or name a mirror with \\$"
    ):
        got(target)
    assert len(kept(home)) == 1 and kept(home)[0].endswith(".partial")
    server.states, server.after_drop = [], None
    ((found, _),) = got(target)
    assert found.read_bytes() == CONTENT and server.ranges_of(path)[-1] == "bytes=1000000-"
    assert server.sent[path] < len(CONTENT) + BLOCK


@both
def test_a_server_that_knows_no_ranges_is_read_from_the_start(server, home, target):
    offer(server, target, CONTENT)
    server.drops, server.ranges = [1_000_000, 2_000_000], False
    assert got(target)[0][0].read_bytes() == CONTENT


@both
def test_a_passing_trouble_of_the_server_is_waited_out(server, home, target):
    offer(server, target, CONTENT)
    server.states = [503, 429, 500]
    assert got(target)[0][0].read_bytes() == CONTENT


@both
def test_a_server_that_always_drops_is_given_up(server, home, target):
    path = offer(server, target, CONTENT)
    server.drops = [0] * 100
    with pytest.raises(CourseError, match="cannot be fetched .*without sending complete message.*: check the network"):
        got(target)
    assert 2 < len(server.ranges_of(path)) < 10 and not (home / "downloads" / JSON).exists()
    assert all(name.endswith(".partial") for name in kept(home))


@both
def test_a_file_that_changes_in_between_is_not_glued(server, home, target):
    other = os.urandom(len(CONTENT))
    path = offer(server, target, CONTENT)
    server.drops = [1_000_000]
    server.after_drop = lambda: server.files.update({path: other})
    with pytest.raises(CourseError, match="changed meanwhile; nothing was kept, start again"):
        got(target)
    assert kept(home) == []
    offer(server, target, other)
    assert got(target)[0][0].read_bytes() == other


@both
@pytest.mark.parametrize("length", [500_000, 4_000_000])
def test_a_file_that_changes_its_length_in_between_is_not_glued(server, home, target, length):
    other = os.urandom(length)
    path = offer(server, target, CONTENT)
    server.drops = [1_000_000]
    server.after_drop = lambda: server.files.update({path: other})
    with pytest.raises(CourseError):
        got(target)
    assert all(name.endswith(".partial") for name in kept(home))
    offer(server, target, other)
    ((found, _),) = got(target)
    assert found.read_bytes() == other


@both
def test_the_rest_of_another_file_is_not_gone_on_with(server, home, target):
    other = os.urandom(len(CONTENT))
    offer(server, target, other)
    server.drops = [1_000_000]
    server.after_drop = lambda: server.states.extend([503] * 100)
    with pytest.raises(CourseError):
        got(target)
    server.states, server.after_drop = [], None
    path = offer(server, target, CONTENT)
    asked = len(server.ranges_of(path))
    assert got(target)[0][0].read_bytes() == CONTENT and server.ranges_of(path)[asked:] == [None]


@both
def test_a_partial_file_that_lacks_only_its_name_is_not_fetched_again(server, home, target):
    path = offer(server, target, CONTENT)
    digest = hashlib.sha256(CONTENT) if target == "belle" else hashlib.sha1(CONTENT)
    (source,) = [each for each in downloading.SOURCES if each.target == target and "articles1" not in each.file]
    final = home / "downloads" / source.file
    final.parent.mkdir(parents=True)
    final.with_name(f".{final.name}.{digest.hexdigest()[:16]}.partial").write_bytes(CONTENT)
    assert got(target)[0][0].read_bytes() == CONTENT
    assert server.sent[path] == 0


@both
def test_wrong_bytes_keep_nothing(server, home, target):
    path = offer(server, target, CONTENT)
    server.files[path] = CONTENT[:-1] + b"?"
    with pytest.raises(CourseError, match="it was damaged on the way or changed meanwhile; nothing was kept"):
        got(target)
    assert kept(home) == []


@both
def test_what_is_not_there_or_forbidden_is_not_asked_for_again(server, home, target):
    with pytest.raises(
        CourseError, match=r"404 Not Found.*: check the network, try again later, or name a mirror with \$"
    ):
        got(target)
    server.states = [403]
    with pytest.raises(CourseError, match="403 Forbidden.*name a mirror"):
        got(target)
    assert len(server.asked) == 2 and kept(home) == []


@both
def test_a_full_disk_is_seen_before_it_is_full(server, home, target, monkeypatch):
    path = offer(server, target, CONTENT)
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CourseError, match="0.0 GB do not fit on the disk.: make room"):
        got(target)
    assert server.sent[path] == 0


@both
def test_no_network_is_one_line(home, target, monkeypatch):
    with Server() as gone:
        url = gone.url
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("WIKIMEDIA_MIRROR", url)
    with pytest.raises(
        CourseError, match=r"cannot be fetched from .*refused.*: check the network, .*name a mir"
    ) as error:
        got(target)
    assert len(str(error.value).splitlines()) == 1
    assert ("$HF_ENDPOINT" if target == "belle" else "$WIKIMEDIA_MIRROR") in str(error.value)


@both
def test_a_mirror_is_an_address(home, target, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    monkeypatch.setenv("WIKIMEDIA_MIRROR", "file:///etc")
    with pytest.raises(CourseError, match="from file:///etc/.*missing an 'http://' or 'https://'.*name a mirror with"):
        got(target)


@both
def test_a_checksum_of_an_encrypted_address_does_not_come_from_an_open_one(server, home, target, monkeypatch):
    offer(server, target, CONTENT)
    httpx = huggingface_hub.utils.httpx

    def redirect(request):
        return httpx.Response(302, headers={"Location": f"{server.url}{request.url.path}"})

    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org")
    monkeypatch.setenv("WIKIMEDIA_MIRROR", "https://wiki.example.org")
    client = httpx.Client(transport=httpx.MockTransport(redirect), follow_redirects=True)
    monkeypatch.setattr(huggingface_hub.utils._http, "_GLOBAL_CLIENT", client)
    with pytest.raises(CourseError, match="comes without a checksum|Redirect response"):
        got(target)
    assert server.asked == [] and kept(home) == []


def test_two_processes_do_not_fetch_the_same_file(server, home):
    offer(server, "belle", CONTENT)
    folder = home / "downloads/train_1M_CN"
    with (
        filelock.FileLock(folder / f".{JSON}.lock"),
        pytest.raises(CourseError, match=f"downloads/train_1M_CN/{JSON} is being fetched by another process: wait"),
    ):
        got("belle")
    assert server.asked == []


# ------------------------------------------------------------------ the real sources


def test_a_data_set_of_the_hub_lands_where_the_profile_looks_for_it(server, home):
    names = ("pretrain/train_encyclopedia.json", "pretrain/medical_book_zh.json", "finetune/train_zh_0.json")
    for name in names:
        on_hub(server, MEDICAL, name, name.encode())
    found = got("medical")
    profile = profiles.load("gpu-6gb")
    assert [path for path, _ in found] == [*profile.medical, *profile.instructions["medical"]]
    assert [path.read_bytes() for path, _ in found] == [name.encode() for name in names]
    assert found[0][1] == f"{server.url}/{MEDICAL}/resolve/main/{names[0]}"
    asked = len(server.asked)
    assert [address for _, address in got("medical")] == ["", "", ""] and len(server.asked) == asked


def test_a_small_file_is_known_by_its_name_in_git(server, home):
    path = "/THUDM/chatglm2-6b/resolve/main/tokenizer.model"
    server.redirects[path], server.etags = "/zai-org/chatglm2-6b/resolve/main/tokenizer.model", False  # it was renamed
    server.files["/zai-org/chatglm2-6b/resolve/main/tokenizer.model"] = b"what is up, doc?"
    # The example of the Git book, section 10.2.
    headers = {"ETag": '"bd9dbf5aae1a3862dd1526723246b20206e5fc37"'}
    server.headers["/zai-org/chatglm2-6b/resolve/main/tokenizer.model"] = headers
    ((path, _),) = got("tokenizer")
    assert path == profiles.load("gpu-6gb").tokenizer_model and path.read_bytes() == b"what is up, doc?"


@pytest.mark.parametrize("tag", [None, '"abc"', '"d41d8cd98f00b204e9800998ecf8427e"'])
def test_a_mirror_without_checksums_is_refused(server, home, tag):
    path = f"/{BELLE}/resolve/main/{JSON}"
    server.etags, server.files[path] = False, b"{}"
    server.headers[path] = {"ETag": tag} if tag else {}
    with pytest.raises(CourseError, match=r"comes without a checksum.*name a mirror with \$HF_ENDPOINT"):
        got("belle")
    assert kept(home) == []


def pack(folder, members: dict[str, bytes]) -> bytes:
    import py7zr

    with py7zr.SevenZipFile(folder / "packed.7z", "w") as packed:
        for name, content in members.items():
            packed.writestr(content, name)
    content = (folder / "packed.7z").read_bytes()
    (folder / "packed.7z").unlink()
    return content


ROWS = '{"title": "泉州"}\n'.encode() * 1000


def test_an_archive_is_unpacked_and_removed(server, home):
    packed = pack(home, {"data/563w_baidubaike.json": ROWS, "readme.txt": b"hello"})
    on_hub(server, BAIKE, "563w_baidubaike.7z", packed)
    ((path, address),) = got("baike")
    assert path == profiles.load("gpu-6gb").baike[0] and path.read_bytes() == ROWS
    assert address.endswith(".7z") and kept(home) == [path.name]


def test_a_file_is_taken_rather_than_its_archive(server, home):
    on_hub(server, BAIKE, "563w_baidubaike.json", ROWS)
    on_hub(server, BAIKE, "563w_baidubaike.7z", b"")
    ((path, address),) = got("baike")
    assert path.read_bytes() == ROWS and address.endswith(".json") and kept(home) == [path.name]


@pytest.mark.parametrize(
    "members",
    [{"other.json": b"{}"}, {"a/563w_baidubaike.json": b"1", "b/563w_baidubaike.json": b"2"}],
)
def test_an_archive_with_other_content_is_refused(server, home, members):
    on_hub(server, BAIKE, "563w_baidubaike.7z", pack(home, members))
    with pytest.raises(CourseError, match="563w_baidubaike.7z holds no 563w_baidubaike.json, or several"):
        got("baike")
    assert kept(home) == ["563w_baidubaike.7z"]


def test_an_archive_leads_nowhere_else(server, home):
    import py7zr

    with py7zr.SevenZipFile(home / "packed.7z", "w") as packed:
        packed.writestr(b"evil", "aa/563w_baidubaike.json")
        packed.files.files_list[-1]["filename"] = "../563w_baidubaike.json"
    on_hub(server, BAIKE, "563w_baidubaike.7z", (home / "packed.7z").read_bytes())
    with pytest.raises(CourseError, match="563w_baidubaike.json cannot be fetched from"):
        got("baike")
    assert kept(home) == ["563w_baidubaike.7z"] and not list(home.rglob("*.json"))


def test_a_damaged_archive_is_refused(server, home):
    content = bytearray(pack(home, {"563w_baidubaike.json": CONTENT[:10_000]}))
    content[5_000] ^= 1
    on_hub(server, BAIKE, "563w_baidubaike.7z", bytes(content))
    with pytest.raises(CourseError, match="563w_baidubaike.json cannot be fetched from"):
        got("baike")
    assert kept(home) == ["563w_baidubaike.7z"]


def test_an_archive_that_was_not_unpacked_is_compared_before_it_is_taken(server, home):
    packed = pack(home, {"563w_baidubaike.json": ROWS})
    path = on_hub(server, BAIKE, "563w_baidubaike.7z", packed)
    archive = home / "downloads/BaiduBaike-5.63M/563w_baidubaike.7z"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(packed[:-1] + b"?")
    with pytest.raises(CourseError, match="it was damaged on the way"):
        got("baike")
    assert kept(home) == []
    archive.write_bytes(packed)
    assert got("baike")[0][0].read_bytes() == ROWS and server.sent[path] == 0


def test_a_disk_too_full_for_what_an_archive_holds(server, home, monkeypatch):
    rows = ROWS * 10
    on_hub(server, BAIKE, "563w_baidubaike.7z", pack(home, {"563w_baidubaike.json": rows}))
    usage = namedtuple("usage", "total used free")(10**9, 10**9, len(rows) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CourseError, match="do not fit on the disk.: make room"):
        got("baike")
    assert kept(home) == ["563w_baidubaike.7z"]


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("gpu-6gb", "pages-articles-multistream.xml.bz2"),
        ("colab-t4", "pages-articles1.xml-p1p187712.bz2"),
    ],
)
def test_the_latest_dump_is_fetched_by_its_date(server, home, profile, name):
    path = on_wikimedia(server, CONTENT, name)
    server.drops = [10**6, 10**6, 10**6, 10**6]
    ((found, address),) = got("zhwiki", profile)
    assert found == profiles.load(profile).wiki_dumps[0] and found.read_bytes() == CONTENT
    assert address == server.url + path, "the address tells the date"


def test_an_unfinished_dump_says_so(server, home):
    on_wikimedia(server, CONTENT, "other.xml.bz2")
    with pytest.raises(CourseError, match="the dump of zhwiki of 20261101 has no such file, it may be unfinished"):
        got("zhwiki")


def test_every_download_that_a_profile_names_has_a_source():
    files = {source.file for source in downloading.SOURCES}
    downloads = profiles.course_root() / "downloads"
    for profile in map(profiles.load, profiles.names()):
        read = [
            *profile.wiki_dumps,
            *profile.baike,
            *profile.medical,
            *(path for paths in profile.instructions.values() for path in paths),
        ]
        for path in [*read, profile.tokenizer_model]:
            assert not path.is_relative_to(downloads) or path.relative_to(downloads).as_posix() in files


def test_unknown_targets_and_profiles_without_downloads(server):
    with pytest.raises(CourseError, match="unknown target 'enwiki': choose one of zhwiki, baike, medical, belle, tok"):
        got("enwiki")
    with pytest.raises(CourseError, match="profile cpu-mini reads no zhwiki from downloads/: choose gpu-6gb"):
        got("zhwiki", "cpu-mini")


# ------------------------------------------------------------------ any file of the Hub


def test_any_file_of_the_hub_lands_in_the_cache_of_its_library(server, home, monkeypatch):
    path = on_hub(server, "datasets/owner/name", "some/rows.json", CONTENT)
    found = downloading.fetch_from_hub("datasets/owner/name", "some/rows.json")
    assert found.read_bytes() == CONTENT and found.is_relative_to(home / "cache") and kept(home) == []
    assert downloading.fetch_from_hub("datasets/owner/name", "some/rows.json") == found
    assert server.sent[path] == len(CONTENT)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there, and what is cached serves
    assert downloading.fetch_from_hub("datasets/owner/name", "some/rows.json") == found


def test_what_goes_wrong_with_a_file_of_the_hub_is_one_line(server, home, monkeypatch):
    def error(*names: str) -> str:
        with pytest.raises(CourseError) as raised:
            downloading.fetch_from_hub(*names)
        assert len(str(raised.value).splitlines()) == 1
        return str(raised.value)

    assert "a.json cannot be fetched from " in (message := error("datasets/owner/name", "a.json"))
    assert server.url in message and "404" in message and "$HF_ENDPOINT" in message
    assert "cannot be fetched" in error("datasets/not/a/name", "a.json")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "refused" in error("datasets/owner/name", "a.json")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in error("datasets/owner/name", "a.json")


def test_what_is_not_downloaded_names_the_command(home):
    from course_utils.corpora import deduplication, source_paths

    sources = {"baike": profiles.load("gpu-6gb").baike}
    with pytest.raises(CourseError, match="563w_baidubaike.json is missing: deduplication needs .* `course download`"):
        deduplication.deduplicate(sources, home / "out")
    with pytest.raises(CourseError, match="course wiki-clean --profile gpu-6gb"):
        source_paths(profiles.load("gpu-6gb"))
