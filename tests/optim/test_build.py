"""build.py: which parameter is moved by what."""

import pytest
import torch

from tinylm.configs.model import ModelConfig
from tinylm.configs.optim import AdamWConfig, MuonConfig, OptimConfig, SGDConfig
from tinylm.model import TransformerLM, build_model, cross_entropy
from tinylm.optim import SGD, AdamW, Muon, build_optimizer

SMALL = ModelConfig(vocab_size=64, context_length=16, d_model=32, num_layers=2, num_heads=2, d_ff=48)


def named_groups(model: TransformerLM, optimizer: torch.optim.Optimizer) -> list[set[str]]:
    """The last two parts of the names of each group's parameters."""
    names = {parameter: ".".join(name.split(".")[-2:]) for name, parameter in model.named_parameters()}
    return [{names[parameter] for parameter in group["params"]} for group in optimizer.param_groups]


NORMS = {"attention_norm.weight", "feed_forward_norm.weight", "final_norm.weight"}


def test_adamw_decays_matrices_only() -> None:
    """Norms have a group without decay, everything else one with the configured decay."""
    model = build_model(SMALL, seed=0)
    optimizer = build_optimizer(AdamWConfig(weight_decay=0.3, beta1=0.8, beta2=0.9, eps=1e-6), model)
    assert isinstance(optimizer, AdamW)
    matrices, norms = named_groups(model, optimizer)
    assert norms == NORMS
    assert matrices.isdisjoint(norms)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.8, 0.9), 1e-6)


def test_muon_takes_the_hidden_matrices() -> None:
    """Muon moves the blocks' matrices, stacks as their parts; AdamW moves embedding, head and norms at its own rate."""
    model = build_model(SMALL, seed=0)
    optimizer = build_optimizer(MuonConfig(lr=0.02, adamw_lr=0.003, momentum=0.9, weight_decay=0.3), model)
    assert isinstance(optimizer, Muon)
    assert named_groups(model, optimizer) == [
        {"qkv.weight"},
        {"output.weight", "down.weight"},
        {"gate_up.weight"},
        {"token_embedding.weight", "lm_head.weight"},
        NORMS,
    ]
    columns = zip(
        *([g[k] for k in ("algorithm", "num_stacked", "lr", "weight_decay")] for g in optimizer.param_groups),
        strict=True,
    )
    assert [list(column) for column in columns] == [
        ["muon"] * 3 + ["adamw"] * 2,
        [3, 1, 2, 1, 1],
        [0.02] * 3 + [0.003] * 2,
        [0.3] * 4 + [0.0],
    ]
    assert optimizer.defaults["momentum"] == 0.9


@pytest.mark.parametrize("config", [AdamWConfig(lr=1e-3), MuonConfig(lr=1e-3), SGDConfig(lr=0.3)], ids=lambda c: c.kind)
@pytest.mark.parametrize("switch", [{}, {"norm": "none"}, {"tie_embeddings": True}], ids=str)
def test_every_parameter_is_in_one_group_and_the_loss_falls(config: OptimConfig, switch: dict[str, object]) -> None:
    """Each optimizer moves every parameter once, starts at the peak rate, and learns one batch."""
    model = build_model(SMALL.model_copy(update=switch), seed=0)
    optimizer = build_optimizer(config, model)
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == set(model.parameters())
    assert all(group["peak_lr"] == group["lr"] for group in optimizer.param_groups)
    tokens = torch.randint(0, 64, (4, 17))
    losses = []
    for _ in range(6):
        loss = cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_sgd_has_one_group() -> None:
    """SGD moves everything at one rate."""
    optimizer = build_optimizer(SGDConfig(lr=3.0), build_model(SMALL, seed=0))
    assert isinstance(optimizer, SGD)
    assert [group["peak_lr"] for group in optimizer.param_groups] == [3.0]
