"""The words of Taiwan and Hong Kong become those of mainland China, and ordinary words of mainland China stay."""

import time
from functools import cache

import opencc
import pytest
import wordfreq

from course_utils.wiki_cleaning.language_conversion import to_simplified, with_particle
from course_utils.wiki_cleaning.regional_words import mainland, mainland_words

# Words of the list that come from Taiwan themselves: they hold a word of the table, and are rightly changed.
HOLDING = """
国民身分 表姊妹 身分不明 身分证
个人帐户 主记忆体 义大利人 义大利文 亲姊姊 亲暱 介面卡 会员帐号 十公升 十公尺 咖哩粉 咖哩鸡 囓齿类
坎城影展 大姊姊 大部份 妳们 妳会 妳在 妳好吗 妳是 妳有 妳爱 妳自己 宾士车 宾士轿车 密西根州 小部份
屋簷 帐号密码 帐目表 平方公尺 应用软体 弹道飞弹 微晶片 撞球场 日记帐 暱称 杜拜塔 枱布 枱面 核飞弹
爱滋病 爱滋病患 甚么样 留尼旺岛 矽利康 矽卡岩 矽品 矽土 矽基 矽晶圆 矽晶片 矽石 矽砂 矽胶 矽藻
矽谷 矽质 矽酸 磁碟机 磁碟片 私人帐户 秋后算帐 立方公尺 纽西兰人 经常帐户 网路上 网路化 网路票
网路线 美国伊利诺大学 软硬体 銲接 银行帐号 银行帐户 雷射枪 雷射炮 非妳 飞簷 麻痺 麻痺症
"""


@cache
def converter(name):
    return opencc.OpenCC(name).convert


def by_characters(traditional):
    """Simplified characters, and 着 for the particle 著: what ``mainland`` gets."""
    return with_particle(to_simplified()(traditional))


def read(traditional):
    return mainland(by_characters(traditional))


def words_of_the_list():
    """The words of wordfreq's list (Wikipedia, subtitles, news, the web) that are written in simplified characters."""
    words = [word for word in wordfreq.get_frequency_dict("zh", "large") if any("一" <= c <= "鿿" for c in word)]
    return [
        word for word, same in zip(words, to_simplified()("\n".join(words)).split("\n"), strict=True) if word == same
    ]


@pytest.mark.parametrize(
    "written, shown",
    [
        ("義大利的網路軟體", "意大利的网络软件"),
        ("山高三千公尺，大部份是岩石", "山高三千米，大部分是岩石"),
        ("紐西蘭與沙烏地阿拉伯", "新西兰与沙特阿拉伯"),
        ("硬碟、滑鼠、印表機、伺服器", "硬盘、鼠标、打印机、服务器"),
        ("二氧化矽與胺基酸", "二氧化硅与氨基酸"),
        ("歐巴馬與柯林頓", "奥巴马与克林顿"),
        ("雷射與飛彈", "激光与导弹"),
        ("牠的帳號", "它的账号"),
    ],
)
def test_a_page_from_taiwan_reads_as_one_of_mainland_china(written, shown):
    assert read(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "文件、支援、影片、行程和程序",  # OpenCC's tw2sp changes these
        "軟體動物與方程式",  # words of the table stand in these
        "厄瓜多爾、伊利諾伊州、海德格爾、托斯卡尼尼",
        "司機率先下車，手機率領全隊",
        "東北部份額最大，系列印章，菲律賓士兵，互聯網路由器",
        "台北捷運",  # a name
    ],
)
def test_words_of_both_sides_stay(text):
    assert read(text) == by_characters(text)


@pytest.mark.parametrize("spelling", ["s2tw", "s2hk"])
def test_no_ordinary_word_of_mainland_china_is_broken(spelling):
    """Written in the characters of Taiwan or Hong Kong and read again, a word is what t2s makes of it, or itself."""
    words = words_of_the_list()
    assert len(words) > 250_000
    plain = by_characters(converter(spelling)("\n".join(words)))
    both = zip(words, plain.split("\n"), mainland(plain).split("\n"), strict=True)
    changed = {word for word, old, new in both if new not in (word, old)}
    assert sorted(changed - mainland_words().keys() - set(HOLDING.split())) == []


def test_what_the_table_writes_is_not_changed_again():
    assert [shown for shown in mainland_words().values() if mainland(shown) != shown] == []


def test_words_are_as_t2s_leaves_them():
    words = [word for pair in mainland_words().items() for word in pair if by_characters(word) != word]
    assert words == ["藉着"]  # from 藉著, of which t2s and the particle make this


def test_it_is_fast():
    text = "他在网路上看到一座高三千公尺的山，大部份是岩石，没有动物。" * 360
    mainland(text)
    started = time.perf_counter()
    for _ in range(20):
        mainland(text)
    assert (time.perf_counter() - started) / 20 < 0.02  # seconds for 10,000 characters; 0.0004 on an idle core
