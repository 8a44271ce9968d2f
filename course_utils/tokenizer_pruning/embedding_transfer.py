"""Carry a trained model over to a pruned vocabulary: its embedding and output rows move to their new numbers.

In come a ``transformers`` causal language model, the tokenizer model it was trained with, the pruned one, and the map
old id → new id; the model leaves with the smaller tables. The one idea: a row belongs to its piece, not to its number,
so the logits of the kept pieces stay exactly what they were. Cost: one copy of each table.
"""

from ..errors import CourseError
from .sentencepiece_models import SPACE, processor


def carry_embeddings(model, old, pruned, id_map: dict[int, int]):
    """-> the same ``PreTrainedModel``, with tables ``(len(pruned.pieces), hidden_size)`` in place of its own.

    ``old`` and ``pruned`` are SentencePiece ``ModelProto``, ``id_map`` comes from ``prune``. A piece that is new (a
    mark, an added word) starts as the mean of the rows of the old pieces that spell it. Tied tables stay tied; special
    ids of the config move too. Raises CourseError when the model has fewer rows than the map names.
    """
    import torch

    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    rows, tied = len(embedding.weight), model.config.tie_word_embeddings
    if rows <= max(id_map):
        raise CourseError(f"the model has {rows} rows, the id map asks for row {max(id_map)}: not its tokenizer's map")
    encoder = processor(old)
    sources = [[] for _ in pruned.pieces]
    for old_id, new_id in id_map.items():
        sources[new_id] = [old_id]
    for piece, source in zip(pruned.pieces, sources, strict=True):
        source += [] if source else encoder.encode(piece.piece.replace(SPACE, " "))

    def carried(table):
        return torch.nn.Parameter(torch.stack([table[source].mean(0) for source in sources]))

    with torch.no_grad():
        embedding.weight = carried(embedding.weight)
        if not tied:
            output.weight = carried(output.weight)
        if getattr(output, "bias", None) is not None:
            output.bias = carried(output.bias)
    embedding.num_embeddings = output.out_features = len(pruned.pieces)
    model.vocab_size = model.config.vocab_size = len(pruned.pieces)
    embedding.padding_idx = None
    if tied:
        model.tie_weights()
    for config in filter(None, (model.config, model.generation_config)):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(config, name, _moved(getattr(config, name, None), id_map))
        if config.pad_token_id is None:
            config.pad_token_id = pruned.trainer_spec.pad_id
    return model


def _moved(token_id, id_map: dict[int, int]):
    if isinstance(token_id, list):  # several ends of text
        return [id_map[i] for i in token_id if i in id_map]
    return id_map.get(token_id)
