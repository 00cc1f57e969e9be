"""build.py: every switch gives the model it names, and that model learns."""

import pytest
import torch

from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import RMSNorm, TransformerLM, build_model, cross_entropy
from tinylm.model.attention import manual_attention
from tinylm.model.feed_forward import ReLUSquaredFeedForward, SiLUFeedForward
from tinylm.model.layers import SoftCap
from tinylm.model.transformer import PostNormTransformerBlock

SMALL = {"vocab_size": 64, "context_length": 16, "d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48}
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
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_change_the_weights() -> None:
    """A seed gives the same weights on the GPU as on the CPU."""
    config = ModelConfig(**SMALL)
    on_gpu, on_cpu = build_model(config, seed=1, device="cuda"), build_model(config, seed=1)
    for name, weight in on_cpu.state_dict().items():
        assert torch.equal(on_gpu.state_dict()[name].cpu(), weight)
