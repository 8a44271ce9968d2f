"""A road small enough for tests: the real code on a few documents and a model of a few thousand weights."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several side by side; read when torch is loaded
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils import profiles, road, tokenizer_pruning

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"


def data_text(name: str) -> str:
    """A text file of ``data/``, plain or ``.gz``."""
    content = (REPOSITORY / "data" / name).read_bytes()
    return (gzip.decompress(content) if name.endswith(".gz") else content).decode()


def tiny_profile(artifacts: Path) -> profiles.Profile:
    course = profiles.load("cpu-mini")
    return replace(
        course,
        name="tiny",
        starts_from={},
        artifacts=artifacts,
        max_documents=160,
        mix={"common": {"wiki": 1, "baike": 3}, "medical": {"baike": 1, "medical": 3}},
        model=replace(course.model, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2),
        pretraining=replace(course.pretraining, block_size=64, epochs=1, batch_size=8, loss="plain"),
        full=replace(course.full, epochs=1, batch_size=16, loss="chunked"),  # the exact one: several processes agree
        lora=replace(course.lora, epochs=1, batch_size=16, loss="chunked"),
    )


@pytest.fixture(scope="session")
def walked(tmp_path_factory):
    """-> (profile, what the road reported) after all stages ran once."""
    profile = tiny_profile(tmp_path_factory.mktemp("artifacts"))
    reports = []
    road.run(profile, report=lambda step, manifest, fresh: reports.append((str(step), manifest, fresh)))
    return profile, reports


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    """The folder of cpu-mini's pruned tokenizer, without the rest of the road."""
    folder, course = tmp_path_factory.mktemp("tokenizer") / "pruned", profiles.load("cpu-mini")
    words, hidden = course.retain_words, course.model.hidden_size
    tokenizer_pruning.prune_tokenizer(course.tokenizer_model, folder, words, hidden_size=hidden)
    return folder


@pytest.fixture
def shared_file():
    """A function: the path of a real file that lies beside the repository, or a skip where it does not."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{name} is not beside this checkout: it is a real file that cannot be committed")
        return path

    return find


@pytest.fixture
def course_style():
    """The course's look for figures, given back as it was, and no figure left open."""
    import matplotlib
    from matplotlib import pyplot

    from course_utils import plots

    with matplotlib.rc_context():
        plots.use_course_style()
        yield
    pyplot.close("all")
