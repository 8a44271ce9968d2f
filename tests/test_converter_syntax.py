"""What a zh-cn reader sees of every form of -{…}-, from MediaWiki's pages about the syntax and from its program.

The words are invented (甲乙 in mainland China is 電國 in Taiwan), so that no table of words changes an answer.
Each case names the page it is written from. PROJECT marks the few answers that are our own choice.
"""

from itertools import permutations

import pytest

from course_utils.wiki_cleaning.wikitext import clean_page

SYNTAX = "https://www.mediawiki.org/wiki/Writing_systems/Syntax"
SYSTEMS = "https://www.mediawiki.org/wiki/Writing_systems"
HELP = "https://zh.wikipedia.org/wiki/Help:高级字词转换语法"
NOTETA = "https://zh.wikipedia.org/wiki/Template:NoteTA"
RULE = "MediaWiki: includes/Language/ConverterRule.php"
CONVERTER = "MediaWiki: includes/Language/LanguageConverter.php"
CHINESE = "MediaWiki: includes/Language/Converters/ZhConverter.php"
PARSER = "MediaWiki: includes/Parser"
PROJECT = "this project"


def written_from(*cases):
    return pytest.mark.parametrize(("page", "wikitext", "seen"), cases, ids=[wikitext for _, wikitext, _ in cases])


def seen_text(wikitext: str) -> str:
    return clean_page("標題", wikitext)[1]


# Flags: what -{flags|zh-cn:甲乙;zh-tw:電國}- shows, and what becomes of its rule for the text after it.

WORDS = "zh-cn:甲乙;zh-tw:電國"
NOTHING, THE_WORD, AS_WRITTEN, DESCRIBED = "", "甲乙", WORDS, "大陆：甲乙；台湾：電國；"

FLAGS = {  # flags: (shown, rule, does it name the page)
    "": (THE_WORD, "left", False),
    "A": (THE_WORD, "taken", False),
    "D": (DESCRIBED, "left", False),
    "H": (NOTHING, "taken", False),
    "N": (NOTHING, "left", False),  # the name of a variant; this text is none
    "R": (AS_WRITTEN, "left", False),
    "T": (NOTHING, "left", True),
    "-": (NOTHING, "removed", False),
    # Two flags: R comes before all others, then N, then -; the other five can act together.
    "A;D": (NOTHING, "taken", False),
    "A;H": (NOTHING, "taken", False),
    "A;N": (NOTHING, "left", False),
    "A;R": (AS_WRITTEN, "left", False),
    "A;T": (THE_WORD, "taken", True),
    "A;-": (NOTHING, "removed", False),
    "D;H": (DESCRIBED, "taken", False),
    "D;N": (NOTHING, "left", False),
    "D;R": (AS_WRITTEN, "left", False),
    "D;T": (NOTHING, "left", True),  # the one pair whose order counts: the later flag says what is shown
    "T;D": (DESCRIBED, "left", True),
    "D;-": (NOTHING, "removed", False),
    "H;N": (NOTHING, "left", False),
    "H;R": (AS_WRITTEN, "left", False),
    "H;T": (NOTHING, "taken", True),
    "H;-": (NOTHING, "removed", False),
    "N;R": (AS_WRITTEN, "left", False),
    "N;T": (NOTHING, "left", False),
    "N;-": (NOTHING, "left", False),
    "R;T": (AS_WRITTEN, "left", False),
    "R;-": (AS_WRITTEN, "left", False),
    "T;-": (NOTHING, "removed", False),
    # Three flags, and the same one twice.
    "A;D;H": (DESCRIBED, "taken", False),
    "H;T;D": (DESCRIBED, "taken", True),
    "D;A;T": (NOTHING, "taken", True),
    "T;A;D": (NOTHING, "taken", True),
    "A;A": (THE_WORD, "taken", False),
    # Blanks, an empty flag, unknown flags; S and + are names inside the program and cannot be written.
    " A ; T ": (THE_WORD, "taken", True),
    ";;H;": (NOTHING, "taken", False),
    " ": (THE_WORD, "left", False),
    "X": (THE_WORD, "left", False),
    "X;A": (THE_WORD, "taken", False),
    "a": (THE_WORD, "left", False),
    "HD": (THE_WORD, "left", False),
    "S": (THE_WORD, "left", False),
    "+": (THE_WORD, "left", False),
}
PAIRS = [";".join(pair) for pair in permutations("ADHNRT-", 2)]


