"""A model size and a device in; training speed of this toolkit, transformers and torchaudio on the same batch out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from gpu_flops import count_flops
from gpu_timing import synchronize
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch
from espnet2.data.dataset import Loaded
from espnet2.ssl.modules.heads import CosineHead
from espnet2.tasks.build import build
from espnet2.tasks.config import SSLConfig, resolve_config
from espnet2.train.distributed import Ranks
from espnet2.train.updater import Prepared, Updater, prepare

NUM_CLASSES = 500  # HuBERT's second iteration
SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Size:
    """What is measured: HuBERT Base, or a tiny model that runs the same code on a CPU."""

    num_layers: int = 12
    dim: int = 768
    num_heads: int = 12
    ffn_dim: int = 3072
    channels: int = 512
    position_kernel: int = 128
    position_groups: int = 16
    batch_size: int = 22  # x 15.6 s: 344 s of audio, the share of one GPU in conf/train_hubert_base.yaml
    num_samples: int = 250_000  # HuBERT's longest crop
    warm_up: int = 5  # updates
    updates: int = 20  # timed
    matrix: int = 8192  # side of the matrices that measure the ceiling
    kmeans_frames: int = 1_000_000
    kmeans_clusters: int = 500
    run_updates: int = 60  # of the kill-and-resume run


TINY = Size(2, 32, 2, 64, 16, 16, 4, 2, 16_000, 1, 2, 128, 2000, 10, 6)


class Speed(NamedTuple):
    """One contestant."""

    audio_per_second: float  # s of audio per s
    update_ms: float
    peak_gb: float  # of device memory; 0 on a CPU


def make_config(size: Size, **changes: object) -> SSLConfig:
    """The config of a size; everything else is HuBERT Base's."""
    encoder = {name: getattr(size, name) for name in ("num_layers", "dim", "num_heads", "ffn_dim")}
    encoder |= {"position_kernel": size.position_kernel, "position_groups": size.position_groups}
    values = {
        "frontend": "conv",
        "frontend_conf": {"channels": size.channels},
        "encoder": "transformer",
        "encoder_conf": encoder,
        "loss": [{"name": "hubert", "conf": {"num_classes": NUM_CLASSES}}],
        "max_update": 1000,
        "crop": "shortest",
        "compile": False,
    }
    parts = changes.pop("encoder_conf", {})
    return resolve_config({**values, "encoder_conf": encoder | parts, **changes})


def measure(update: Callable[[int], object], size: Size, device: torch.device) -> Speed:
    """Time updates after a warm-up; `update` gets their number."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for number in range(size.warm_up):
        update(number)
    synchronize(device)
    started = time.perf_counter()
    for number in range(size.warm_up, size.warm_up + size.updates):
        update(number)
    synchronize(device)
    seconds = (time.perf_counter() - started) / size.updates
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
    audio_seconds = size.batch_size * size.num_samples / SAMPLE_RATE
    return Speed(audio_seconds / seconds, 1000 * seconds, peak)


def matmul_ceiling(size: Size, device: torch.device) -> float:
    """Matrix products of bf16 per second that the device reaches, in TFLOP/s: the best of ten."""
    left, right = (torch.randn(size.matrix, size.matrix, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(10):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(5):
            left @ right
        synchronize(device)
        times.append((time.perf_counter() - started) / 5)
    return 2 * size.matrix**3 / min(times) / 1e12


class Ours:
    """The trainer's own update, its draws and finite check included."""

    def __init__(self, size: Size, device: torch.device, **changes: object) -> None:
        torch.manual_seed(0)
        changes = {"dtype": "bf16" if device.type == "cuda" else "fp32", **changes}
        self.config = make_config(size, **changes)
        self.model = build(self.config).to(device).train()
        self.updater = Updater(self.model, self.config, Ranks(0, 0, 1, 1, device), max_update=1000)
        self.device, self.size = device, size
        self.loaded = [self._load(number) for number in range(4)]

    def _load(self, number: int) -> Loaded:
        """A batch as a loader process makes it."""
        size, generator = self.size, torch.Generator().manual_seed(number)
        wavs = 0.1 * torch.randn(size.batch_size, size.num_samples, generator=generator)
        lengths = torch.full((size.batch_size,), size.num_samples)
        frames = self.model.frontend.geometry.output_lengths(size.num_samples)
        labels = torch.randint(NUM_CLASSES, (size.batch_size, frames), generator=generator)
        names = tuple(f"utterance{row}" for row in range(size.batch_size))
        draws = {name: objective.draw(lengths, names, generator) for name, objective in self.model.objectives.items()}
        batch = Batch(wavs, lengths, labels, names, draws)
        return Loaded(batch.pin_memory() if self.device.type == "cuda" else batch, number, wavs.numel())

    def prepare(self, number: int) -> Prepared:
        """A batch on its way to the device."""
        loaded = self.loaded[number % len(self.loaded)]
        return prepare(self.model, loaded._replace(number=number), self.device)

    def __call__(self, number: int) -> bool:
        """One update; whether it was finite."""
        launched = self.updater.launch([self.prepare(number)], number + 1)
        is_finite = launched.is_nonfinite.item() == 0  # the trainer's one read per update
        self.updater.finish(number + 1, is_finite=is_finite)
        return is_finite

    def flops_per_second_of_audio(self) -> float:
        """Floating-point operations of forward and backward, per second of audio."""
        flops = count_flops(lambda: self.updater.launch([self.prepare(0)], 1))
        self.updater.optimizer.zero_grad(set_to_none=True)
        return flops / (self.size.batch_size * self.size.num_samples / SAMPLE_RATE)

    def launch_without_synchronising(self) -> bool:
        """Whether an update is launched without waiting for the device (an error of PyTorch otherwise)."""
        prepared = self.prepare(0)
        synchronize(self.device)
        torch.cuda.set_sync_debug_mode("error")
        try:
            self.updater.launch([prepared], 1)
        except RuntimeError as error:
            print(f"the update waits for the device: {error}")
            return False
        finally:
            torch.cuda.set_sync_debug_mode("default")
            self.updater.optimizer.zero_grad(set_to_none=True)
        return True


