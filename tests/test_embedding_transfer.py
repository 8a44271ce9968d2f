"""A model that moves to a pruned vocabulary says of every kept token just what it said before."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from course_utils import tokenizer_pruning as pruning
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning.embedding_transfer import carry_embeddings
from course_utils.tokenizer_pruning.sentencepiece_models import processor

from .conftest import REPOSITORY

OLD = pruning.load_model(REPOSITORY / "data/tokenizer/multilingual.model")
WORDS = {"name", "reluctant"}
FULL = pruning.add_words(OLD, WORDS)
NEW, ALL_IDS, _ = pruning.prune(FULL, WORDS)
ID_MAP = {old: new for old, new in ALL_IDS.items() if old < len(OLD.pieces)}
TEXT = "北京是中国的首都，成都的美食有火锅。"


def small_llama(tied: bool, rows: int = len(OLD.pieces) + 24):  # trained tables are often padded to a round number
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=rows, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        tie_word_embeddings=tied, bos_token_id=1, eos_token_id=[2, 5], pad_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def logits(model, tokenizer_model):
    """-> logits ``(position, vocabulary)`` of the text."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([processor(tokenizer_model).encode(TEXT)])).logits[0]


@pytest.mark.parametrize("tied", [True, False])
def test_logits_of_kept_tokens_are_identical(tied, tmp_path):
    model = small_llama(tied)
    rows, before = model.get_output_embeddings().weight.clone(), logits(model, OLD)
    carried = carry_embeddings(model, OLD, NEW, ID_MAP)
    after = logits(carried, NEW)
    assert after.shape == (len(before), len(NEW.pieces))
    kept, moved = list(ID_MAP), list(ID_MAP.values())
    assert torch.equal(carried.get_output_embeddings().weight[moved], rows[kept])
    # A product with a narrower matrix may be summed in another order: the same but for the last bits of a float.
    torch.testing.assert_close(after[:, moved], before[:, kept], rtol=1e-5, atol=1e-6)

    carried.save_pretrained(tmp_path)
    read = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.equal(logits(read, NEW), after)
    assert (read.get_input_embeddings().weight is read.get_output_embeddings().weight) == tied


def test_special_ids_move_along():
    carried = carry_embeddings(small_llama(True), OLD, NEW, ID_MAP)
    names = [NEW.pieces[i].piece for i in (carried.config.bos_token_id, carried.config.pad_token_id)]
    assert names == ["<s>", "<pad>"]
    assert carried.config.eos_token_id == [ID_MAP[i] for i in (2, 5)] == carried.generation_config.eos_token_id
    assert carried.config.vocab_size == len(NEW.pieces)


def test_an_added_word_starts_as_the_mean_of_its_parts():
    model = small_llama(False)
    tables = model.get_input_embeddings().weight.clone(), model.get_output_embeddings().weight.clone()
    carried = carry_embeddings(model, OLD, NEW, ID_MAP)
    row, parts = processor(NEW).piece_to_id("reluctant"), processor(OLD).encode("reluctant")
    assert len(parts) > 1
    for table, old_table in zip(
        (carried.get_input_embeddings().weight, carried.get_output_embeddings().weight), tables, strict=True
    ):
        assert torch.equal(table[row], old_table[parts].mean(0))


def test_the_map_of_another_tokenizer_is_refused():
    with pytest.raises(CourseError, match="the model has 100 rows"):
        carry_embeddings(small_llama(True, rows=100), OLD, NEW, ID_MAP)
