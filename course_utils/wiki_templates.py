"""Templates that show text in a sentence, by families: one table, a line a kind, and below it a function a kind.

A renderer gets the template's name in lower case, its positional arguments and its named ones, all rendered already,
and gives back what the reader sees. ``None`` in place of a renderer: the template shows no prose and is dropped, and
the family says why. Names that the table does not know are dropped too and counted as unknown, so that the report
shows which rule is missing most. What each template shows was taken from its documentation page on zh.wikipedia.org.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache

from . import units
from .formulas import chemical, readable, superscript
from .language_conversion import fence
from .paragraphs import HOLE

Renderer = Callable[[str, list[str], dict[str, str]], str]
Family = tuple[str, tuple[str, ...], Renderer | None]
UNKNOWN, RULES = "unknown", "conversion rules"
PIPE = "\ufdd6"  # what {{!}} shows while it must not be read as a separator
ASIDE, ASIDE_END = "\ufdee\ufdef"  # brackets of {{BD}}, which are left out where the writer opened some already

# ------------------------------------------------------------------ dates and people


def birth_death(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}} -> 1881年9月25日－1936年10月19日; of the living only the birth.

    Years may be 前551年, 約1500年 or 不詳. The fifth argument is a sort key and never shown.
    """
    year, day, end_year, end_day = (args + [""] * 4)[:4]
    born, died = year + day, end_year + end_day
    if not born and not died:
        return ""
    return f"{born or '？'}－{died}"


def bracketed_birth_death(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{BD|…}} is {{bd|…}} with its own brackets."""
    text = birth_death(name, args, named)
    return text and f"{ASIDE}{text}{ASIDE_END}"


def age(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{age|1399|3|16|1435|1|31}} -> 35, the years between two dates. The age of today is not known here."""
    numbers = [int(arg) for arg in args[:6] if re.fullmatch(r"\d{1,4}", arg)]
    if len(numbers) < 6:
        return ""
    return str(numbers[3] - numbers[0] - (tuple(numbers[4:6]) < tuple(numbers[1:3])))


def death_and_age(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{death date and age|1936|10|19|1881|9|25}} -> 1936年10月19日（55岁）."""
    years = age(name, args[3:6] + args[:3], named) if len(args) > 5 else ""
    return date(name, args, named) + (f"（{years}岁）" if years else "")


def claim(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{fact|a sentence|time=…}} shows the sentence; with a date alone it shows nothing of the text."""
    text = first(name, args, named)
    return "" if re.fullmatch(r"[\d\s年月日:+TZ-]*", text) else text


def date(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{birth date and age|1980|5|3}} -> 1980年5月3日. The age moves with the day of reading and stays away."""
    numbers = [arg for arg in args[:3] if re.fullmatch(r"\d{1,4}", arg)]
    if not numbers:
        return first(name, args, named)
    return "".join(f"{int(number)}{unit}" for number, unit in zip(numbers, "年月日", strict=False))


def circa(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{circa|1500}} -> 约1500."""
    return "约" + "–".join(filter(None, args[:2]))


