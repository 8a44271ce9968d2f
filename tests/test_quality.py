"""Scraped dirt goes, for the right reason; good texts stay as they are, and so does the whole embedded world."""

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from course_utils import profiles
from course_utils.corpora import deduplicate, deduplication, loading, quality, reading
from course_utils.corpora.normalisation import normalise
from course_utils.corpora.quality import REASONS, examine

# Words of which no two articles are alike: sentences with a subject, written for these tests.
SUBJECTS = ["黄山", "长城", "故宫", "西湖", "泰山", "洞庭湖", "青海湖", "敦煌", "丽江", "平遥", "鼓浪屿", "九寨沟"]
TOLD = [
    "{}每年迎来许多游客，春天最美。", "清代的诗人写过{}的雪景。", "要看{}，最好在清晨出发。", "{}一带产茶，也产竹子。",
    "当地人说{}的日落不能错过。", "研究者在{}发现了新的苔藓。", "铁路通到{}以后，旅店多了起来。", "{}的石阶修于明代。",
]  # fmt: skip
GOOD = "".join(told.format(subject) for subject in SUBJECTS for told in TOLD)  # some 1,500 characters


def verdict(text: str, title: str = "") -> tuple[str, float, str]:
    """-> (reason or "", what was measured, the text that is left), of a text as the stage reads it."""
    found = examine([normalise(text)], [normalise(title)])
    reason = REASONS[found.reasons[0] - 1] if found.reasons[0] else ""
    return reason, float(found.measured[0]), found.texts[0]


MENU = """首页 | 新闻 | 体育 | 财经 | 健康 | 登录 | 注册
当前位置：首页 > 健康 > 疾病
上一篇：高血压的护理
下一篇：糖尿病吃什么
高血压专题
版权所有：健康网 京ICP备12345678号
返回顶部"""
ASKED = ("哪家好", "多少钱", "排名", "地址", "电话", "怎么走", "哪里有", "价格表")
SPAM = "，".join(f"{city}人流医院{what}" for city in ("北京", "上海", "天津", "重庆") for what in ASKED)
TABLE = "\n".join(f"{2000 + i}年 {i * 7.31:.2f} {i * 13.7:.1f} {i}% {i * i}" for i in range(40))
DIRT = {
    "a page of menus": (MENU, "boilerplate"),
    "a menu whose spaces are gone": ("首页 新闻 体育 登录 注册\n帮助 反馈 举报 更多\n返回顶部", "boilerplate"),
    "a notice on scripts": ("请启用JavaScript以浏览本站。\n本站内容仅供参考。", "boilerplate"),
    "nothing": ("", "too short"),
    "spaces": (" \n\u3000\n", "too short"),
    "a word": ("高血压", "too short"),
    "a title alone": ("中华人民共和国国家卫生健康委员会", "too short"),
    "English": ("The heart pumps blood through the body. It beats about 100,000 times a day.", "not Chinese"),
    "English with a Chinese word": ("The Great Wall (长城) was built over many centuries.", "not Chinese"),
    "punctuation": ("★★★★☆ ———— ====== ……… ◆◆◆", "not Chinese"),
    "digits": ("010-12345678 13800138000 2024/11/25", "not Chinese"),
    "a table of numbers": (TABLE, "not Chinese"),
    "lines that come again": ("\n".join(["本品用于感冒引起的发热。", "请在医生指导下使用。"] * 6), "same lines"),
    "keywords for search engines": (SPAM, "one phrase"),
    "a sentence again and again": ("高血压患者要低盐饮食、规律运动和定期量血压。" * 12, "repeats"),
    "a page that was pasted twice": (GOOD + GOOD, "repeats"),
    "one sign, very often": ("哈" * 100_000, "one phrase"),
}


@pytest.mark.parametrize("name", DIRT)
def test_dirt_goes_for_its_reason(name):
    text, reason = DIRT[name]
    title = text if name == "a title alone" else ""
    found, measured, _ = verdict(text, title)
    assert found == reason
    assert reason == "too short" or 1 >= measured > quality.LIMITS[reason]


