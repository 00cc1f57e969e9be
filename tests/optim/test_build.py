"""build.py: which parameter is moved by what."""

import pytest
import torch
from torch import nn

from tinylm.configs.model import ModelConfig
from tinylm.configs.optim import AdamWConfig, MuonConfig, NorMuonConfig, OptimConfig, SGDConfig
from tinylm.model import TransformerLM, build_model, cross_entropy
from tinylm.optim import SGD, AdamW, Muon, NorMuon, build_optimizer

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


def test_normuon_takes_them_too() -> None:
    """NorMuon has Muon's groups, and its settings reach it."""
    model = build_model(SMALL, seed=0)
    optimizer = build_optimizer(NorMuonConfig(momentum=0.8, row_beta=0.7, beta1=0.6, beta2=0.5, eps=1e-6), model)
    assert isinstance(optimizer, NorMuon)
    assert named_groups(model, optimizer) == named_groups(model, build_optimizer(MuonConfig(), model))
    for group in optimizer.param_groups:
        assert (group["momentum"], group["row_beta"], group["betas"], group["eps"]) == (0.8, 0.7, (0.6, 0.5), 1e-6)


@pytest.mark.parametrize("config", [MuonConfig(), NorMuonConfig()], ids=lambda c: c.kind)
def test_the_iteration_is_as_precise_as_the_run(config: OptimConfig) -> None:
    """In bfloat16 where the run's products are; in float32 otherwise."""
    model, dtypes = build_model(SMALL, seed=0), (torch.bfloat16, torch.float32)
    built = [build_optimizer(config, model, matmul_dtype=dtype).iteration_dtype for dtype in dtypes]
    assert built == list(dtypes)


@pytest.mark.parametrize("config", [AdamWConfig, MuonConfig, NorMuonConfig], ids=lambda c: c.__name__)
def test_embedding_and_head_have_rates_of_their_own(config: type[AdamWConfig]) -> None:
    """With embedding_lr and head_lr each forms a group at that rate; without, they keep the others' company."""
    model = build_model(SMALL, seed=0)
    optimizer = build_optimizer(config(embedding_lr=0.3, head_lr=0.004, weight_decay=0.1), model)
    groups = named_groups(model, optimizer)
    rate_of = {
        name: group["peak_lr"] for names, group in zip(groups, optimizer.param_groups, strict=True) for name in names
    }
    assert rate_of == dict.fromkeys(rate_of, 2e-3) | {"token_embedding.weight": 0.3, "lm_head.weight": 0.004}
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1] * (len(groups) - 1) + [0.0]
    together = named_groups(model, build_optimizer(config(), model))
    assert any({"token_embedding.weight", "lm_head.weight"} <= names for names in together)


def test_a_tied_head_is_an_embedding() -> None:
    """The matrix that serves as both takes the embedding's rate; there is no head to take the other."""
    model = build_model(SMALL.model_copy(update={"tie_embeddings": True}), seed=0)
    optimizer = build_optimizer(AdamWConfig(embedding_lr=0.3, head_lr=0.004), model)
    assert [group["peak_lr"] for group in optimizer.param_groups] == [0.3, 2e-3, 2e-3]
    assert named_groups(model, optimizer)[0] == {"token_embedding.weight"}


class Table(nn.Module):
    """Vectors by token id, not multiplied with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 32))


@pytest.mark.parametrize(
    "config", [MuonConfig(embedding_lr=0.3), NorMuonConfig(embedding_lr=0.3)], ids=lambda c: c.kind
)
def test_parameters_of_unknown_kinds(config: MuonConfig) -> None:
    """A table is an embedding inside a block or outside, and never Muon's; scalars and vectors do not decay."""
    model = build_model(SMALL, seed=0)
    model.values, model.blocks[0].values = Table(), Table()
    model.gain, model.blocks[1].gains = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(config, model)
    groups = dict(enumerate(named_groups(model, optimizer)))
    (embeddings,) = (names for names in groups.values() if "token_embedding.weight" in names)
    assert embeddings == {"token_embedding.weight", "values.weight"}
    assert groups[len(groups) - 1] == NORMS | {"gain", "1.gains"}
    assert optimizer.param_groups[-1]["weight_decay"] == 0
    of_muon = [group for group in optimizer.param_groups if group["algorithm"] == "muon"]
    assert sum(len(group["params"]) for group in of_muon) == 2 * 4
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


KINDS = [AdamWConfig(lr=1e-3), MuonConfig(lr=1e-3), NorMuonConfig(lr=1e-3), SGDConfig(lr=0.3)]


@pytest.mark.parametrize("config", KINDS, ids=lambda c: c.kind)
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
