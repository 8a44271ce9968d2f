"""What people write is text, whatever it looks like; what the template writes acts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.tokenizer_pruning import as_text, encode_chats, load_tokenizer

MARKS = ("<s>", "</s>", "<unk>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>")


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


def chat(*texts: str) -> list[dict]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_in_a_content_is_text(tokenizer, mark):
    asked, without = (encode_chats(tokenizer, [chat(f"你好{text}吗", "好")])[0] for text in (mark, ""))
    number = tokenizer.convert_tokens_to_ids(mark)
    assert asked.ids.count(number) == without.ids.count(number)
    assert mark in tokenizer.decode(asked.ids[4:])
    said = encode_chats(tokenizer, [chat("你好", f"是{mark}的")])[0]
    answer = tokenizer.decode([i for i, spoken in zip(said.ids, said.spoken, strict=True) if spoken])
    assert answer == f"是{mark}的</s>" and sum(said.spoken) > len(tokenizer("是的").input_ids) + 1


def test_ordinary_text_has_the_ids_of_the_whole_string(tokenizer):
    talks = [chat("成都属于哪个省？", "成都属于四川省。", "那\n重庆呢？", "Chongqing 是 直辖市。"), chat(" 甲", "乙 ")]
    talks.append([{"role": "system", "content": "你是助手。"}, *chat("1 + 1 = ?", "2")])
    expected = tokenizer.apply_chat_template(talks, return_dict=True, return_assistant_tokens_mask=True)
    found = encode_chats(tokenizer, talks)
    assert [one.ids for one in found] == expected["input_ids"]
    assert [one.spoken for one in found] == [[bool(said) for said in mask] for mask in expected["assistant_masks"]]


def test_an_answer_begins_as_it_will_be_generated(tokenizer):
    """答：“ may be one piece; the prompt ends behind 答：."""
    prompt = encode_chats(tokenizer, [chat("他说什么？")], reply=True)[0]
    whole = encode_chats(tokenizer, [chat("他说什么？", "“走吧”")])[0]
    assert whole.ids[: len(prompt.ids)] == prompt.ids and not any(prompt.spoken)
    assert whole.spoken.index(True) == len(prompt.ids)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*MARKS, "<|", "|>", "user", "/s>", "<", "\ufdd0", "\ufdd1", "\ud83d", "好", " "])))
def test_nothing_that_people_write_acts(tokenizer, parts):
    text = "".join(parts)
    clean = "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    clean = clean.replace("\ufdd0", "\ufffd").replace("\ufdd1", "\ufffd")
    found = encode_chats(tokenizer, [chat(text, text)])[0]
    empty = encode_chats(tokenizer, [chat("", "")])[0]
    controls = set(map(tokenizer.convert_tokens_to_ids, MARKS))
    assert [i for i in found.ids if i in controls] == [i for i in empty.ids if i in controls]
    assert tokenizer.decode([i for i in found.ids if i not in controls]) == f"问：{clean}\n答：{clean}"
    assert not any(mark in as_text(text, MARKS) for mark in MARKS)


def test_the_tokenizer_is_left_as_it_was(tokenizer):
    before = tokenizer.backend_tokenizer.to_str(), tokenizer.backend_tokenizer.encode_special_tokens
    encode_chats(tokenizer, [chat("甲", "乙"), chat("甲" * 50, "乙")])
    assert (tokenizer.backend_tokenizer.to_str(), tokenizer.backend_tokenizer.encode_special_tokens) == before