class _Theirs:
    """What all others share: autocast, clipping and AdamW as in `Updater`."""

    def __init__(self, model: nn.Module, size: Size, device: torch.device) -> None:
        torch.manual_seed(0)
        self.model = model.to(device).train()
        self.device = device
        self.half = device.type == "cuda"  # a CPU's comparison says otherwise
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
        ours = Ours(replace(size, num_layers=1), device)
        self.batches = [ours.loaded[number].batch.to(device) for number in range(4)]

    def loss(self, batch: Batch) -> Tensor:
        """Mean over masked frames, penalty on the features included where the library has one."""
        raise NotImplementedError

    def __call__(self, number: int) -> None:
        """One update."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss = self.loss(self.batches[number % 4])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


class Transformers(_Theirs):
    """transformers.HubertModel with SDPA; the library has no pre-training head, so it gets ours."""

    def __init__(self, size: Size, device: torch.device) -> None:
        from transformers import HubertConfig, HubertModel

        config = HubertConfig(
            hidden_size=size.dim,
            num_hidden_layers=size.num_layers,
            num_attention_heads=size.num_heads,
            intermediate_size=size.ffn_dim,
            conv_dim=[size.channels] * 7,
            num_conv_pos_embeddings=size.position_kernel,
            num_conv_pos_embedding_groups=size.position_groups,
            activation_dropout=0.0,
            feat_proj_dropout=0.1,
            layerdrop=0.05,
            attn_implementation="sdpa",
        )
        backbone = HubertModel(config)
        head = CosineHead(size.dim, 256, NUM_CLASSES, 0.1)
        super().__init__(nn.ModuleDict({"backbone": backbone, "head": head}), size, device)

    def loss(self, batch: Batch) -> Tensor:
        mask = batch.draws["hubert"]["mask"]
        hidden = self.model["backbone"](batch.wavs, mask_time_indices=mask).last_hidden_state
        logits = self.model["head"](hidden)
        return F.cross_entropy(logits.flatten(0, 1), batch.labels.masked_fill(~mask, -100).flatten())


class Torchaudio(_Theirs):
    """torchaudio's HuBERTPretrainModel with its own masks, drawn inside its forward."""

    def __init__(self, size: Size, device: torch.device) -> None:
        from torchaudio.models import hubert_pretrain_model

        layers = [(size.channels, kernel, stride) for kernel, stride in ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)]
        model = hubert_pretrain_model(
            extractor_mode="group_norm",
            extractor_conv_layer_config=layers,
            extractor_conv_bias=False,
            encoder_embed_dim=size.dim,
            encoder_projection_dropout=0.1,
            encoder_pos_conv_kernel=size.position_kernel,
            encoder_pos_conv_groups=size.position_groups,
            encoder_num_layers=size.num_layers,
            encoder_num_heads=size.num_heads,
            encoder_attention_dropout=0.1,
            encoder_ff_interm_features=size.ffn_dim,
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=0.1,
            encoder_layer_norm_first=False,
            encoder_layer_drop=0.05,
            mask_prob=0.8,
            mask_selection="static",
            mask_other=0.0,
            mask_length=10,
            no_mask_overlap=False,
            mask_min_space=1,
            mask_channel_prob=0.0,
            mask_channel_selection="static",
            mask_channel_other=0.0,
            mask_channel_length=10,
            no_mask_channel_overlap=False,
            mask_channel_min_space=1,
            skip_masked=False,
            skip_nomask=True,
            num_classes=NUM_CLASSES,
            final_dim=256,
            feature_grad_mult=0.1,
        )
        super().__init__(model, size, device)

    def loss(self, batch: Batch) -> Tensor:
        logits, _, penalty = self.model(batch.wavs, batch.labels)
        target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return F.cross_entropy(logits.float(), target) + 10.0 * penalty