def as_of(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{as of|2020|1}} -> 截至2020年1月."""
    return named.get("alt") or "截至" + date(name, args, named)


# ------------------------------------------------------------------ languages

# Names as the zh-cn reader sees them. CLDR agrees on most; where zhwiki's templates say otherwise, they win.
LANGUAGE_NAMES = {
    "en": "英语", "la": "拉丁语", "fr": "法语", "de": "德语", "ja": "日语", "ko": "韩语", "ru": "俄语", "es": "西班牙语",
    "it": "意大利语", "pt": "葡萄牙语", "el": "希腊语", "grc": "古希腊语", "ar": "阿拉伯语", "nl": "荷兰语", "pl": "波兰语",
    "vi": "越南语", "th": "泰语", "he": "希伯来语", "sv": "瑞典语", "mn": "蒙古语", "bo": "藏语", "ug": "维吾尔语",
    "sa": "梵语", "pi": "巴利语", "fa": "波斯语", "tr": "土耳其语", "uk": "乌克兰语", "cs": "捷克语", "sk": "斯洛伐克语",
    "hu": "匈牙利语", "ro": "罗马尼亚语", "bg": "保加利亚语", "sr": "塞尔维亚语", "hr": "克罗地亚语", "bs": "波斯尼亚语",
    "sl": "斯洛文尼亚语", "mk": "马其顿语", "sq": "阿尔巴尼亚语", "fi": "芬兰语", "et": "爱沙尼亚语", "lv": "拉脱维亚语",
    "lt": "立陶宛语", "no": "挪威语", "nb": "书面挪威语", "nn": "新挪威语", "da": "丹麦语", "is": "冰岛语", "fo": "法罗语",
    "ga": "爱尔兰语", "gd": "苏格兰盖尔语", "cy": "威尔士语", "br": "布列塔尼语", "eu": "巴斯克语", "ca": "加泰罗尼亚语",
    "gl": "加利西亚语", "oc": "奥克语", "eo": "世界语", "ka": "格鲁吉亚语", "hy": "亚美尼亚语", "az": "阿塞拜疆语",
    "kk": "哈萨克语", "ky": "吉尔吉斯语", "uz": "乌兹别克语", "tk": "土库曼语", "tg": "塔吉克语", "tt": "鞑靼语",
    "hi": "印地语", "ur": "乌尔都语", "bn": "孟加拉语", "ta": "泰米尔语", "te": "泰卢固语", "ml": "马拉雅拉姆语",
    "mr": "马拉地语", "gu": "古吉拉特语", "pa": "旁遮普语", "kn": "卡纳达语", "or": "奥里亚语", "si": "僧伽罗语",
    "ne": "尼泊尔语", "dz": "宗喀语", "my": "缅甸语", "km": "高棉语", "lo": "老挝语", "id": "印尼语", "ms": "马来语",
    "tl": "他加禄语", "fil": "菲律宾语", "jv": "爪哇语", "su": "巽他语", "haw": "夏威夷语", "mi": "毛利语", "sm": "萨摩亚语",
    "sw": "斯瓦希里语", "am": "阿姆哈拉语", "af": "南非语", "zu": "祖鲁语", "ku": "库尔德语", "ps": "普什图语",
    "yi": "意第绪语", "mnc": "满语", "za": "壮语", "ii": "彝语", "hmn": "苗语", "yue": "粤语", "nan": "闽南语",
    "hak": "客家语", "wuu": "吴语", "lzh": "文言文", "zh": "中文", "be": "白俄罗斯语", "lb": "卢森堡语", "mt": "马耳他语",
    "sd": "信德语", "ti": "提格利尼亚语", "so": "索马里语", "ha": "豪萨语", "yo": "约鲁巴语", "ce": "车臣语", "cu": "古教会斯拉夫语",
    "ain": "阿伊努语", "got": "哥特语", "ang": "古英语", "fro": "古法语", "non": "古诺尔斯语", "akk": "阿卡德语",
    "egy": "古埃及语", "peo": "古波斯语", "arc": "亚拉姆语", "syc": "叙利亚语", "cop": "科普特语", "xcl": "古典亚美尼亚语",
}  # fmt: skip


IDEOGRAPH = re.compile("[\u3400-\u9fff]")


def as_written(text: str) -> str:
    """Text of another language: its ideographs are not converted, 東京 stays 東京."""
    return fence(text) if IDEOGRAPH.search(text) else text


def foreign_name(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lang-en|Beijing}} and {{langx|en|Beijing}} -> 英语：Beijing."""
    code = name.partition("-")[2]
    if not code and args:
        code, *args = args
    text = as_written(first(name, args, named))
    language = LANGUAGE_NAMES.get(code.strip().lower()) or LANGUAGE_NAMES.get(code.strip().lower().partition("-")[0])
    silent = not language or named.get("label") == "none" or not text
    return text if silent else f"{language}：{text}"


def in_language(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lang|la|Panda}} -> Panda: the language's code stands first and is not shown."""
    text = named.get("text") or (args[1] if len(args) > 1 else first(name, args, named))
    return text if args and args[0].startswith("zh") else as_written(text)


def written_first(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lj|東京}} -> 東京."""
    return as_written(first(name, args, named))


def japanese(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{nihongo|东京|東京|Tōkyō}} -> 东京（日语：東京，Tōkyō）; {{jpn|j=東京|hg=とうきょう}} -> 日语：東京／とうきょう."""
    if name in ("nihongo", "日语名", "日語名"):
        foreign = as_written("，".join(filter(None, args[1:4])))
        if not args or not args[0]:
            return foreign
        return f"{args[0]}（日语：{foreign}）" if foreign else args[0]
    kana = named.get("hg") or named.get("k") or named.get("kk") or ""
    text = as_written("／".join(filter(None, (named.get("j") or first(name, args, named), kana))))
    return f"日语：{text} {named.get('rm', '')}".strip() if text else ""


def korean(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{korean|hangul=서울|hanja=漢城}} -> 韩语：서울／漢城."""
    hangul = named.get("hangul") or named.get("h") or first(name, args, named)
    hanja = named.get("hanja") or named.get("hj") or second(name, args, named)
    text = as_written("／".join(filter(None, (hangul, hanja))))
    return f"韩语：{text}" if text else ""


def chinese_forms(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{zh|s=简|t=簡|p=jiǎn}} -> 简体：简；繁体：簡；拼音：jiǎn."""
    labels = {"c": "中文", "s": "简体", "t": "繁体", "p": "拼音", "w": "威妥玛拼音", "j": "粤拼", "l": "直译"}
    shown = [f"{label}：{as_written(named[key])}" for key, label in labels.items() if named.get(key)]
    return "；".join(shown) or first(name, args, named)


