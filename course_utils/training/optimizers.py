"""Optimizers: AdamW with a rate of its own for the embeddings, the same with 8-bit states, and Muon.

In come a model and a profile's settings, out comes one ``torch.optim.Optimizer``. Weight decay is for matrices alone. A
row of the embedding learns only when its token occurs, and tied it also carries the logits' scale, so small models
learn many times faster when it may move in larger steps: ``benchmarks/embedding_rate.py``. Which optimizer learns more
in the same time: ``benchmarks/optimizers.py``.
"""

import torch

from ..errors import CourseError
from ..profiles import Training

BETA1 = 0.9  # as GPT-3 (Brown et al. 2020, appendix B, https://arxiv.org/abs/2005.14165) and Llama


def make(model, settings: Training) -> torch.optim.Optimizer:
    """The optimizer of the settings, for the weights that train.

    'adamw': Loshchilov & Hutter 2019 (https://arxiv.org/abs/1711.05101). 'adamw_8bit': its two moments in 8 bits each
    (Dettmers et al. 2022, https://arxiv.org/abs/2110.02861), raises CourseError without bitsandbytes. 'muon': Jordan et
    al. 2024 (https://kellerjordan.github.io/posts/muon/) for the layers' matrices, AdamW for the rest.
    """
    table = model.get_input_embeddings().weight
    outside = {id(table), id(model.get_output_embeddings().weight)}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    others = [weight for weight in trained if weight is not table]
    groups = [
        {"params": [w for w in others if w.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [w for w in others if w.ndim < 2], "weight_decay": 0.0},
        {
            "params": [weight for weight in trained if weight is table],
            "lr": getattr(settings, "embedding_learning_rate", settings.learning_rate),
            "weight_decay": 0.0,
        },
    ]
    how = {"lr": settings.learning_rate, "betas": (BETA1, settings.adam_beta2)}
    if settings.optimizer == "muon":
        matrices = [w for w in groups[0]["params"] if id(w) not in outside]
        groups[0]["params"] = [w for w in groups[0]["params"] if id(w) in outside]
        return MuonAndAdamW(matrices, _filled(groups), settings.weight_decay, **how)
    if settings.optimizer == "adamw_8bit":
        try:
            from bitsandbytes.optim import AdamW8bit
        except ImportError:
            raise CourseError("optimizer = 'adamw_8bit' needs the package bitsandbytes: install it") from None
        return AdamW8bit(_filled(groups), **how)
    return torch.optim.AdamW(_filled(groups), fused=True, **how)


def _filled(groups: list[dict]) -> list[dict]:
    return [group for group in groups if group["params"]]


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon and AdamW as one optimizer, with one schedule and one state to save. Muon's steps are scaled to the size of
    AdamW's, so one learning rate does for both (Liu et al. 2025, https://arxiv.org/abs/2502.16982, section 2.2)."""

    def __init__(self, matrices: list, groups: list[dict], weight_decay: float, lr: float, betas: tuple):
        muon = torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self.parts = [muon, torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)]
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let the parts work on the groups and the state of the whole."""
        count = len(self.parts[0].param_groups)
        for part, groups in zip(self.parts, (self.param_groups[:count], self.param_groups[count:]), strict=True):
            part.param_groups, part.state = groups, self.state

    def __setstate__(self, state: dict) -> None:  # load_state_dict brings new groups
        super().__setstate__(state)
        self._share()

    def step(self, closure=None):
        for part in self.parts:
            part.step()
