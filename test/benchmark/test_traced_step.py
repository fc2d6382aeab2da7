"""A training step traced on fake tensors: the types and kernels of CUDA, counts by hand, bounds that only shrink."""

import pytest
import torch
from gpu_training import TINY, make_config
from roofline import CALIBRATION, H200, HOPED, SOBER, Machine, Shares, kernel_seconds, kind
from tiny_model import tiny_config
from torch.nn import functional as F
from traced_kernels import Kernel, record, tensor_bytes
from traced_model import Shape
from traced_step import BASE, eager_kernels, graph_kernels, row, traced_config

from espnet2.ssl.encoder.transformer import TransformerEncoder
from espnet2.ssl.kernels.attention import attend
from espnet2.train.traced_autocast import as_cuda
from espnet2.train.traced_update import tracing

# Of HuBERT Base per second of audio, 22 rows. A change that lowers a figure lowers its bound; none is raised silently.
EAGER_MEGABYTES, EAGER_KERNELS, GIGAFLOPS = 301, 1100, 47.1
PADDED_MEGABYTES = 302


@pytest.fixture(scope="module")
def tiny():
    return make_config(TINY)


def totals(kernels, shape):
    return [sum(getattr(kernel, name) for kernel in kernels) / shape.audio_seconds for name in ("flops", "bytes")]


@pytest.mark.parametrize(("padded", "megabytes"), [(False, EAGER_MEGABYTES), (True, PADDED_MEGABYTES)])
def test_a_second_of_audio_moves_no_more_bytes_than_before(padded, megabytes):
    shape = Shape(22, 15.625, padded)
    kernels = eager_kernels(traced_config(BASE), shape)
    flops, moved = totals(kernels, shape)
    assert megabytes - 6 < moved / 1e6 < megabytes  # below: the bound is to be lowered
    assert len(kernels) < EAGER_KERNELS + (95 if padded else 0)
    assert 46.5 < flops / 1e9 < GIGAFLOPS
    assert not [kernel for kernel in kernels if kernel.name.startswith("convolution")]


def test_autocast_computes_in_the_types_of_cuda():
    x, weight = torch.randn(4, 8, dtype=torch.bfloat16), torch.randn(8)
    with as_cuda(), torch.autocast("cpu", torch.bfloat16):
        assert F.layer_norm(x, (8,), weight).dtype == torch.float32
        assert F.group_norm(x, 2, weight).dtype == torch.float32
        assert {f(x).dtype for f in (torch.exp, torch.rsqrt, torch.sum)} == {torch.float32}
        assert F.cross_entropy(x, torch.zeros(4, dtype=torch.long)).dtype == torch.float32
        assert F.linear(x.float(), torch.randn(3, 8)).dtype == F.gelu(x).dtype == torch.bfloat16
        assert F.linear(x.double(), torch.randn(3, 8).double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):  # and nothing of it stays
        assert torch.exp(x).dtype == torch.bfloat16


@pytest.mark.parametrize("frames", [16, 21])
def test_attention_is_one_kernel_and_a_mask_is_copied_where_its_rows_are_not_aligned(frames):
    def run(mask):
        query = torch.empty(2, 3, frames, 8, dtype=torch.bfloat16, requires_grad=True)
        return record(lambda: F.scaled_dot_product_attention(query, query, query, mask, 0.1).sum().backward())

    with tracing():
        names = [kernel.name for kernel in run(None)]
        assert [name for name in names if "attention" in name] == [
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_flash_attention_backward",
        ]
        names = [kernel.name for kernel in run(torch.ones(2, 1, 1, frames, dtype=torch.bool))]
        assert [name for name in names if "attention" in name] == [
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_efficient_attention_backward",
        ]
        assert ("constant_pad_nd" in names) == bool(frames % 8)