def ruby(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{ruby|漢字|かんじ}} -> 漢字（かんじ）, as a browser that cannot stack them shows it."""
    base, reading = (args + ["", ""])[:2]
    return f"{base}（{reading}）" if base and reading else base


# ------------------------------------------------------------------ links


def interlanguage_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{link-en|本地名|Foreign|显示}} shows 显示, or 本地名 where it is not given."""
    shown = named.get("d", "")
    if re.fullmatch(r"Q\d+", shown):  # the number of a Wikidata item
        shown = ""
    return shown or third(name, args, named) or first(name, args, named) or second(name, args, named)


def translated_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{tsl|en|Foreign|本地名|显示}} shows 显示, else 本地名, else Foreign."""
    return next(filter(None, reversed(args[1:4])), "")


def multilingual_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{ill|本地名|en|Foreign|lt=显示}}; the older form is {{ill|en|本地名|Foreign|显示}}."""
    if named.get("lt"):
        return named["lt"]
    if args and re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?", args[0]):
        return fourth(name, args, named) or second(name, args, named)
    return first(name, args, named)


def helped_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{internal link helper/en|本地名|Foreign|显示}}, {{ilh|lang-code=en|local=本地名|d=显示}}."""
    return named.get("d") or third(name, args, named) or named.get("local") or first(name, args, named)


def regional_word(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{地区用词|cn=硅|tw=矽|start=英语：silicon}} -> 硅（英语：silicon）."""
    start = f"（{named['start']}）" if named.get("start") else ""
    return (named.get("cn") or named.get("sg") or next(iter(named.values()), "")) + start


def named_part(*keys: str) -> Renderer:
    """A renderer of a template that shows one named argument, the first of these that is given."""
    return lambda name, args, named: next((named[key] for key in keys if named.get(key)), "")


