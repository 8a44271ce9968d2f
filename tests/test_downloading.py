"""Downloads end whole or not at all: a real server on this machine drops, changes, garbles and refuses."""

import hashlib
import http.server
import os
import shutil
import threading
from collections import namedtuple

import pytest

from course_utils import downloading, profiles
from course_utils.downloading import Remote, fetch
from course_utils.errors import CourseError

CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` (path -> bytes) with ETags, and misbehaves as told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.headers, self.redirects = {}, {}, {}
        self.drops = []  # bytes after which the next answers end
        self.ranges = True
        self.etags = True
        self.states = []  # HTTP states of the next answers
        self.asked = []  # (method, path, Range)
        self.after_drop = None  # called when an answer was cut off

    def handle_error(self, request, client_address):
        """A client that goes away is no error here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        server = self.server
        server.asked.append((self.command, self.path, self.headers.get("Range")))
        if body and server.states:
            return self.send_error(server.states.pop(0))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.answer_headers()
            return None
        content = server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        start = 0
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and server.ranges and condition in (None, tag):
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
            self.send_header("ETag", tag)
        self.answer_headers()
        if body:
            end = start + server.drops.pop(0) if server.drops else len(content)
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
def server(monkeypatch):
    monkeypatch.setattr(downloading, "FIRST_WAIT", 0.001)
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        running.files["/file"] = CONTENT
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("WIKIMEDIA_MIRROR", running.url + "/")
        yield running
        running.shutdown()


def remote(server, content=CONTENT, size: int | None = len(CONTENT)) -> Remote:
    return Remote(f"{server.url}/file", size, "sha256", hashlib.sha256(content).hexdigest())


def ranges(server) -> list[str | None]:
    return [asked for method, _, asked in server.asked if method == "GET"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_dropped_download_goes_on_where_it_was(server, tmp_path, size):
    server.drops = [1_000_000, 500_000, 700_000]
    fetch(remote(server, size=size), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=1000000-", "bytes=1500000-", "bytes=2200000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_later_start_goes_on_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "ATTEMPTS", 1)
    server.drops, server.states = [1_000_000], []
    server.after_drop = lambda: server.states.extend([503] * 2)
    with pytest.raises(CourseError, match="the server answers 503"):
        fetch(remote(server), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    server.states, server.after_drop = [], None
    fetch(remote(server), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT and ranges(server)[-1] == "bytes=1000000-"


def test_a_server_that_knows_no_ranges_is_read_from_the_start(server, tmp_path):
    server.drops, server.ranges = [1_000_000, 2_000_000], False
    fetch(remote(server), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_passing_trouble_of_the_server_is_waited_out(server, tmp_path):
    server.states = [503, 429, 500]
    fetch(remote(server), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_that_always_drops_is_given_up(server, tmp_path):
    server.drops = [0] * 10
    with pytest.raises(CourseError, match="cannot be fetched .the connection was dropped.: check the network, or name"):
        fetch(remote(server), tmp_path / "a")
    assert len(ranges(server)) == downloading.ATTEMPTS and not (tmp_path / "a").exists()


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changes_in_between_is_not_glued(server, tmp_path, etags):
    other = os.urandom(len(CONTENT))
    server.etags, server.drops = etags, [1_000_000]
    server.after_drop = lambda: server.files.update({"/file": other})
    with pytest.raises(CourseError, match="changed meanwhile; nothing was kept"):
        fetch(remote(server), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    fetch(remote(server, other), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == other


def test_a_file_that_changes_its_length_in_between_is_not_glued(server, tmp_path):
    server.drops = [1_000_000]
    server.after_drop = lambda: server.files.update({"/file": CONTENT[:500_000]})
    with pytest.raises(CourseError, match="changed meanwhile"):
        fetch(remote(server), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_rest_of_another_file_is_not_gone_on_with(server, tmp_path):
    other = os.urandom(len(CONTENT))
    (tmp_path / f".a.{hashlib.sha256(other).hexdigest()[:16]}.partial").write_bytes(other[:1_000_000])
    fetch(remote(server), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT and ranges(server) == [None]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_partial_file_that_lacks_only_its_name_is_not_fetched_again(server, tmp_path, size):
    (tmp_path / f".a.{SHA256[:16]}.partial").write_bytes(CONTENT)
    fetch(remote(server, size=size), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert ranges(server) == ([] if size else [f"bytes={len(CONTENT)}-"])


def test_wrong_bytes_keep_nothing(server, tmp_path):
    server.files["/file"] = CONTENT[:-1] + b"?"
    with pytest.raises(CourseError, match=r"has the checksum \w+…, not \w+…: it was damaged"):
        fetch(remote(server), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_forbidden_is_not_asked_for_again(server, tmp_path):
    server.files.clear()
    with pytest.raises(CourseError, match=r"/file is not there \(404\): try again later, or name a mirror with \$"):
        fetch(remote(server), tmp_path / "a")
    server.states = [403]
    with pytest.raises(CourseError, match=r"is refused \(403"):
        fetch(remote(server), tmp_path / "a")
    assert len(server.asked) == 2


def test_a_full_disk_is_seen_before_it_is_full(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CourseError, match="needs 0.0 GB more, 0.0 GB are free: make room"):
        fetch(remote(server), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "FIRST_WAIT", 0.001)
    with Server() as gone:
        url = gone.url
    monkeypatch.setenv("HF_ENDPOINT", url)
    with pytest.raises(CourseError, match=r"cannot be fetched .*refused.*check the network, or name a mirror with \$"):
        downloading.hub_file("datasets/a/b", ["c"])


def test_an_encrypted_address_does_not_lead_to_an_open_one():
    request = downloading.urllib.request.Request("https://huggingface.co/a")
    with pytest.raises(CourseError, match="not encrypted"):
        downloading._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/a")


def test_a_mirror_is_an_address(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(CourseError, match="HF_ENDPOINT is 'file:///etc': name an address"):
        downloading.hub_file("datasets/a/b", ["c"])


# ------------------------------------------------------------------ the real sources


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def on_hub(server, repository: str, name: str, content: bytes) -> None:
    """A large file as the Hub serves it: the checksum here, the bytes elsewhere."""
    path, elsewhere = f"/{repository}/resolve/main/{name}", f"/lfs/{name}"
    server.redirects[path], server.files[elsewhere] = server.url + elsewhere, content
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    server.headers[path] = {"X-Linked-Etag": tag, "X-Linked-Size": str(len(content))}


def got(target: str, profile: str = "gpu-6gb") -> list[tuple]:
    return list(downloading.download(target, profiles.load(profile)))


def test_a_data_set_of_the_hub_lands_where_the_profile_looks_for_it(server, home):
    names = ("pretrain/train_encyclopedia.json", "pretrain/medical_book_zh.json", "finetune/train_zh_0.json")
    for name in names:
        on_hub(server, downloading.MEDICAL, name, name.encode())
    server.drops = [3]
    found = got("medical")
    profile = profiles.load("gpu-6gb")
    assert [path for path, _ in found] == [*profile.medical, profile.instructions["medical"]]
    assert [path.read_bytes() for path, _ in found] == [name.encode() for name in names]
    assert found[0][1] == f"{server.url}/{downloading.MEDICAL}/resolve/main/{names[0]}"
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


def test_a_question_is_asked_again(server, home):
    wiki_server(server, "pages-articles-multistream.xml.bz2", CONTENT)
    server.states = [503, 502]
    assert got("zhwiki")[0][0].read_bytes() == CONTENT


def test_a_mirror_without_checksums_is_refused(server, home):
    server.etags = False
    server.files["/datasets/BelleGroup/train_1M_CN/resolve/main/Belle_open_source_1M.json"] = b"{}"
    with pytest.raises(CourseError, match="comes without a checksum"):
        got("belle")


def pack(folder, members: dict[str, bytes]) -> bytes:
    import py7zr

    with py7zr.SevenZipFile(folder / "packed.7z", "w") as packed:
        for name, content in members.items():
            packed.writestr(content, name)
    content = (folder / "packed.7z").read_bytes()
    (folder / "packed.7z").unlink()
    return content


def test_an_archive_is_unpacked_and_removed(server, home):
    rows = '{"title": "泉州"}\n'.encode() * 1000
    packed = pack(home, {"data/563w_baidubaike.json": rows, "readme.txt": b"hello"})
    on_hub(server, downloading.BAIKE, "563w_baidubaike.7z", packed)
    ((path, address),) = got("baike")
    assert path == profiles.load("gpu-6gb").baike[0] and path.read_bytes() == rows
    assert address.endswith(".7z")
    assert [other.name for other in path.parent.iterdir() if not other.name.endswith(".lock")] == [path.name]


@pytest.mark.parametrize("members", [{"other.json": b"{}"}, {"a/x.json": b"1", "b/x.json": b"2"}])
def test_an_archive_with_other_content_is_refused(tmp_path, members):
    (tmp_path / "x.7z").write_bytes(pack(tmp_path, members))
    with pytest.raises(CourseError, match="holds no x.json, or several"):
        downloading.unpack(tmp_path / "x.7z", tmp_path / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["x.7z"]


def test_an_archive_leads_nowhere_else(tmp_path):
    (tmp_path / "in").mkdir()
    import py7zr

    with py7zr.SevenZipFile(tmp_path / "in/x.7z", "w") as packed:
        packed.writestr(b"evil", "aa/x.json")
        packed.files.files_list[-1]["filename"] = "../x.json"
    with pytest.raises(CourseError, match="cannot be unpacked"):
        downloading.unpack(tmp_path / "in/x.7z", tmp_path / "in/x.json")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x.7z"]


def test_a_damaged_archive_is_refused(tmp_path):
    content = bytearray(pack(tmp_path, {"x.json": CONTENT[:10_000]}))
    content[5_000] ^= 1
    (tmp_path / "x.7z").write_bytes(content)
    with pytest.raises(CourseError, match="x.7z cannot be unpacked: remove it and fetch it again"):
        downloading.unpack(tmp_path / "x.7z", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def wiki_server(server, name: str, content: bytes) -> str:
    """A mirror with one finished dump. -> the path of its file."""
    latest = "/zhwiki/latest/zhwiki-latest-pages-articles-multistream.xml.bz2-rss.xml"
    link = "http://download.wikimedia.org/zhwiki/20261101"
    server.files[latest] = f"<rss><item><title>{link}</title></item></rss>".encode()
    sums = f"{'0' * 40}  zhwiki-20261101-pages-articles-multistream-index.txt.bz2\n"
    sums += f"{hashlib.sha1(content).hexdigest()}  zhwiki-20261101-{name}\n"
    server.files["/zhwiki/20261101/zhwiki-20261101-sha1sums.txt"] = sums.encode()
    server.files[f"/zhwiki/20261101/zhwiki-20261101-{name}"] = content
    return f"/zhwiki/20261101/zhwiki-20261101-{name}"


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("gpu-6gb", "pages-articles-multistream.xml.bz2"),
        ("colab-t4", "pages-articles1.xml-p1p187712.bz2"),
    ],
)
def test_the_latest_dump_is_fetched_by_its_date(server, home, profile, name):
    path = wiki_server(server, name, CONTENT)
    server.drops = [10**6, 10**6, 10**6, 10**6]
    ((found, address),) = got("zhwiki", profile)
    assert found == profiles.load(profile).wiki_dumps[0] and found.read_bytes() == CONTENT
    assert address == server.url + path, "the address tells the date"


def test_an_unfinished_dump_says_so(server, home):
    wiki_server(server, "other.xml.bz2", CONTENT)
    with pytest.raises(CourseError, match="the dump of zhwiki of 20261101 has no file"):
        got("zhwiki")


def test_every_download_that_a_profile_names_has_a_source():
    files = {source.file for source in downloading.SOURCES}
    downloads = profiles.course_root() / "downloads"
    for profile in map(profiles.load, profiles.names()):
        read = [*profile.wiki_dumps, *profile.baike, *profile.medical, *profile.instructions.values()]
        for path in [*read, profile.tokenizer_model]:
            assert not path.is_relative_to(downloads) or path.relative_to(downloads).as_posix() in files


def test_unknown_targets_and_profiles_without_downloads(server):
    with pytest.raises(CourseError, match="unknown target 'enwiki': choose one of zhwiki, baike, medical, belle, tok"):
        got("enwiki")
    with pytest.raises(CourseError, match="profile cpu-mini reads no zhwiki from downloads/: choose gpu-6gb"):
        got("zhwiki", "cpu-mini")


def test_what_is_not_downloaded_names_the_command(home):
    from course_utils import corpora, deduplication

    sources = {"baike": profiles.load("gpu-6gb").baike}
    with pytest.raises(CourseError, match="563w_baidubaike.json is missing: deduplication needs .* `course download`"):
        deduplication.deduplicate(sources, home / "out")
    with pytest.raises(CourseError, match="course wiki-clean --profile gpu-6gb"):
        corpora.source_paths(profiles.load("gpu-6gb"))