def test_our_attention_by_hand():
    """Two rows, three heads of 8, 100 frames: four tiles of 64 x 64."""
    heads = 2 * 3 * 100 * 8
    with tracing():
        query, key, value = (torch.empty(2, 3, 100, 8, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        weight = torch.empty(2, 3, 100, requires_grad=True)
        row = torch.empty(3, 2 * 164 + 1, requires_grad=True)
        inputs, gradient = (query, key, value, weight, row), torch.empty_like(query)
        kernels = record(lambda: attend(*inputs, None, None, None, 0, 0.0)[0].backward(gradient))
    ours = [kernel for kernel in kernels if kernel.name in ("own_attention", "own_attention_backward", "sum_diagonals")]
    assert [kernel.flops for kernel in ours] == [100 * 2 * heads * count for count in (2, 3, 0, 4)]
    # One float32 value of each query: of weight and logarithms; then of delta and the gradient of weight, too.
    forward, queries, diagonals, keys = (kernel.bytes for kernel in ours)
    assert forward == 2 * 4 * heads + 4 * (2 * 600 + row.numel())
    slots = 2 * 3 * 2 * 3 * 64
    assert queries == 2 * 6 * heads + 4 * (4 * 600 + row.numel() + slots)
    assert diagonals == 4 * (slots + row.numel())
    assert keys == 2 * 6 * heads + 4 * (3 * 600 + row.numel())
    assert [kernel.instructions for kernel in ours] == [6 * 4 * 4 * count for count in (850, 1346, 0, 1033)]
    assert [kind(kernel) for kernel in ours] == [
        "attention",
        *["attention_backward", "pointwise", "attention_backward"],
    ]


@pytest.mark.parametrize("objective", ["wavlm", "data2vec2", "speechflow"])
def test_no_tensor_of_all_pairs_is_left(objective):
    """Whose biases the kernel makes: an update of more frames moves as many bytes per frame."""

    def per_second(kernel, seconds):
        config = tiny_config(objective, encoder_conf={"attention_kernel": kernel})
        kernels = eager_kernels(config, Shape(2, seconds))
        return sum(kernel.bytes for kernel in kernels if "adam" not in kernel.name) / seconds

    growth = {kernel: per_second(kernel, 32.0) - per_second(kernel, 16.0) for kernel in ("sdpa", "triton")}
    assert growth["triton"] < 0.1 * growth["sdpa"]


def test_bytes_and_flops_by_hand():
    with tracing():
        left, right = torch.empty(4, 6, dtype=torch.bfloat16), torch.empty(6, 8, dtype=torch.bfloat16)
        (product,) = record(lambda: left @ right)
        assert product == Kernel("mm", 2 * 4 * 6 * 8, 2 * (4 * 6 + 6 * 8 + 4 * 8), "bfloat16")
        x = torch.empty(5, 7)
        (total,) = record(lambda: x + x)
        assert total.bytes == 4 * 2 * 35
        (in_place,) = record(lambda: x.mul_(2))
        assert in_place.bytes == 4 * 2 * 35
        batch = torch.empty(2, 3, 4)
        (added,) = record(lambda: batch.baddbmm_(torch.empty(2, 3, 5), torch.empty(2, 5, 4)))
        assert added.flops == 2 * 2 * 3 * 4 * 5
        assert not record(lambda: x.T[:3].unsqueeze(0).expand(9, -1, -1))
        assert tensor_bytes(torch.empty(1, 7).expand(5, 7)) == 28
        assert record(lambda: F.embedding(torch.zeros(3, dtype=torch.long), torch.empty(1000, 2)))[-1].bytes == 2 * 24


def test_a_traced_update_is_the_trainers(tiny):
    shape = Shape(2, 1.0)
    kernels = eager_kernels(tiny, shape)
    names = [kernel.name for kernel in kernels]
    assert names.count("_fused_adamw_") == 1 and names.count("_foreach_norm") == 1
    assert names.count("_scaled_dot_product_flash_attention_backward") == TINY.num_layers
    assert kernels == eager_kernels(tiny, shape)


@pytest.mark.parametrize("objective", ["wavlm", "wav2vec2", "data2vec2", "dinosr", "best_rq", "w2v_bert", "speechflow"])
def test_every_objective_can_be_traced(objective):
    kernels = eager_kernels(tiny_config(objective), Shape(2, 1.0))
    assert sum(kernel.flops for kernel in kernels) > 0


def test_one_graph_has_fewer_kernels_and_the_same_flops(tiny):
    shape = Shape(2, 0.5)
    eager, fused = eager_kernels(tiny, shape), graph_kernels(tiny, shape)
    assert len(fused) < 0.8 * len(eager)
    flops, graph_flops = totals(eager, shape)[0], totals(fused, shape)[0]
    assert graph_flops == pytest.approx(flops, rel=0.02)
    assert totals(fused, shape)[1] < totals(eager, shape)[1]


def test_the_model_of_time():
    machine, shares = Machine("test", 100.0, 10.0, 1000.0), Shares(0.5, 0.25, 0.2, 0.5, 0.1, 0.1, 0.5, 0.8, 1e-3)
    assert kernel_seconds(Kernel("mm", 100, 0, "bfloat16"), shares, machine) == pytest.approx(2.0)
    assert kernel_seconds(Kernel("mm", 100, 0, "float32"), shares, machine) == pytest.approx(100 / 8)
    assert kernel_seconds(Kernel("mm", 1, 4000, "bfloat16"), shares, machine) == pytest.approx(5.0)
    assert kernel_seconds(Kernel("gelu", 0, 4000, "bfloat16"), shares, machine) == pytest.approx(5.0)
    assert kernel_seconds(Kernel("native_layer_norm", 0, 4000, "float32"), shares, machine) == pytest.approx(8.0)
    assert kernel_seconds(Kernel("gelu", 0, 0, "bfloat16"), shares, machine) == 1e-3
    conv = Kernel("convolution", 0, 4000, "bfloat16", 16)
    assert kind(conv) == "conv_grouped" and kernel_seconds(conv, shares, machine) == pytest.approx(10.0)
    assert kind(Kernel("convolution", 1, 1, "bfloat16", 1, True)) == "conv_narrow"
    assert kind(Kernel("_foreach_norm", 0, 1, "float32")) == "pointwise"
    kernel = [Kernel("mm", int(788e12), 0, "bfloat16")]
    assert row("x", kernel, 10.0) == f"| x | 1 | 78800.0 | 0 | {7.2:,.0f} | 6 | {6 / CALIBRATION:,.0f} |"
    assert H200.bf16_flops * HOPED.gemm > H200.bf16_flops * SOBER.gemm


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_norm_output_is_the_type_of_the_residual(norm):
    """In mixed precision of CUDA; without it nothing changes, to the last bit."""
    config = TransformerEncoder.Config(num_layers=2, dim=16, num_heads=2, ffn_dim=32, position="none", norm=norm)
    chosen = {name: config.model_copy(update={"norm_output": name}) for name in ("float32", "autocast")}
    types = {}
    for name, conf in chosen.items():
        with tracing():
            encoder, x = TransformerEncoder(conf), torch.empty(2, 9, 16, dtype=torch.bfloat16)
            with torch.autocast("cpu", torch.bfloat16):
                hidden = encoder(x, None, layers=[1, 2])
        types[name] = [hidden.layers[1].dtype, hidden.layers[2].dtype, hidden.output.dtype]
    bf16, fp32 = torch.bfloat16, torch.float32
    assert types["float32"] == ([fp32] * 3 if norm == "post" else [bf16, bf16, fp32])
    assert types["autocast"] == ([bf16] * 3 if norm == "post" else [bf16, bf16, fp32])
    plain, narrow = (TransformerEncoder(conf).eval() for conf in chosen.values())
    narrow.load_state_dict(plain.state_dict())
    frames = torch.randn(2, 9, 16)
    assert torch.equal(narrow(frames, None).output, plain(frames, None).output)