def condition(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{#if:text|then|else}}."""
    return second(name, args, named) if first(name, args, named) else third(name, args, named)


def web_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{URL|https://example.org/|官网}} -> 官网, or the address without its scheme."""
    return second(name, args, named) or re.sub(r"^\w+://", "", first(name, args, named)).rstrip("/")


# ------------------------------------------------------------------ arguments


def first(name: str, args: list[str], named: dict[str, str]) -> str:
    return (args[0] if args else "") or named.get("text", "")


def second(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[1] if len(args) > 1 else ""


def third(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[2] if len(args) > 2 else ""


def fourth(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[3] if len(args) > 3 else ""


def second_or_first(name: str, args: list[str], named: dict[str, str]) -> str:
    return second(name, args, named) or first(name, args, named)


def last(name: str, args: list[str], named: dict[str, str]) -> str:
    return next(filter(None, reversed(args)), "") or named.get("text", "")


def joined(name: str, args: list[str], named: dict[str, str]) -> str:
    return "".join(args)


def keys(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{key press|Ctrl|C}} -> Ctrl+C."""
    return "+".join(args)


def constant(text: str) -> Renderer:
    """A renderer of a template that always shows the same."""
    return lambda name, args, named: text


# ------------------------------------------------------------------ numbers


def convert(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{convert|30|m|ft}} -> 30米（98英尺）; see ``units.convert``."""
    return units.convert(args, {"abbr": "on", **named} if name == "cvt" else named)


def value(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{val|1.67|0.01|e=-27|u=kg}} -> 1.67±0.01×10⁻²⁷ kg."""
    text = first(name, args, named).replace(",", "")
    if len(args) > 2:
        text += f"+{args[1]}−{args[2]}"
    elif len(args) > 1 and args[1]:
        text += f"±{args[1]}"
    if named.get("e"):
        text += "×10" + superscript(named["e"].replace("-", "−"))
    unit = named.get("u") or named.get("ul") or ""
    if per := named.get("up") or named.get("upl"):
        unit += f"/{per}"
    return f"{named.get('p', '')}{text}{' ' + unit if unit and unit != '%' else unit}{named.get('s', '')}"


def grouped_number(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{formatnum:1234567}} -> 1,234,567; with |R the other way round."""
    text = first(name, args, named)
    return text.replace(",", "") if "R" in args[1:] else units.grouped(text)


def power_of_ten(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{e|6}} -> ×10⁶, {{10^|6}} -> 10⁶."""
    exponent = superscript(first(name, args, named).replace("-", "−"))
    return f"10{exponent}" if name.startswith("10") else f"×10{exponent}"


def fraction(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{frac|1|2}} -> 1/2, {{frac|3|1|2}} -> 3+1/2, {{frac|2}} -> 1/2."""
    args = [arg for arg in args if arg]
    if len(args) > 2:
        return f"{args[0]}+{args[1]}/{args[2]}"
    return "/".join(args) if len(args) == 2 else f"1/{args[0]}" if args else ""


def raised(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{sup|2}} -> ²: in the templates' use an exponent."""
    return superscript(first(name, args, named).replace("-", "−"))


def chemistry(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{chem|H|2|O}} and {{chem2|H2O}} -> H2O."""
    return chemical("".join(args))


def nuclide(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{nuclide|U|235}} -> 235U."""
    return second(name, args, named) + first(name, args, named)


def root(name: str, args: list[str], named: dict[str, str]) -> str:
    return "√" + first(name, args, named)


def formula(name: str, args: list[str], named: dict[str, str]) -> str:
    return readable(first(name, args, named) or named.get("1", ""))


def money(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{US$|5}} -> $5 as its sign and amount."""
    signs = {"us$": "$", "usd": "$", "hk$": "HK$", "hkd": "HK$", "nt$": "NT$", "twd": "NT$", "cny": "¥", "rmb": "¥",
             "jpy": "¥", "jpy¥": "¥", "gbp": "£", "eur": "€", "krw": "₩"}  # fmt: skip
    return signs.get(name, name) + units.grouped(first(name, args, named))


def coordinates(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{coord|39|54|N|116|23|E}} -> 39°54′N 116°23′E; in the title of the page it shows nothing in the text."""
    if "inline" not in named.get("display", "inline"):
        return ""
    text, numbers = "", 0
    for arg in args:
        if re.fullmatch(r"-?[\d.]+", arg):
            text += arg + "°′″"[min(numbers, 2)]
            numbers += 1
        elif not arg:  # 34°00′ without seconds
            numbers += 1
        elif arg.upper() in ("N", "S", "E", "W"):
            text += arg.upper() + " "
            numbers = 0
        else:
            break
    return text.strip()


# ------------------------------------------------------------------ countries

COUNTRIES = {
    "chn": "中国", "prc": "中国", "roc": "中华民国", "twn": "中华民国", "tpe": "中华台北", "hkg": "香港", "mac": "澳门",
    "jpn": "日本", "kor": "韩国", "prk": "朝鲜", "mgl": "蒙古", "mng": "蒙古", "usa": "美国", "gbr": "英国", "uk": "英国",
    "fra": "法国", "deu": "德国", "ger": "德国", "ita": "意大利", "esp": "西班牙", "prt": "葡萄牙", "por": "葡萄牙",
    "rus": "俄罗斯", "urs": "苏联", "ussr": "苏联", "nld": "荷兰", "ned": "荷兰", "bel": "比利时", "lux": "卢森堡",
    "che": "瑞士", "sui": "瑞士", "aut": "奥地利", "swe": "瑞典", "nor": "挪威", "dnk": "丹麦", "den": "丹麦",
    "fin": "芬兰", "isl": "冰岛", "irl": "爱尔兰", "pol": "波兰", "cze": "捷克", "svk": "斯洛伐克", "hun": "匈牙利",
    "rou": "罗马尼亚", "bgr": "保加利亚", "bul": "保加利亚", "grc": "希腊", "gre": "希腊", "tur": "土耳其",
    "ukr": "乌克兰", "blr": "白俄罗斯", "srb": "塞尔维亚", "hrv": "克罗地亚", "cro": "克罗地亚", "svn": "斯洛文尼亚",
    "est": "爱沙尼亚", "lva": "拉脱维亚", "ltu": "立陶宛", "can": "加拿大", "mex": "墨西哥", "bra": "巴西", "arg": "阿根廷",
    "chl": "智利", "chi": "智利", "per": "秘鲁", "col": "哥伦比亚", "ven": "委内瑞拉", "uru": "乌拉圭", "ury": "乌拉圭",
    "cub": "古巴", "aus": "澳大利亚", "nzl": "新西兰", "ind": "印度", "pak": "巴基斯坦", "bgd": "孟加拉国", "npl": "尼泊尔",
    "lka": "斯里兰卡", "mmr": "缅甸", "tha": "泰国", "vnm": "越南", "vie": "越南", "lao": "老挝", "khm": "柬埔寨",
    "mys": "马来西亚", "mas": "马来西亚", "sgp": "新加坡", "sin": "新加坡", "idn": "印度尼西亚", "ina": "印度尼西亚",
    "phl": "菲律宾", "phi": "菲律宾", "kaz": "哈萨克斯坦", "uzb": "乌兹别克斯坦", "irn": "伊朗", "iri": "伊朗",
    "irq": "伊拉克", "isr": "以色列", "sau": "沙特阿拉伯", "ksa": "沙特阿拉伯", "are": "阿联酋", "uae": "阿联酋",
    "qat": "卡塔尔", "afg": "阿富汗", "syr": "叙利亚", "lbn": "黎巴嫩", "jor": "约旦", "egy": "埃及", "zaf": "南非",
    "rsa": "南非", "nga": "尼日利亚", "ngr": "尼日利亚", "ken": "肯尼亚", "eth": "埃塞俄比亚", "mar": "摩洛哥",
    "dza": "阿尔及利亚", "alg": "阿尔及利亚", "tun": "突尼斯", "gha": "加纳", "cmr": "喀麦隆", "sen": "塞内加尔",
    "alb": "阿尔巴尼亚", "and": "安道尔", "ago": "安哥拉", "atg": "安提瓜和巴布达", "arm": "亚美尼亚", "aze": "阿塞拜疆",
    "bhs": "巴哈马", "bhr": "巴林", "brb": "巴巴多斯", "blz": "伯利兹", "ben": "贝宁", "btn": "不丹", "bol": "玻利维亚",
    "bih": "波黑", "bwa": "博茨瓦纳", "brn": "文莱", "bfa": "布基纳法索", "bdi": "布隆迪", "cpv": "佛得角", "caf": "中非",
    "tcd": "乍得", "com": "科摩罗", "cog": "刚果共和国", "cod": "刚果民主共和国", "cri": "哥斯达黎加", "crc": "哥斯达黎加",
    "civ": "科特迪瓦", "cyp": "塞浦路斯", "dji": "吉布提", "dma": "多米尼克", "dom": "多米尼加", "ecu": "厄瓜多尔",
    "slv": "萨尔瓦多", "gnq": "赤道几内亚", "eri": "厄立特里亚", "swz": "斯威士兰", "fji": "斐济", "gab": "加蓬",
    "gmb": "冈比亚", "geo": "格鲁吉亚", "grd": "格林纳达", "gtm": "危地马拉", "gin": "几内亚", "gnb": "几内亚比绍",
    "guy": "圭亚那", "hti": "海地", "hnd": "洪都拉斯", "jam": "牙买加", "kir": "基里巴斯", "kwt": "科威特",
    "kgz": "吉尔吉斯斯坦", "lso": "莱索托", "lbr": "利比里亚", "lby": "利比亚", "lie": "列支敦士登", "mdg": "马达加斯加",
    "mwi": "马拉维", "mdv": "马尔代夫", "mli": "马里", "mlt": "马耳他", "mhl": "马绍尔群岛", "mrt": "毛里塔尼亚",
    "mus": "毛里求斯", "fsm": "密克罗尼西亚联邦", "mda": "摩尔多瓦", "mco": "摩纳哥", "mne": "黑山", "moz": "莫桑比克",
    "nam": "纳米比亚", "nru": "瑙鲁", "nic": "尼加拉瓜", "ner": "尼日尔", "mkd": "北马其顿", "omn": "阿曼", "plw": "帕劳",
    "pan": "巴拿马", "png": "巴布亚新几内亚", "pry": "巴拉圭", "par": "巴拉圭", "rwa": "卢旺达", "wsm": "萨摩亚",
    "smr": "圣马力诺", "stp": "圣多美和普林西比", "syc": "塞舌尔", "sle": "塞拉利昂", "slb": "所罗门群岛", "som": "索马里",
    "ssd": "南苏丹", "sdn": "苏丹", "sur": "苏里南", "tjk": "塔吉克斯坦", "tza": "坦桑尼亚", "tls": "东帝汶", "tgo": "多哥",
    "ton": "汤加", "tto": "特立尼达和多巴哥", "tkm": "土库曼斯坦", "tuv": "图瓦卢", "uga": "乌干达", "vut": "瓦努阿图",
    "vat": "梵蒂冈", "yem": "也门", "zmb": "赞比亚", "zwe": "津巴布韦", "pse": "巴勒斯坦", "xkx": "科索沃", "yug": "南斯拉夫",
    "scg": "塞尔维亚和黑山", "tch": "捷克斯洛伐克", "gdr": "东德", "frg": "西德", "eng": "英格兰", "sco": "苏格兰", "wal": "威尔士",
    "nir": "北爱尔兰", "eu": "欧盟", "un": "联合国", "china": "中国", "japan": "日本", "united states": "美国", "france": "法国",
    "germany": "德国", "united kingdom": "英国", "south korea": "韩国", "russia": "俄罗斯", "italy": "意大利",
    "spain": "西班牙", "canada": "加拿大", "australia": "澳大利亚", "india": "印度", "brazil": "巴西",
}  # fmt: skip


def country(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{CHN}} -> 中国."""
    return COUNTRIES[name]


def flag(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{flag|USA}} -> 美国: the picture is dropped, the name stays."""
    place = named.get("name") or first(name, args, named)
    return COUNTRIES.get(place.lower(), place)


# ------------------------------------------------------------------ blocks


def quotation(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{quote|text|author|work}} -> the text in a paragraph of its own, then ——author，work."""
    text = first(name, args, named) or named.get("quote") or named.get("content") or ""
    author = named.get("author") or named.get("sign") or second(name, args, named)
    source = named.get("source") or third(name, args, named)
    signed = "，".join(filter(None, (author, source))).lstrip("—－-– ")
    return "\n\n" + text.replace("\n", "\n\n") + "\n\n" + (f"——{signed}\n\n" if signed else "")


def items(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{ubl|甲|乙}} -> a line an item; {{plainlist|* 甲 * 乙}} holds lines already."""
    return "\n\n" + "\n\n".join(args) + "\n\n"


def inline_items(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{hlist|甲|乙}} -> 甲 · 乙."""
    return f"\n\n{args[0]}\n\n" if len(args) == 1 else " · ".join(args)


def block(name: str, args: list[str], named: dict[str, str]) -> str:
    return f"\n\n{last(name, args, named) or named.get('content', '')}\n\n"


# ------------------------------------------------------------------ the table
# A name stands in lower case, unless its case matters. A * at its end or beginning stands for anything.

FAMILIES: tuple[Family, ...] = (
    ("dates", ("BD", "BDl"), bracketed_birth_death),
    ("dates", ("bd", "bdl", "生卒", "生卒年", "生卒年月", "生卒年月日", "birth-death"), birth_death),
    ("dates", ("birth date", "birth-date", "birth date and age", "bda", "birthdate and age", "birthdateandage", "bdate",
               "birth year and age", "death date", "death-date", "death year and age",
               "start date", "start-date", "start date and age", "end date", "film date", "release date", "dts", "date",
               "出生日期", "出生日期及年龄", "出生日期与年龄", "出生日期和年齡", "死亡日期", "生日", "开始日期", "開始日期", "發布日期", "发布日期"), date),
    ("dates", ("death date and age", "dda", "逝世日期", "死亡日期及年龄", "死亡日期和年齡", "死亡日期与年龄"), death_and_age),
    ("dates", ("age", "年龄", "年齡"), age),
    ("dates", ("circa", "c.", "ca.", "ca", "约", "約"), circa),
    ("dates", ("as of", "asof", "截至", "截止"), as_of),
    ("foreign names", ("lang-*", "langx"), foreign_name),
    ("foreign names", ("jpn", "日文", "日本語", "nihongo", "日语名", "日語名"), japanese),
    ("foreign names", ("korean", "kor", "韩语", "韓語", "韩文", "韓文", "朝鲜语"), korean),
    ("foreign names", ("zh", "zh-full", "lang-zh"), chinese_forms),
    ("language", ("lang", "language", "语言", "語言", "rtl-lang", "script"), in_language),
    ("language", ("transl", "translit", "transliteration", "tlit"), last),
    ("language", ("nihongo2", "lj", "ljh", "lzh", "hani"), written_first),
    ("language", ("zh-hans", "zh-hant", "zh-cn", "zh-tw", "zh-hk", "unicode", "iast", "pua", "僻字",
                  "僻字2", "罕字", "rarechar", "rare char", "缺字", "超大字", "polytonic", "grek", "hebrew", "arab",
                  "cyrl", "thai", "mongolunicode", "manchusibeunicode", "bo-textonly", "拼音", "pinyin", "hanyu pinyin",
                  "py", "bopomofo", "zhuyin", "bpmf", "!!", "zi", "wikt", "wikt-lang", "wiktzh", "poj", "白话字", "白話字", "臺羅", "台罗", "粵拼", "jyutping", "wade-giles"), first),
    ("language", ("linktext",), joined),
    ("ruby", ("ruby", "ruby-*", "rubyja", "ruby/*", "rubi", "注音", "注音符", "furigana", "標註", "标注", "读音"), ruby),
    ("pronunciation", ("ipa", "ipa-*", "ipac-*", "ipa2", "ipalink", "ipa link", "ipablink", "ipa blink", "国际音标", "國際音標", "pron",
                       "pron-*", "pronunciation", "respell", "audio", "audio-ipa", "listen", "发音", "發音"), None),
    ("interlanguage links", ("le", "link-*", "lj2", "lf", "lg", "ld", "liw2", "*-link", "link-wd", "link-wikidata",
                             "wikidata link", "illwd", "ilw", "internal link"), interlanguage_link),
    ("interlanguage links", ("tsl", "translink", "翻译链接", "翻譯連結"), translated_link),
    ("interlanguage links", ("ill", "illm", "ilm", "liw", "interlanguage link", "interlanguage link multi", "多語言連結"),
     multilingual_link),
    ("interlanguage links", ("internal link helper", "internal link helper/*", "ilh", "內部連結幫助"), helped_link),
    ("links", ("地区用词", "地區用詞", "地區用語"), regional_word),
    ("links", ("url", "official url"), web_link),
    ("links", ("bilink", "red link", "redlink", "link style", "dlw", "no link", "vanchor", "visible anchor", "可视锚点",
               "sortname2", "interp"), first),
    ("links", ("plain link", "plainlink", "plainlinks", "iw", "manlink", "man", "sort", "stl"), second_or_first),
    ("links", ("javadoc:*", "javadoc"), last),
    ("formatting", (
        "nowrap", "small", "smaller", "big", "large", "larger", "nobr", "nobreak", "j", "em", "strong", "bold", "b", "italic",
        "i", "u", "uline", "underline", "下划线", "s", "strike", "del", "nobold", "noitalic", "normal", "sc", "smallcaps", "allcaps",
        "caps", "mono", "monospace", "code", "codett", "tt", "kbd", "samp", "var", "mvar", "math", "bigmath", "tmath", "abbr",
        "tooltip", "提示", "abbrlink", "highlight", "center", "centre", "dropcap", "drop cap", "竖排", "直排", "red", "green",
        "blue", "gray", "grey", "yellow", "orange", "black", "white", "红", "紅", "font", "not a typo", "notatypo", "as is",
        "xt", "tq", "talkquote", "keyb", "button", "legend inline", "mark", "nowiki", "引號", "angbr", "angle bracket",
        "title case", "overline", "vec", "pslink", "phantom2", "in5", "专名", "專名", "专名号", "專名號", "書名", "书名号", "作品名",
        "le2", "nsmdns", "normalfont", "flagathlete", "flagiocathlete"), first),
    ("formatting", ("color", "colour", "font color", "fontcolor", "fontcolour", "textcolor", "resize", "fs", "background color",
                    "bg", "h:title", "hover title", "hovertitle", "顏色", "颜色", "colored link", "link color", "color1", "colors",
                    "align", "block indent", "script/*"), last),
    ("formatting", ("legend", "legend0", "legend2", "colorbox text"), second),
    ("formatting", ("key", "key press", "keypress", "按键", "按鍵"), keys),
    ("formatting", ("sup", "smallsup", "ssup", "上标", "上標"), raised),
    ("formatting", ("sub", "smallsub", "ssub", "下标", "下標"), first),
    ("quoted claims", ("fact", "cn", "citation needed", "cite needed", "来源请求", "來源請求", "who", "clarify", "dubious",
                       "需要解释", "原創研究", "原创研究", "cite quote", "可疑", "或许", "语焉不详", "語焉不詳", "查证请求", "查證請求",
                       "fact span", "来源请求span", "citation needed span"), claim),
    ("numbers", ("formatnum", "nts", "number table sorting", "num", "numero", "数字", "數字"), grouped_number),
    ("numbers", ("val",), value),
    ("numbers", ("convert", "cvt", "conv", "换算", "換算", "度量转换"), convert),
    ("numbers", ("e", "esp", "10^", "exp"), power_of_ten),
    ("numbers", ("frac", "sfrac", "tfrac", "fraction", "分数", "分數"), fraction),
    ("numbers", ("gaps",), joined),
    ("numbers", ("roman", "roman numeral", "罗马数字", "duration", "height", "序数"), first),
    ("numbers", ("us$", "usd", "hk$", "hkd", "nt$", "twd", "cny", "rmb", "jpy", "jpy¥", "¥", "£", "gbp", "€", "eur", "₩",
                 "krw"), money),
    ("numbers", ("coord", "坐标", "座标", "座標"), coordinates),
    ("formulas", ("chem", "chem2", "化学式", "化學式", "ce", "反应式", "反應式"), chemistry),
    ("formulas", ("nuclide", "nuclide link", "isotope", "simplenuclide"), nuclide),
    ("formulas", ("sqrt", "radical", "√", "radic"), root),
    ("formulas", ("#tag:math",), formula),
    ("formulas", ("pi", "π"), constant("π")),
    ("characters", ("!",), constant(PIPE)),
    ("characters", ("=",), constant("=")),
    ("characters", ("〈",), constant("《")),
    ("characters", ("〉",), constant("》")),
    ("characters", ("nbsp", "space", "spaces", "sp"), constant(" ")),
    ("characters", ("spaced ndash", "snd", "snds"), constant(" – ")),
    ("characters", ("ndash", "–", "en dash", "endash"), constant("–")),
    ("characters", ("mdash", "—", "em dash", "emdash"), constant("—")),
    ("characters", ("·", "•", "dot", "bullet", "middot", "bull", "dot-separator"), constant(" · ")),
    ("characters", ("±", "+-", "pm"), constant("±")),
    ("characters", ("'", "&apos;"), constant("'")),
    ("characters", ("break", "br", "crlf", "pb", "paragraph break"), constant("\n\n")),
    ("parser functions", ("#if",), condition),
    ("formulas", ("equation box 1",), named_part("equation")),
    ("formulas", ("numblk",), second),
    ("quotations", ("math theorem", "math proof", "定理", "证明"), named_part("math_statement", "proof")),
    ("quotations", ("side box",), named_part("text")),
    ("parser functions", ("lc", "uc", "lcfirst", "ucfirst"), first),
    ("flags", tuple(COUNTRIES), country),
    ("flags", ("flag", "国旗", "國旗", "flagu", "flagcountry", "flagc", "flagioc", "fb", "fb-rt", "fbw", "fbu", "nft", "nf",
               "vb", "bk", "army", "navy", "air force"), flag),
    ("flags", ("flagicon*", "flagdeco", "旗", "国旗图标", "國旗圖標", "country data *", "fbicon", "country flag"), None),
    ("quotations", ("quote", "quote box", "quotation", "引文", "引用", "引言", "bq", "blockquote", "cquote", "bquote", "大引文", "rquote",
                    "pull quote", "centered pull quote", "centered quote", "古文", "引文框", "quote frame", "epigraph",
                    "poemquote", "poem", "诗", "詩"), quotation),
    ("lists", ("ubl", "ublist", "unbulleted list", "plainlist", "plain list", "bulleted list", "unordered list", "ordered list",
               "pagelist", "br separated entries", "列表", "tree list"), items),
    ("lists", ("hlist", "flatlist", "comma separated entries", "cslist"), inline_items),
    ("lists", ("columns-list", "columns list", "div col content", "multicol list", "hidden", "hide", "隐藏", "隱藏", "折叠",
               "折疊", "small div", "block"), block),
    # What shows no prose, and why. The rules of language conversion are taken down on the way.
    (RULES, ("noteta", "noteta-lite", "字词转换", "字詞轉換"), None),
    ("layout", ("-", "clear", "anchor*", "锚点", "錨點", "col-*", "colbegin", "colend", "div col*", "multicol*", "end",
                "nowrap begin", "nowrap end", "hidden begin", "hidden end", "stack begin", "stack end", "0", "00",
                "increase", "decrease", "steady", "profit", "loss", "colorbox", "color box", "spoiler*", "剧透", "劇透",
                "defaultsort*", "displaytitle*"), None),
    ("references", ("cite", "cite *", "citation", "vcite *", "r", "ref", "rp", "sfn", "sfnp", "sfnm", "harv*", "efn", "efn-*",
                    "refn", "note", "notetag", "注", "註", "ref label", "note label", "cref", "cnote", "#tag:ref", "reflist",
                    "notelist*", "refbegin", "refend", "webarchive", "wayback", "dead link", "dead", "isbn", "issn", "doi",
                    "通用來源", "通用来源"), None),
    ("boxes", ("infobox*", "taxobox*", "speciesbox", "automatic taxobox", "chembox*", "drugbox*", "geobox*",
               "navbox*", "sidebar*", "wikidata*", "信息框*", "*信息框", "*資訊框", "*资讯框", "multiple image", "gallery",
               "css image crop", "succession box", "s-*", "start box", "end box", "bs*", "routemap", "football box*",
               "track listing", "tracklist", "cast list*", "authority control", "规范控制", "規範控制", "taxonbar"), None),
    ("hatnotes", ("main", "main article", "主条目", "主條目", "see", "see also", "seealso", "参见", "參見", "further", "about", "for",
                  "otheruses*", "other uses", "redirect*", "distinguish", "not to be confused*", "消歧义链接", "details",
                  "更多资料", "hatnote", "toc*"), None),
    ("sister projects", ("commons*", "wikiquote*", "wiktionary*", "wikisource*", "wikinews*", "wikispecies*", "wikivoyage*",
                         "sister*", "portal*", "official website", "official", "官方网站", "imdb*", "dmoz"), None),
    ("maintenance", ("stub", "*-stub", "*小作品", "refimprove*", "unreferenced*", "expand*", "copyedit*", "cleanup*", "update*",
                     "no footnotes", "more footnotes", "blp*", "pov*", "translating*", "分类*", "lifetime", "orphan*"), None),
)  # fmt: skip


@cache
def finder(families: tuple[Family, ...]) -> Callable[[str], tuple[str, str, Renderer | None]]:
    """A function: template name as written -> (name in lower case, family, renderer or None). Earlier families win."""
    exact: dict[str, tuple[str, Renderer | None]] = {}
    patterns: list[tuple[str, str, Renderer | None]] = []
    for family, names, render in families:
        for name in names:
            if "*" in name:
                patterns.append((name, family, render))
            else:
                exact.setdefault(name, (family, render))

    @lru_cache(maxsize=20_000)  # the Chinese Wikipedia calls some ten thousand templates; a bound keeps memory constant
    def find(written: str) -> tuple[str, str, Renderer | None]:
        name = " ".join(written[:80].replace("_", " ").replace(HOLE, " ").split())
        name = re.sub(r"^(?:template|模板|樣板|msg|subst|safesubst)\s*:\s*", "", name, flags=re.I)
        if name in exact:
            return name, *exact[name]
        name = name.lower()
        if name in exact:
            return name, *exact[name]
        for pattern, family, render in patterns:
            if (name.startswith if pattern.endswith("*") else name.endswith)(pattern.strip("*")):
                return name, family, render
        return name, UNKNOWN, None

    return find
