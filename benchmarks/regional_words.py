"""Words of Taiwan and Hong Kong read as in mainland China: ours beside OpenCC's `tw2sp`, judged by MediaWiki's table.

    pip install zhconv      (wordfreq comes with the tests)
    python benchmarks/regional_words.py

The judge is zhconv (GPL), which carries the table that zh.wikipedia.org itself converts with. Only its answers are
looked at. The sentences were written for this file, with the words that writers of Taiwan and Hong Kong use.

A word is damaged if it stands in simplified characters in wordfreq's list, is another one when it was written in the
characters of Taiwan or Hong Kong and read again, and the judge changes it in neither spelling.
"""

import time
from collections.abc import Callable

import opencc
import wordfreq
import zhconv

from course_utils.wiki_cleaning.language_conversion import to_simplified, with_particle
from course_utils.wiki_cleaning.regional_words import mainland, mainland_words

SPELLINGS = ("s2t", "s2tw", "s2hk")
SENTENCES = (
    "義大利與紐西蘭的足球比賽 他在網路上下載軟體 這座山高三千公尺，大部份是岩石 牠的身長約十公釐 "
    "沙烏地阿拉伯、葉門和衣索比亞 寮國、汶萊與馬爾地夫 電腦的硬碟、滑鼠、印表機與記憶體 伺服器的作業系統 "
    "資料庫儲存在磁碟上 人工智慧與演算法 網際網路的頻寬 晶片由矽製成 積體電路含有許多電晶體與二極體 "
    "雷射是一種光 太空梭升空後發射人造衛星 北韓試射飛彈 南韓總統訪問杜拜 歐巴馬與柯林頓都是美國總統 "
    "史達林與邱吉爾會面 戈巴契夫與柴契爾夫人 梵谷和畢卡索的畫 列印文件需要支援 數位相機的解析度 "
    "行動電話與行動裝置 智慧型手機的應用程式 胺基酸組成蛋白質 愛滋病是一種傳染病 二氧化矽與碳化矽 "
    "放射性元素鈽與鎝 你知道這是甚麼嗎 過份的要求與緣份 知識份子的成份 登入帳號，查詢帳戶 迫擊砲與榴彈砲 "
    "巴塞隆納位於加泰隆尼亞 貝爾格勒與塞拉耶佛 聖地牙哥位於加州 坎城影展在法國舉行 奈洛比是肯亞的首都 "
    "諾曼第登陸 他坐計程車去捷運站 隨著時間過去，他看著窗外 這支影片介紹程序與文件 微分方程式與軟體動物 "
    "厄瓜多與厄瓜多爾是同一國 伊利諾州在密西根湖旁 三藩市與荷里活 碧咸效力皇家馬德里 "
    "面積約五平方公尺，體積兩立方公尺 一公升的水重一公斤 非同步傳輸的介面 韌體儲存在快閃記憶體 "
    "主機板上有顯示卡與音效卡 十進位與二進位 虛擬實境的高畫質畫面 東協與大英國協 亞里斯多德與維根斯坦 "
    "克卜勒與薛丁格 葛萊美獎與鐵達尼號 賓士汽車與空中巴士 他的姪子化粧後唱歌 小兒麻痺症 咖哩飯與義大利麵 "
    "撞球與電單車 網路電話與藍芽 台北捷運是臺灣的大眾運輸系統 這項計畫由行政院規畫"
)


def by_characters(text: str) -> str:
    """Simplified characters, and 着 for the particle 著: what `mainland` gets."""
    return with_particle(to_simplified()(text))


def read_back(way: Callable[[str], str], words: list[str]) -> dict[str, set[str]]:
    """What a way of conversion makes of words that were written in each of the traditional spellings."""
    found: dict[str, set[str]] = {word: set() for word in words}
    for spelling in SPELLINGS:
        written = opencc.OpenCC(spelling).convert("\n".join(words))
        for word, read in zip(words, way(written).split("\n"), strict=True):
            found[word].add(read)
    return found


def main() -> None:
    ways: dict[str, Callable[[str], str]] = {
        "t2s": by_characters,
        "tw2sp": opencc.OpenCC("tw2sp").convert,
        "t2s and mainland": lambda text: mainland(by_characters(text)),
    }
    sentences = SENTENCES.split()
    shown = {text: zhconv.convert(text, "zh-cn") for text in sentences}
    changed = [word for word, ours in mainland_words().items() if word != ours]
    print(f"{len(changed):,} words, {len(mainland_words()) - len(changed)} to keep; {len(sentences)} sentences")
    for name, way in ways.items():
        print(f"{name:<18}{sum(way(text) == right for text, right in shown.items()):>4} as the judge has them")
    for text, right in shown.items():
        if (ours := ways["t2s and mainland"](text)) != right:
            print(f"  {ours}, where the judge has {right}")

    words = [word for word in wordfreq.get_frequency_dict("zh", "large") if any("一" <= c <= "鿿" for c in word)]
    words = [
        word for word, same in zip(words, to_simplified()("\n".join(words)).split("\n"), strict=True) if word == same
    ]
    judged = read_back(lambda text: zhconv.convert(text, "zh-cn"), words)
    plain = read_back(by_characters, words)  # what t2s does is none of our concern
    print(f"{len(words):,} simplified words of wordfreq")
    for name, way in ways.items():
        read = read_back(way, words)
        damage = [
            f"{w} > {'、'.join(read[w] - plain[w])}" for w in words if read[w] - plain[w] - {w} and judged[w] == {w}
        ]
        print(f"{name:<18}{len(damage):>7,} damaged: {', '.join(damage[:12])}")

    text = by_characters("".join(sentences) * 20)[:10_000]
    started = time.perf_counter()
    for _ in range(100):
        mainland(text)
    print(f"{(time.perf_counter() - started) * 10:.2f} ms for {len(text):,} characters")


if __name__ == "__main__":
    main()
