"""build.py: every switch gives the model it names, and that model learns."""

import pytest
import torch

from tinylm.configs.model import ModelConfig
from tinylm.configs.optim import MuonConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import Embedding, Linear, RMSNorm, TransformerLM, build_model, cross_entropy
from tinylm.model.attention import manual_attention
from tinylm.model.build import build_loss
from tinylm.model.feed_forward import ReLUSquaredFeedForward, SiLUFeedForward
from tinylm.model.layers import SoftCap
from tinylm.model.skip_connections import SkipConnectedBlocks
from tinylm.model.transformer import PostNormTransformerBlock
from tinylm.optim.build import build_optimizer

SMALL = {"vocab_size": 64, "context_length": 16, "d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48}
ALL_OPTIONS = {
    "num_layers": 4,
    "feed_forward": "relu2",
    "embedding_norm": True,
    "qk_norm": True,
    "value_embeddings": 2,
    "skip_connections": True,
    "zero_init_outputs": True,
    "logit_softcap": 5.0,
    "tie_embeddings": True,
}
SWITCHES = [
    {},
    {"position": "none"},
    {"norm": "none"},
    {"norm_placement": "post"},
    {"feed_forward": "silu"},
    {"feed_forward": "relu2"},
    {"tie_embeddings": True},
    {"qk_norm": True},
    {"logit_softcap": 5.0},
    {"embedding_norm": True},
    {"zero_init_outputs": True},
    {"value_embeddings": 2},
    {"num_layers": 4, "skip_connections": True},
    ALL_OPTIONS,
    ALL_OPTIONS | {"norm_placement": "post", "attention": "manual", "position": "none", "tie_embeddings": False},
    {"attention": "manual"},
]


def num_parameters(model: TransformerLM) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("preset", "expected"), [("tinystories", 35_938_816), ("gpt2-xl", 2_127_057_600)], ids=lambda value: str(value)
)
def test_parameters_of_the_write_up(preset: str, expected: int) -> None:
    """The built models have exactly the parameters that the write-up counts."""
    assert num_parameters(build_model(ModelConfig(**MODEL_PRESETS[preset]), device="meta")) == expected


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_trains(switch: dict[str, object]) -> None:
    """With any switch of the write-up's ablations a few steps on one batch bring the loss down."""
    model = build_model(ModelConfig(**SMALL | switch), seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens = torch.randint(0, 64, (4, 17), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(8):
        loss = cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_decodes_with_a_cache(switch: dict[str, object]) -> None:
    """Token by token through a cache the logits are those of the whole sequence, whatever the parameters."""
    model = stirred(build_model(ModelConfig(**SMALL | switch), seed=0))
    tokens, cache = torch.randint(0, 64, (2, 16)), model.new_cache()
    pieces = [model(token, cache) for token in tokens.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_computes_nearly_the_same_in_bf16(switch: dict[str, object]) -> None:
    """Under autocast the loss is within bfloat16's digits of float32's, and every parameter gets a float32 gradient."""
    model = stirred(build_model(ModelConfig(**SMALL | switch), seed=0))
    tokens = torch.randint(0, 64, (4, 17))
    exact = cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()


def test_all_options_compile_in_one_piece() -> None:
    """torch.compile traces model and loss without a break, and finds the gradients that they have uncompiled."""
    config = ModelConfig(**SMALL | ALL_OPTIONS)
    model, loss_function = stirred(build_model(config, seed=0)), build_loss(config)
    tokens, weights = torch.randint(0, 64, (4, 17)), list(model.parameters())

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return loss_function(model(inputs), targets)

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected, found = (torch.autograd.grad(f(tokens[:, :-1], tokens[:, 1:]), weights) for f in (loss, compiled))
    torch.testing.assert_close(found, expected)


def test_muon_takes_no_table_and_no_vector_of_an_option() -> None:
    """Value embeddings belong to AdamW, as the token embedding does; scales, skip weights and gains do not decay."""
    model = build_model(ModelConfig(**SMALL | ALL_OPTIONS), seed=0)
    names = {parameter: name for name, parameter in model.named_parameters()}
    *muon, matrices, vectors = build_optimizer(MuonConfig(), model).param_groups
    assert {group["algorithm"] for group in muon} == {"muon"}
    assert all("blocks" in names[parameter] for group in muon for parameter in group["params"])
    assert {names[parameter] for parameter in matrices["params"]} == {
        "token_embedding.weight",
        "value_embeddings.0.weight",
        "value_embeddings.1.weight",
    }
    assert {parameter.ndim for parameter in vectors["params"]} == {1}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)


def stirred(model: TransformerLM) -> TransformerLM:
    """The model with noise on every parameter, so that none hides behind an initial zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def test_options_that_are_off_leave_the_model_as_it_was() -> None:
    """A seed's names and weights are those of the plain classes, built in the order of the write-up's model."""
    model = build_model(ModelConfig(**SMALL), seed=3)
    torch.manual_seed(3)
    expected = {"token_embedding.weight": Embedding(64, 32).weight}
    for layer in range(2):
        parts = {
            "attention_norm": RMSNorm(32),
            "attention.qkv": Linear(32, 96, num_stacked=3),
            "attention.output": Linear(32, 32),
            "feed_forward_norm": RMSNorm(32),
            "feed_forward.gate_up": Linear(32, 96, num_stacked=2),
            "feed_forward.down": Linear(48, 32),
        }
        expected |= {f"blocks.{layer}.{name}.weight": part.weight for name, part in parts.items()}
    expected |= {"final_norm.weight": RMSNorm(32).weight, "lm_head.weight": Linear(32, 64).weight}
    state = model.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], weight) for name, weight in expected.items())


def test_every_switch_reaches_the_model() -> None:
    """Each switch replaces exactly the part it names."""

    def built(**switch: object) -> TransformerLM:
        return build_model(ModelConfig(**SMALL | switch), device="meta")

    assert built(position="none").blocks[0].attention.rope is None
    assert not any("norm" in name for name, _ in built(norm="none").named_parameters())
    assert isinstance(built(norm_placement="post").blocks[0], PostNormTransformerBlock)
    assert isinstance(built(feed_forward="silu").blocks[0].feed_forward, SiLUFeedForward)
    assert isinstance(built(feed_forward="relu2").blocks[0].feed_forward, ReLUSquaredFeedForward)
    assert isinstance(built(qk_norm=True).blocks[1].attention.key_norm, RMSNorm)
    assert isinstance(built(embedding_norm=True).embedding_norm, RMSNorm)
    assert len(built(value_embeddings=2).value_embeddings) == 2
    assert isinstance(built(num_layers=3, skip_connections=True).blocks, SkipConnectedBlocks)
    assert isinstance(built(logit_softcap=5.0).softcap, SoftCap)
    assert built(attention="manual").blocks[0].attention.attention is manual_attention
    assert num_parameters(built()) - num_parameters(built(tie_embeddings=True)) == 64 * 32


def test_manual_and_sdpa_models_agree() -> None:
    """The two attention implementations give models of equal loss and gradients."""
    tokens = torch.randint(0, 64, (4, 17))
    gradients = []
    for attention in ("manual", "sdpa"):
        model = build_model(ModelConfig(**SMALL, attention=attention), seed=0).double()
        loss = cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


def test_the_seed_alone_decides_the_weights() -> None:
    """The same seed gives the same weights, another seed others; the global generator is neither used nor moved."""
    config = ModelConfig(**SMALL)
    state = torch.get_rng_state()
    first = build_model(config, seed=1).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(5)
    again, other = build_model(config, seed=1).state_dict(), build_model(config, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_without_a_seed_the_global_generator_decides() -> None:
    """Two models in a row differ, and torch.manual_seed repeats them."""
    config = ModelConfig(**SMALL)
    torch.manual_seed(0)
    weights = [build_model(config).lm_head.weight for _ in range(2)]  # type: ignore[attr-defined]
    torch.manual_seed(0)
    assert torch.equal(weights[0], build_model(config).lm_head.weight)  # type: ignore[attr-defined]
    assert not torch.equal(*weights)


def test_the_meta_device_allocates_nothing() -> None:
    """A model far larger than any memory is built on the meta device, tables included."""
    model = build_model(ModelConfig(d_model=2**16, num_heads=2**9, d_ff=2**18, num_layers=4), device="meta")
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert model(torch.zeros(1, 8, dtype=torch.long, device="meta")).shape == (1, 8, 10_000)


@pytest.mark.gpu
def test_the_device_does_not_change_the_weights() -> None:
    """A seed gives the same weights on the GPU as on the CPU."""
    config = ModelConfig(**SMALL)
    on_gpu, on_cpu = build_model(config, seed=1, device="cuda"), build_model(config, seed=1)
    for name, weight in on_cpu.state_dict().items():
        assert torch.equal(on_gpu.state_dict()[name].cpu(), weight)
