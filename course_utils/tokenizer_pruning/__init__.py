"""A multilingual SentencePiece model as a small tokenizer for Chinese, and texts as its token ids.

In come a SentencePiece model and a list of English words to keep; out goes ``artifacts/<profile>/tokenizer_pruning``:
``tokenizer.model``, the Hugging Face tokenizer, ``id_map.json`` (old id to new) and ``report.json``.

Read ``pruning`` first, the stage. ``sentencepiece_models`` asks what is in a model, ``fast_tokenizers`` gives the same
for Hugging Face, ``report`` proves that nothing broke, ``embedding_transfer`` moves a trained model along, and
``packing`` turns a corpus into blocks of token ids and ``conversations`` turns of a chat.
"""

from .conversations import Chat, as_text, encode_chats
from .embedding_transfer import carry_embeddings
from .fast_tokenizers import bare, fast_tokenizer, kept_as_found, load_tokenizer, plain_ids, save_tokenizer
from .packing import pack, pack_dataset, tokenize_dataset, tokenize_files
from .pruning import add_words, is_wanted, merge_path, prune, prune_tokenizer, read_words, with_capitals
from .report import read_report
from .sentencepiece_models import dead_pieces, fertility, load_model, processor, script, scripts