@pytest.mark.parametrize("flags", [*FLAGS, *(pair for pair in PAIRS if pair not in FLAGS)])
def test_flags_say_what_is_shown_and_what_becomes_of_the_rule(flags):
    """From ConverterRule::parseFlags and ConverterRule::parse."""
    shown, rule, names_the_page = FLAGS.get(flags) or FLAGS[";".join(reversed(flags.split(";")))]
    title, text = clean_page("標題", f"丙-{{{flags}|{WORDS}}}-丁電國")
    assert text == f"丙{shown}丁" + ("甲乙" if rule == "taken" else "电国")
    assert title == ("甲乙" if names_the_page else "标题")
    after_a_rule = seen_text(f"-{{H|{WORDS}}}-丙-{{{flags}|{WORDS}}}-丁電國")
    assert after_a_rule == f"丙{shown}丁" + ("电国" if rule == "removed" else "甲乙")


def test_every_pair_of_flags_is_in_the_table():
    assert len(PAIRS) == 42
    assert all(pair in FLAGS or pair[::-1] in FLAGS for pair in PAIRS)


@written_from(
    (SYNTAX, "-{電國}-電國", "電國电国"),
    (SYNTAX, "-{R|電國}-電國", "電國电国"),
    (SYNTAX, "-{「電國」}-「電國」", "「電國」“电国”"),
    (SYNTAX, "-{R|義大利}-義大利", "義大利意大利"),
    (RULE, "-{A|電國}-電國", "電國電國"),  # a text alone is the word of all variants
    (RULE, "-{H|電國}-電國", "電國"),
    (RULE, "-{D|電國}-電國", "電國电国"),
    (RULE, "-{|電國}-電國", "電國电国"),
    (RULE, "-{甲|電國}-", "電國"),  # what stands before the first bar are flags, known or not
    (RULE, "-{R|甲|電國}-", "甲|電國"),
    (RULE, "丙-{}-丁", "丙丁"),
    (RULE, "丙-{A|}-丁", "丙丁"),
    (RULE, "丙-{H|}-丁", "丙丁"),
    (RULE, "丙-{-|}-丁", "丙丁"),
    (RULE, "丙-{zh-cn:甲乙;zh-tw:電國|}-丁", "丙丁"),
)
def test_a_text_without_a_rule_is_left_as_written(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# Variants and the words of a rule.


@written_from(
    (SYNTAX, "-{zh-cn:甲;zh-tw:乙}-", "甲"),
    (SYNTAX, "-{zh-tw:乙;zh-cn:甲;}-", "甲"),
    (SYNTAX, "-{zh-hans:甲;zh-hant:乙}-", "甲"),
    (CHINESE, "-{zh-sg:丙;zh-hans:甲;zh-tw:乙}-", "甲"),  # zh-cn, then zh-hans, zh-sg, zh-my
    (CHINESE, "-{zh-my:丙;zh-sg:甲;zh-tw:乙}-", "甲"),
    (CHINESE, "-{zh-hk:丙;zh-my:甲;zh-tw:乙}-", "甲"),
    (CHINESE, "-{zh:丙;zh-my:甲;zh-tw:乙}-", "甲"),  # zh is the text as written: no one falls back to it
    (RULE, "-{zh-cn:國;zh-tw:乙}-", "國"),  # a word of a rule is not converted
    (CONVERTER, "-{zh-Hans-CN:甲;zh-Hant-TW:乙}-", "甲"),
    (CONVERTER, "-{zh-Hant:乙;zh-Hans:甲}-", "甲"),
    (CONVERTER, "-{ZH-hans-cn:甲;zh-tw:乙}-", "甲"),
    (CONVERTER, "-{ZH-CN:甲}-", "甲"),
    (PROJECT, "-{zh-cn:甲;ZH-TW:乙}-", "甲"),  # MediaWiki ends a word at a code in small letters alone
    (RULE, "-{zh-cn:甲;zh-cn:乙;zh-tw:丙}-", "乙"),
    (RULE, "-{zh-cn:;zh-hans:甲;zh-tw:乙}-", "甲"),  # an empty word is no word
    (RULE, "-{ zh-cn : 甲 ; zh-tw : 乙 ; }-", "甲"),
    (RULE, "-{\nzh-cn:甲;\nzh-tw:乙;\n}-", "甲"),
    (RULE, "-{zh-tw:乙;\nzh-cn:甲\n}-", "甲"),
    (RULE, "-{zh-cn:甲;丙;zh-tw:乙}-", "甲;丙"),
    (RULE, "-{zh-tw:乙;zh-cn:甲;丙}-", "甲;丙"),
    (RULE, "-{zh-cn:甲:丙;zh-tw:乙}-", "甲:丙"),
    (RULE, "-{zh-cn:甲&amp;丙;zh-tw:乙}-", "甲&丙"),
    (RULE, "-{zh-cn:&#30002;;zh-tw:乙}-", "甲"),
    (RULE, "-{zh-cn:A&lt;B;zh-tw:乙}-", "A<B"),
    (RULE, '-{zh-cn:<span style="color:red;top:1px">甲</span>;zh-tw:乙}-', "甲"),
    (RULE, "-{zh-cn:0;zh-sg:甲;zh-tw:乙}-", "0"),
    (RULE, "-{zh-cn：甲；zh-tw：乙}-", "zh-cn：甲；zh-tw：乙"),  # full-width signs are no syntax
    (RULE, "-{zh-xx:甲;zh-cn:電}-", "zh-xx:甲;zh-cn:電"),  # a wrong variant: no rule at all
    (RULE, "-{zh-cn:電;zh-xx:甲}-", "電;zh-xx:甲"),  # a semicolon before no variant ends no word
    (RULE, "-{H|zh-xx:甲乙;zh-tw:電國}-電國", "电国"),
    (PROJECT, "-{zh-tw:乙;zh-hk:丙}-", "乙"),  # MediaWiki shows an error
    (PROJECT, "-{zh:甲;zh-tw:乙}-", "甲"),
    (PROJECT, "-{電國=>zh-tw:乙}-", "乙"),
)
def test_the_word_of_the_readers_variant(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (SYNTAX, "-{H|電國=>zh-cn:甲乙}-電國", "甲乙"),
    (SYNTAX, "-{H|電國=>zh-cn:甲乙;}-甲乙", "甲乙"),
    (SYNTAX, "-{H|電國=>zh-hans:甲乙}-電國", "电国"),  # no fallback for one-way rules
    (SYNTAX, "-{H|電國=>zh-tw:甲乙}-電國", "电国"),
    (RULE, "-{電國=>zh-cn:甲乙}-電國", "甲乙电国"),
    (RULE, "-{A|電國=>zh-cn:甲乙}-電國", "甲乙甲乙"),
    (RULE, "-{D|電國=>zh-cn:甲乙}-電國", "電國⇒大陆：甲乙；电国"),
    (RULE, "-{T|電國=>zh-cn:甲乙}-電國", "电国"),
    (RULE, "-{H|電國 => zh-cn : 甲乙 ; 國電 => zh-cn : 丙丁 ; }-電國國電", "甲乙丙丁"),
    (RULE, "-{H|電國=>zh-cn:甲乙;電國=>zh-cn:丙丁}-電國", "丙丁"),
    (RULE, "-{電國=>zh-cn:甲乙;國電=>zh-cn:丙丁}-", "甲乙"),
    (RULE, "-{H|電國=&gt;zh-cn:甲乙}-電國", "甲乙"),
    (RULE, "-{H|電國=>zh-Hans-CN:甲乙}-電國", "甲乙"),
    (RULE, "丙-{H|電國=>zh-cn:}-電國丁", "丙丁"),  # an empty word is good here: the word goes
    (RULE, "-{H|=>zh-cn:甲乙}-電國", "电国"),
    (RULE, "-{zh-tw:乙;電國=>zh-cn:甲}-", "甲"),  # both kinds in one rule; two-way words first
    (RULE, "-{電國=>zh-cn:甲;zh-hans:乙}-", "乙"),
    (RULE, "-{H|電國=>zh-cn:甲乙;zh-cn:丙丁;zh-tw:國電}-電國國電", "甲乙丙丁"),
    (NOTETA, "{{NoteTA|1=電國=>zh-cn:甲乙}}電國", "甲乙"),
    (NOTETA, "{{NoteTA|1=電國=>zh-cn:甲乙; 國電=>zh-cn:丙丁;}}電國國電", "甲乙丙丁"),
)
def test_one_way_rules(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (SYNTAX, "-{zh-cn|電國}-", "电国"),
    (SYNTAX, "-{zh-hans;zh-hant|電國}-", "电国"),
    (SYNTAX, "-{zh;zh-hans;zh-hant|電國}-", "电国"),
    (RULE, "-{zh-sg|電國}-", "电国"),
    (RULE, "-{ zh-tw ; zh-cn |電國}-", "电国"),
    (RULE, "-{zh-tw|電國}-", "電國"),
    (RULE, "-{zh-hant;zh-hk|「電國」}-", "「電國」"),
    (RULE, "-{zh|電國}-", "電國"),
    (SYNTAX, f"-{{H|{WORDS}}}--{{zh-cn;zh-hk|電國}}-", "甲乙"),
    (SYNTAX, f"-{{H|{WORDS}}}--{{zh-hans;zh-hant|電國}}-", "电国"),  # zh-hans takes no two-way rules
    (PROJECT, "-{H|電國=>zh-hans:甲乙}--{zh-hans|電國}-", "电国"),  # in MediaWiki one-way rules count
    (RULE, "-{zh-cn|zh-cn:甲;zh-tw:電}-", "zh-cn:甲;zh-tw:电"),
    (RULE, "-{A;zh-cn|電國}-電國", "电国电国"),  # a variant among A, D and T puts them out
    (RULE, "-{H;zh-cn|電國}-電國", "電國"),  # and H puts out the variant
    (RULE, "-{R;zh-cn|電國}-電國", "電國电国"),
    (CONVERTER, "-{zh-Hans-CN|電國}-", "電國"),  # as a flag only MediaWiki's own code is known
)
def test_variants_as_flags(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# Names, in the characters of a zh-cn reader (MediaWiki writes 繁體, 臺灣 and 澳門 for every one).
NAMES = {
    "zh": "原文",
    "zh-hans": "简体",
    "zh-hant": "繁体",
    "zh-cn": "大陆",
    "zh-hk": "香港",
    "zh-mo": "澳门",
    "zh-my": "大马",
    "zh-sg": "新加坡",
    "zh-tw": "台湾",
}


@pytest.mark.parametrize(("code", "name"), NAMES.items())
def test_names_of_variants(code, name):
    """From ZhConverter::getVariantNames."""
    assert seen_text(f"-{{N| {code} }}-") == name
    assert seen_text(f"-{{D|{code}:甲}}-") == f"{name}：甲；"
    assert seen_text(f"-{{D|甲=>{code}:乙}}-") == f"甲⇒{name}：乙；"


@written_from(
    (SYNTAX, "-{N|zh-Hans-CN}-", "大陆"),
    (RULE, "丙-{N|zh-xx}-丁", "丙丁"),
    (RULE, "丙-{N|}-丁", "丙丁"),
    (SYNTAX, "-{D|zh-hk:丙;zh-cn:甲;zh-sg:乙;}-", "香港：丙；大陆：甲；新加坡：乙；"),  # in the order of writing
    (RULE, "-{D|zh-Hans-CN:甲}-", "大陆：甲；"),
    (RULE, "-{D|電=>zh-hk:丙;zh-cn:甲}-", "大陆：甲；電⇒香港：丙；"),  # one-way words last
    (RULE, "-{D|甲=>zh-cn:乙;丙=>zh-hk:丁;丙=>zh-cn:甲}-", "甲⇒大陆：乙；丙⇒大陆：甲；丙⇒香港：丁；"),
    (SYNTAX, "-{D;H|電國=>zh-cn:甲乙}-電國", "電國⇒大陆：甲乙；甲乙"),
    (RULE, "-{D|zh-xx:甲;zh-cn:乙}-", "zh-xx:甲;zh-cn:乙"),
)
def test_descriptions(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# Where a rule counts.


@written_from(
    (HELP, f"電國，-{{H|{WORDS}}}-電國", "电国，甲乙"),
    (HELP, f"電國，-{{A|{WORDS}}}-，電國", "电国，甲乙，甲乙"),
    (HELP, f"電國。\n\n-{{H|{WORDS}}}-\n\n電國。", "电国。\n甲乙。"),
    (HELP, f"電國，-{{{WORDS}}}-，電國", "电国，甲乙，电国"),
    (NOTETA, f"{{{{NoteTA|1={WORDS}}}}}電國", "甲乙"),
    (NOTETA, f"電國。\n\n{{{{NoteTA|1={WORDS}}}}}\n電國。", "电国。\n甲乙。"),
    (NOTETA, f"{{{{NoteTA|1={WORDS};|2=zh-hans:丙丁;zh-hant:國電;}}}}電國國電", "甲乙丙丁"),
    (RULE, "-{H|zh-cn:甲乙;zh-tw:電國;zh-hk:國電}-電國國電甲乙", "甲乙甲乙甲乙"),
    (RULE, "-{H|zh-hans:丙丁;zh-cn:甲乙;zh-hant:電國}-丙丁電國", "甲乙甲乙"),
    (RULE, "-{H|zh-hans:甲乙;zh-hant:電國}-電國", "甲乙"),
    (RULE, "-{H|zh-sg:甲乙;zh-tw:電國}-電國", "甲乙"),
    (RULE, "-{H|zh:甲乙;zh-tw:電國}-電國", "电国"),  # no word for zh-cn, no rule for zh-cn
    (RULE, "-{H|zh-tw:電國;zh-hk:國電}-電國國電", "电国国电"),
    (RULE, "-{H|zh-cn:電國;zh-tw:電國}-電國", "電國"),
    (RULE, "-{H|zh-cn:甲乙;zh-tw:}-電國", "电国"),
    (RULE, "-{H|zh-cn:國電;zh-tw:電國}-電國", "國電"),  # the word comes as written
    (RULE, "-{H|zh-cn:甲&amp;乙;zh-tw:電國}-電國", "甲&乙"),
    (CONVERTER, "-{H|zh-cn:甲乙;zh-tw:電國}--{H|zh-cn:丙丁;zh-tw:電國}-電國", "丙丁"),  # the later rule
    (CONVERTER, "-{H|zh-cn:甲;zh-tw:電}--{H|zh-cn:乙丙;zh-tw:電國}-電國電", "乙丙甲"),  # the longest word
    (PROJECT, "-{H|zh-cn:丙;zh-tw:大利}-義大利", "义丙"),  # in MediaWiki the longer word wins, its own table's too
    (CONVERTER, "-{H|zh-cn:電甲;zh-tw:國乙}--{H|zh-cn:丙;zh-tw:電甲}-國乙", "電甲"),  # no word twice
    (PROJECT, f"-{{H|{WORDS}}}-電'''國'''", "甲乙"),  # in MediaWiki a word ends at markup
    (SYNTAX, f"-{{H|{WORDS}}}-電-{{}}-國", "电国"),
    (SYNTAX, "義-{}-大利", "义大利"),
    (SYNTAX, f"-{{H|{WORDS}}}--{{電國}}-電國", "電國甲乙"),
    (CONVERTER, f"-{{H|{WORDS}}}--{{R|電國}}-電國", "電國甲乙"),
)
def test_a_rule_counts_from_its_place_on(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (SYNTAX, f"-{{H|{WORDS}}}-電國-{{-|{WORDS}}}-電國", "甲乙电国"),
    (SYNTAX, f"-{{A|{WORDS}}}-電國-{{-|{WORDS}}}-電國", "甲乙甲乙电国"),
    (SYNTAX, f"{{{{NoteTA|1={WORDS}}}}}電國-{{-|{WORDS}}}-電國", "甲乙电国"),
    (RULE, f"-{{H|{WORDS}}}--{{-|電國}}-電國", "电国"),
    (RULE, "-{H|zh-cn:甲乙;zh-tw:電國;zh-hk:國電}--{-|zh-cn:甲乙;zh-tw:電國}-電國國電", "电国甲乙"),
    (RULE, "-{H|電國=>zh-cn:甲乙}--{-|電國=>zh-cn:甲乙}-電國", "电国"),
    (CONVERTER, f"-{{H|{WORDS}}}--{{-|zh-cn:丙丁;zh-tw:電國}}-電國", "电国"),  # it is the word to convert that goes
    (RULE, f"-{{H|{WORDS}}}--{{-|zh-cn:甲乙;zh-tw:國電}}-電國", "甲乙"),
    (CONVERTER, f"-{{-|{WORDS}}}--{{H|{WORDS}}}-電國", "甲乙"),
    (CONVERTER, "義大利-{-|義大利}-義大利", "意大利义大利"),  # MediaWiki's own words too
)
def test_a_rule_is_taken_back(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (CONVERTER, "-{zh-cn:甲-{zh-cn:乙;zh-tw:丙}-丁;zh-tw:電}-", "甲乙丁"),
    (CONVERTER, "-{zh-hans:甲-{zh-cn:乙;zh-sg:丙}-;zh-hant:電-{zh-tw:國;zh-hk:語}-}-", "甲乙"),
    (CONVERTER, "-{R|電-{zh-cn:甲;zh-tw:乙}-國}-", "電甲國"),
    (CONVERTER, "-{電-{國}-語}-", "電國語"),
    (CONVERTER, "-{電-{}-國}-", "電國"),
    (CONVERTER, "-{zh-cn:電-{zh-hans|國}-;zh-tw:甲}-", "電国"),
    (CONVERTER, f"-{{zh-cn:丙;zh-tw:-{{A|{WORDS}}}-}}-電國", "丙甲乙"),  # a rule is taken even where it is not shown
    (CONVERTER, f"-{{R|-{{H|{WORDS}}}-電國}}-電國", "電國甲乙"),
    (CONVERTER, "-{-{zh-cn:甲;zh-tw:乙}--{zh-cn:丙;zh-tw:丁}-}-", "甲丙"),
    (CONVERTER, "-{A|zh-cn:甲-{乙}-;zh-tw:電國}-電國", "甲乙甲乙"),
)
def test_nested_rules(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# Rules among the rest of the markup. The page is rendered first, and converted then.


@written_from(
    (HELP, "[[丙|-{zh-cn:甲;zh-tw:乙}-]]", "甲"),
    (HELP, "[[丙|-{電國}-]]電國", "電國电国"),
    (CONVERTER, "-{[[丙|電國]]}-", "電國"),
    (CONVERTER, "-{zh-cn:[[丙|甲]];zh-tw:[[丙|乙]]}-", "甲"),
    (CONVERTER, "-{zh-cn:'''甲''';zh-tw:''乙''}-", "甲"),
    (CONVERTER, "'''-{zh-cn:甲;zh-tw:乙}-'''", "甲"),
    (CONVERTER, "[https://example.org -{zh-cn:甲;zh-tw:乙}-]", "甲"),
    (CONVERTER, "{{nowrap|-{zh-cn:甲;zh-tw:乙}-}}", "甲"),
    (CONVERTER, "-{zh-cn:{{nowrap|甲}};zh-tw:{{nowrap|乙}}}-", "甲"),
    (CONVERTER, "-{{{nowrap|電}}國}-", "電國"),
    (CONVERTER, "丙-{{nowrap|電}}-丁", "丙-电-丁"),
    (PARSER, "丙-{{{1|電}}}-丁", "丙-电-丁"),  # three braces are an argument,
    (PARSER, "丙-{{{{1|電}}}}-丁", "丙電丁"),  # four are an argument in -{…}-
    (CONVERTER, "== -{zh-cn:甲;zh-tw:乙}- ==\n電國", "甲\n电国"),
    (CONVERTER, f"== -{{A|{WORDS}}}- ==\n電國", "甲乙\n甲乙"),
    (CONVERTER, "* -{zh-cn:甲;zh-tw:乙}-\n* 電國\n# -{電}-", "甲\n电国\n電"),
    (CONVERTER, f"* -{{H|{WORDS}}}-丙\n* 電國", "丙\n甲乙"),
    (PARSER, ";-{zh-cn:甲;zh-tw:乙}-:電國", "甲\n电国"),
    (PARSER, ";丙-{R|電:國}-:丁", "丙電:國\n丁"),
    (PARSER, ";-{zh-cn:甲-{zh-cn:乙;zh-tw:丙}-;zh-tw:丁}-:電國", "甲乙\n电国"),
    (PROJECT, ";電-{國\n:丁", "电国\n丁"),
)
def test_rules_in_links_templates_headings_and_lists(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (CONVERTER, f"{{|\n|-\n| -{{A|{WORDS}}}-\n|}}\n電國", "甲乙"),
    (CONVERTER, f"{{|\n| 丙 || -{{H|{WORDS}}}-\n|}}\n電國", "甲乙"),
    (CONVERTER, f"電國。\n{{|\n! -{{H|{WORDS}}}-丙\n|}}\n電國。", "电国。\n甲乙。"),
    (CONVERTER, f"{{{{Infobox\n| name = -{{A|{WORDS}}}-\n}}}}\n電國", "甲乙"),
    (CONVERTER, f"[[File:丙.jpg|thumb|-{{A|{WORDS}}}-]]電國", "甲乙"),
    (CONVERTER, "{|\n| -{zh-cn:甲;zh-tw:乙}-\n|}\n電國", "电国"),
    (PARSER, f"電國<ref>-{{H|{WORDS}}}-</ref>電國", "电国电国"),  # a note stands at the end of the page
    (PARSER, "丙<ref>-{zh-cn:甲;zh-tw:乙}-</ref>丁", "丙丁"),
    (PARSER, f"<!-- -{{H|{WORDS}}}- -->電國", "电国"),
    (PARSER, f"<nowiki>-{{H|{WORDS}}}-</nowiki>電國", f"-{{H|{WORDS}}}-电国"),
)
def test_rules_in_what_is_not_shown(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (CONVERTER, "-{zh-cn:甲\n\n丙;zh-tw:乙}-", "甲\n丙"),
    (CONVERTER, "-{電國\n\n國電}-電", "電國\n國電电"),
    (CONVERTER, "-{\n* 電\n* 國\n}-\n電", "電\n國\n电"),
    (CONVERTER, "-{zh-cn:\n* 甲\n* 丙;zh-tw:\n* 乙\n}-", "甲\n丙"),
    (CONVERTER, "-{R|\n== 電 ==\n國\n}-\n電", "電\n國\n电"),
    (CONVERTER, f"-{{H|{WORDS}}}-\n* 電國\n\n-{{\n* 電國\n}}-", "甲乙\n電國"),
)
def test_blocks_inside_a_rule(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# MediaWiki shows a -{ that is never closed; here an opener without an end costs its own signs and nothing else.
@written_from(
    (PROJECT, "丙-{電國", "丙电国"),
    (CONVERTER, "電}-國", "电}-国"),
    (PROJECT, "丙-{zh-cn:甲;zh-tw:電", "丙zh-cn:甲;zh-tw:电"),
    (PROJECT, "丙-{電。\n\n國。", "丙电。\n国。"),
    (PROJECT, "-{zh-cn:甲;zh-tw:乙}-丁-{電國", "甲丁电国"),
    (PROJECT, "-{電-{zh-cn:甲;zh-tw:乙}-國", "电甲国"),
    (PROJECT, "-{H|zh-cn:甲乙;zh-tw:國\n\n國", "H|zh-cn:甲乙;zh-tw:国\n国"),
    (CONVERTER, "-{電}-國}-", "電国}-"),
    (PARSER, "<nowiki>-{</nowiki>電}-", "-{电}-"),
    (PARSER, "-{<nowiki>}-</nowiki>電}-國", "}-電国"),
    (PARSER, "-{zh-cn:<nowiki>甲;zh-tw:丙</nowiki>;zh-tw:乙}-", "甲;zh-tw:丙"),
    (CONVERTER, "- {電國}-", "- {电国}-"),
    (CONVERTER, "丙--{電}--丁", "丙-電-丁"),
)
def test_broken_and_hidden_signs(page, wikitext, seen):
    assert seen_text(wikitext) == seen


# What stands outside.


@written_from(
    (SYSTEMS, "電國語發", "电国语发"),
    (SYSTEMS, "电国语发", "电国语发"),
    (CHINESE, "義大利", "意大利"),
    (CHINESE, "「電『國』」", "“电‘国’”"),
    (CHINESE, "「[[電]]」", "“电”"),
    (CONVERTER, "<code>軟體</code>電", "軟體电"),
    (CONVERTER, "<code>軟-{}-體</code>電", "软体电"),  # a rule inside opens it to conversion
    (CONVERTER, f"-{{H|{WORDS}}}-<code>電國</code>電國", "電國甲乙"),
    (PROJECT, '<code class="a">電國</code>', "電國"),  # MediaWiki looks for <code> without attributes
    (PARSER, "__NOCC__\n電國", "電國"),  # no conversion of the content
    (PARSER, "__NOTC__\n電國", "电国"),
    (PARSER, "<nowiki>電國</nowiki>電國", "電國电国"),
    (PARSER, f"-{{H|{WORDS}}}-<nowiki>電國</nowiki>電國", "電國甲乙"),
    (HELP, "{{lang|ja|電國}}電國", "電國电国"),
    (HELP, f"-{{H|{WORDS}}}-{{{{lang|ja|電國}}}}電國", "電國甲乙"),
)
def test_conversion_outside_rules(page, wikitext, seen):
    assert seen_text(wikitext) == seen


@written_from(
    (SYNTAX, "-{T|zh-cn:甲乙;zh-tw:電國}-丙", "甲乙"),
    (SYNTAX, "丙\n\n-{T|zh-hans:甲乙;zh-hant:電國}-", "甲乙"),
    (SYNTAX, "-{T|國電}-丙", "國電"),  # as written
    (RULE, "-{T|zh-cn:國電;zh-tw:電國}-丙", "國電"),
    (RULE, "-{T|國電=>zh-cn:甲乙}-丙", "甲乙"),
    (RULE, "-{T|zh-tw:國電}-丙", "电语"),  # not for this reader
    (RULE, "-{T;zh-cn|國電}-丙", "电语"),
    (CONVERTER, "-{T|zh-cn:甲乙}-丙-{T|zh-cn:丁丁}-", "丁丁"),
    (CONVERTER, "-{T|zh-cn:甲乙}-丙-{H|zh-cn:丁丁;zh-tw:國電}-", "甲乙"),
    (NOTETA, "{{NoteTA|T=zh-cn:甲乙;zh-tw:電國}}丙", "甲乙"),
    (NOTETA, "{{NoteTA|T=zh-hans:甲乙; zh-hant:電國;|1=zh-cn:丙丁;zh-tw:電語}}丙", "甲乙"),
    (SYSTEMS, "丙", "电语"),
    (PARSER, "丙-{H|zh-cn:甲乙;zh-tw:電語}-", "甲乙"),  # the title is converted after the text, with its rules
    (PARSER, "丙-{zh-cn:甲乙;zh-tw:電語}-", "电语"),
    (PARSER, "__NOTC__丙", "電語"),  # no conversion of the title
    (PARSER, "__NOTITLECONVERT__丙-{T|zh-cn:甲乙}-", "電語"),
)
def test_titles(page, wikitext, seen):
    assert clean_page("電語", wikitext)[0] == seen