POEM = """硕鼠硕鼠，无食我黍！三岁贯女，莫我肯顾。逝将去女，适彼乐土。乐土乐土，爰得我所。
硕鼠硕鼠，无食我麦！三岁贯女，莫我肯德。逝将去女，适彼乐国。乐国乐国，爰得我直。
硕鼠硕鼠，无食我苗！三岁贯女，莫我肯劳。逝将去女，适彼乐郊。乐郊乐郊，谁之永号？"""
SEEN = (
    "那座石桥",
    "那条小巷",
    "村口的井",
    "渡口的船",
    "麦田",
    "竹林",
    "祠堂",
    "集市",
    "山坡",
    "河岸",
    "茶园",
    "旧城墙",
)
HEARD = ("钟声", "蝉声", "水声", "笛声", "风声", "雨声", "雷声", "歌声", "鸟鸣", "狗吠", "鸡鸣", "人声")
REFRAIN = "\n".join(
    f"{where}的清晨，\n我又走过{seen}，\n听见{heard}。\n啊，故乡，我的故乡！"
    for where, seen, heard in zip(SUBJECTS, SEEN, HEARD, strict=True)
)
MEDICINES = (
    "阿莫西林", "氨苄西林", "头孢氨苄", "头孢克洛", "头孢呋辛", "阿奇霉素", "罗红霉素", "克拉霉素",
    "左氧氟沙星", "诺氟沙星", "甲硝唑", "替硝唑", "多西环素", "米诺环素", "氟康唑", "伊曲康唑",
)  # fmt: skip
CELLS = "".join(f"{TOLD[i % 8].format(subject)}\n无\n无\n" for i, subject in enumerate(SUBJECTS))
DRUGS = "常用抗感染药\n" + "\n".join(f"{name}{form}" for name in MEDICINES for form in ("胶囊", "片", "颗粒", "注射液"))
RECORD = "".join(f"{i}号{SUBJECTS[i % 12]}在{i % 97}年由{i % 89}人修成{i % 83}间。" for i in range(20_000))
FINE = {
    "an entry of one sentence": ("水杉\n水杉是柏科植物。", "水杉"),
    "an entry of two sentences": ("风寒感冒起病较急，怕冷重，发热轻。宜用辛温解表的药。", ""),
    "an article": (GOOD, "名胜"),
    "a line of 400,000 characters": (RECORD, ""),
    "a poem": (POEM, "硕鼠"),
    "a long poem with a refrain": (REFRAIN, "故乡"),
    "a list of drugs": (DRUGS, "常用抗感染药"),
    "formulas": ("葡萄糖（C₆H₁₂O₆）与氧气反应，生成二氧化碳和水：C₆H₁₂O₆+6O₂→6CO₂+6H₂O，放出2870kJ/mol的热量。", ""),
    "a drug with its English name": ("普萘洛尔（propranolol）是β受体阻滞药，用于高血压和心律失常。", ""),
    "an article on scripts": ("JavaScript\nJavaScript是一种脚本语言，多用于网页。", "JavaScript"),
    "an article on a notice": ("免责声明：\n免责声明：是当事人约定免除责任的文字。", "免责声明："),
    "an article on a menu word": ("注册登录\n注册登录是使用软件的第一步。", "注册登录"),
    "an article on a law": ("著作权归作者享有。\n公司持有增值电信业务经营许可证。\n学生应当阅读全文。", ""),
    "headings of two common words": ("科技教育\n全市有小学九十所。\n文化体育\n每年举行龙舟赛。", ""),
    "what sounds like a notice": ("公司的注册资本为100万元。\n点击下载按钮。\n未经许可，不得经营。", ""),
    "a table with empty cells": (CELLS, ""),
    "a notice within a paragraph": (GOOD[:120] + "（转载请注明出处。）", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_a_good_text_stays_as_it_is(name):
    text, title = FINE[name]
    assert verdict(text, title)[::2] == ("", normalise(text))


def test_lines_of_boilerplate_go_and_the_text_around_them_stays():
    text, menus = [GOOD[:100], GOOD[100:200]], ["点击查看更多精彩内容>>", "扫码关注我们", "上一篇：长城", "登录 | 注册"]
    path = "首页 > 旅游 > 黄山攻略"  # not all of it is of the menu
    found = examine([normalise("\n".join(["黄山", path, text[0], menus[0], text[1], *menus[1:]]))], ["黄山"])
    assert found.texts[0].split("\n") == ["黄山", path, *text]
    assert found.removed[0].split("\n") == list(map(normalise, menus))
    assert found.reasons[0] == 0


def test_the_embedded_world_passes_untouched():
    """As the stage reads it, but for a copyist's line of its own at the end of some copies."""
    profile = profiles.load("cpu-mini")
    files = (*profile.baike, *profile.medical)
    rows = [reading.document(row, "a:1") for path in files for row in reading.read_jsonl(path)]
    texts, titles = ([normalise(row[name]) for row in rows] for name in ("text", "title"))
    found = examine(texts, titles)
    assert len(texts) > 9_000 and not found.reasons.any()
    touched = [(before, after) for before, after in zip(texts, found.texts, strict=True) if before != after]
    left_out = {before.removeprefix(after) for before, after in touched}
    assert left_out == {"\n（转载请注明出处。）", "\n（阅读全文请点这里。）"}


def test_of_text_that_was_not_scraped_only_the_length_counts():
    texts = [text for text, _ in DIRT.values()]
    found = examine(texts, [""] * len(texts), scraped=False)
    assert found.texts == texts and not any(found.removed)
    assert {REASONS[reason - 1] for reason in found.reasons if reason} == {"too short"}


def test_a_document_is_judged_the_same_alone_and_among_others():
    texts = [normalise(text) for text, *_ in (*DIRT.values(), *FINE.values())]
    together = examine(texts, [""] * len(texts))
    for number, text in enumerate(texts):
        alone = examine([text], [""])
        assert (alone.reasons[0], alone.measured[0]) == (together.reasons[number], together.measured[number])
        assert alone.texts[0] == together.texts[number]


def obvious_shares(text: str, n: int) -> tuple[float, float]:
    counts = Counter(text[i : i + n] for i in range(len(text) - n + 1))
    repeated = sum(count for count in counts.values() if count > 1)
    return max(counts.values()) * n / len(text), repeated / counts.total()


@pytest.mark.parametrize("n", [4, 13])
def test_shares_of_ngrams_are_those_of_a_plain_count(n):
    texts = [text for text, _ in (*DIRT.values(), *FINE.values()) if 40 <= len(text) < 10_000] + [GOOD + GOOD[:400]]
    found = quality._ngram_shares(texts, n, 40)
    assert np.allclose(found.T, [obvious_shares(text, n) for text in texts])
    assert not quality._ngram_shares(["哈" * 39], n, 40).any()


def test_half_characters_and_no_documents_are_no_crash():
    assert examine([], []).texts == []
    assert examine(["高血压\ud83d的常见症状有头痛和头晕。"], ["\udc00"]).reasons[0] == 0
    assert verdict("\ud83d" * 50)[0] == "too short"


def test_each_notice_begins_with_plain_characters():
    """They are looked for by their first three; the words of menus are plain altogether."""
    import tomllib

    table = tomllib.loads(quality.TABLE.read_text(encoding="utf-8"))
    assert all(text[:3].isalnum() and len(text) >= 3 for text in table["notices"])
    assert all(word.isalnum() for word in (*table["menu"], *table["channels"]))
    assert all(len(words) == len(set(words)) for words in table.values())


def test_another_table_makes_another_result(tmp_path, monkeypatch):
    before = deduplication._code()
    table = tmp_path / "boilerplate.toml"
    table.write_text(quality.TABLE.read_text(encoding="utf-8").replace("'返回顶部', ", ""), encoding="utf-8")
    monkeypatch.setattr(quality, "TABLE", table)
    assert deduplication._code() != before


def seconds(work) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def test_time_grows_with_the_text_and_is_a_fraction_of_a_plain_count():
    """Of an article, and of what a scan may go astray in: a line of notices, and one that is a menu but at its end."""
    rng = np.random.default_rng(0)
    article = "".join(np.array(list(GOOD))[rng.integers(len(GOOD), size=100_000)].tolist())
    for name, text in {"article": article, "notices": "转载请" * 30_000, "menu": "首页登录" * 25_000 + "。"}.items():
        once, four = (seconds(lambda text=text, k=k: examine([text * k], [""])) for k in (1, 4))
        assert four < 12 * once, name
    plain = seconds(lambda: [obvious_shares(article, n) for n in (4, 13)])
    assert seconds(lambda: examine([article], [""])) < plain / 3


def write(path: Path, rows: list[dict]) -> list[Path]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [path]


def test_the_stage_filters_scraped_corpora_and_reports_counts_and_examples(tmp_path):
    baike = [
        {"title": "黄山", "summary": GOOD[:300], "sections": [{"title": "交通", "content": "高铁可到。\n返回顶部"}]},
        {"title": "长城", "summary": None, "sections": []},
        {"title": "导航", "summary": MENU, "sections": []},
    ]
    medical = [{"text": DIRT[name][0]} for name in ("English", "a table of numbers", "digits", "punctuation")]
    medical += [{"text": SPAM}, {"text": "半个字\ud83d也不要紧，高血压的常见症状有头痛和头晕。"}]
    english = "The wiki is cleaned by its own stage, and is not filtered here."
    rows = {"wiki": [{"id": "1", "title": "a", "text": english}], "baike": baike, "medical": medical}
    sources = {name: write(tmp_path / f"{name}.jsonl", rows[name]) for name in rows}
    summary = deduplicate(sources, tmp_path / "out").summary
    assert summary == {"read": 10, "kept": 3, "exact": 0, "near": 0, "filtered": 7}
    kept = {name: loading.load_documents(tmp_path / "out", name)["text"][:] for name in sources}
    assert kept["wiki"] == [english] and kept["baike"] == [f"黄山\n{GOOD[:300]}\n交通\n高铁可到。"]
    assert kept["medical"] == ["半个字也不要紧，高血压的常见症状有头痛和头晕。"]
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["corpora"]
    assert len({tuple(corpus["documents"]) for corpus in report.values()}) == 1, "a table of the same columns for each"
    fates = {name: {fate: n for fate, n in corpus["documents"].items() if n} for name, corpus in report.items()}
    assert fates == {"wiki": {"read": 1, "kept": 1}, "baike": {"read": 3, "boilerplate": 1, "too short": 1, "kept": 1},
                     "medical": {"read": 6, "not Chinese": 4, "one phrase": 1, "kept": 1}}  # fmt: skip
    navigation, title_alone = report["baike"]["filtered"]
    assert navigation["reason"] == "boilerplate" and navigation["title"] == "导航" and "ICP备" in navigation["text"]
    assert title_alone == {"reason": "too short", "measured": 2, "id": "baike.jsonl:2", "title": "长城", "text": "长城"}
    examples = report["medical"]["filtered"]
    assert Counter(row["reason"] for row in examples) == {"not Chinese": 3, "one phrase": 1}, "three of each at most"
    assert all(row["text"] and row["measured"] > quality.LIMITS[row["reason"]] for row in [navigation, *examples])
    lines = report["baike"]["boilerplate"]
    assert lines["lines"] == 7 and lines["examples"][0]["lines"] == "返回顶部"
    assert report["baike"]["characters"]["kept"] == len(kept["baike"][0])
    documents = [normalise(reading.baike_text(row)) for row in baike]
    assert report["baike"]["characters"]["read"] == sum(map(len, documents))
