"""The forward pass as one graph of torch.compile: which batches share a graph, and what the log says of it.

Lengths, rows and masked frames are symbols of the graph (`mark_dynamic`), not constants. An epoch of LibriSpeech has 62
to 116 shapes of a batch, and wav2vec 2.0 and data2vec 2.0 a further number of masked frames in each; Base takes
inductor about a minute a graph, at every start of every rank. Kernels for symbols lose a few percent to kernels for
constants, graphs for constants would lose an hour. What stays apart is what the code itself tells apart: training and
validation, padded and not, one row and several.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from espnet2.data.batch import Batch
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.pieces import needs_pieces
from espnet2.ssl.objective.base import Loss
from espnet2.train.inductor_strides import compare_strides_by_size
from espnet2.utils.errors import UserError

LOGGER = logging.getLogger("espnet2.train")
KNOWN_GRAPHS = 8  # training or validation, padded or not, one row or more
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"  # of PyTorch
INEXACT_RESUME = (
    "compile: the compiler may choose other kernels than before the stop, so the last bits of a loss may differ from "
    "those of a run without a stop; --compile false, from the first start on, resumes bit for bit"
)
GRAPH_LIMIT = KNOWN_GRAPHS + 4  # some for what a new objective tells apart; torch's own limit is 8

Forward = Callable[[Batch], dict[str, Loss]]


def keep_kernels(folder: Path) -> str:
    """Let compiled kernels outlast the process, unless TORCHINDUCTOR_CACHE_DIR says where; a line for the log.

    PyTorch names a kernel's files by what they are made of (code, sizes, device, its own version), writes them beside
    and renames them: ranks and jobs may share the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        return f"compile: {folder} cannot be written; kernels are compiled anew at each start (or set {CACHE_VARIABLE})"
    os.environ.setdefault(CACHE_VARIABLE, str(folder))
    return (
        f"compile: the first batches of each kind wait for the compiler; kernels stay in {os.environ[CACHE_VARIABLE]}"
    )


def compile_forward(model: SSLModel, *, required: bool, backend: str | Callable[..., object] = "inductor") -> None:
    """Let the model compute its losses by a compiled graph from now on.

    Args:
        required: a graph that cannot be made is an error; else it is a warning, and the model computes as before.
    """
    model.compiled = CompiledForward(model, required=required, backend=backend)


def compile_blocks(model: SSLModel, *, backend: str | Callable[..., object] = "inductor") -> None:
    """Compile the blocks of encoder and teachers one by one: FSDP2 gathers weights between them, outside any graph."""
    name = "+".join(model.objectives)
    _configure(name)
    for encoder in model.encoders():
        for block in encoder.blocks:
            block.compile(backend=backend)
            # torch has no hook for a compiler that fails, which it does at the first call; this is what `compile` sets.
            compiled = block._compiled_call_impl
            assert compiled is not None
            block._compiled_call_impl = _or_user_error(compiled, name)


def _or_user_error(block: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """A compiled block, whose failure to compile is told without a traceback."""

    def call(*args: object, **keywords: object) -> Tensor:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return block(*args, **keywords)
        except TorchDynamoException as error:
            raise UserError(
                f"compile: {name}: a block of the encoder could not be compiled: {first_lines(error)}; "
                "--compile false trains without a compiler"
            ) from error

    return call


class CompiledForward:
    """`SSLModel.losses`, compiled when the first batch of its kind comes.

    A batch for which there is no graph, and may be none, is computed without: the log says once why.
    """

    def __init__(self, model: SSLModel, *, required: bool, backend: str | Callable[..., object]) -> None:
        self.name = "+".join(model.objectives)
        self.required = required
        self.num_graphs = 0
        self.kinds: set[str] = set()  # of batches that have a graph
        self.failed = False
        self._model = (model,)  # hidden from nn.Module: the model holds this object
        self._graphs: Forward = torch.compile(model.losses, backend=backend, fullgraph=True)
        _configure(self.name)

    def __call__(self, batch: Batch) -> dict[str, Loss]:
        """Batch to losses.

        Raises:
            UserError: no graph can be made, and one is required.
        """
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        model = self._model[0]
        if self.failed or goes_in_parts(model, batch):
            return model.losses(batch)
        mark_shapes(batch)
        try:
            with self._telling(batch):
                return self._graphs(batch)
        except FailOnRecompileLimitHit:  # `_LimitFilter` has told it
            return model.losses(batch)
        except TorchDynamoException as error:
            return self._without_graph(batch, error)

    def _without_graph(self, batch: Batch, error: Exception) -> dict[str, Loss]:
        reason = f"compile: {self.name}: no graph could be made: {first_lines(error)}"
        if self.required:
            raise UserError(
                f"{reason}; --compile auto trains without a graph then, --compile true compiles the blocks alone"
            ) from error
        self.failed = True
        LOGGER.warning("%s; the training goes on without, and slower. --compile true compiles the blocks alone", reason)
        return self._model[0].losses(batch)

    @contextmanager
    def _telling(self, batch: Batch) -> Iterator[None]:
        """Say it where the call makes a graph, and why one more was needed."""
        before, started = _num_graphs(), time.monotonic()
        yield
        if _num_graphs() > before:
            self.num_graphs += 1
            step = "training" if self._model[0].training else "validation"
            padding, rows = "padded" if batch.is_padded else "unpadded", "one row" if len(batch.wavs) == 1 else "rows"
            kind = f"{step}, {padding}, {rows}"
            seconds, why = time.monotonic() - started, _last_reason() if kind in self.kinds else ""
            self.kinds.add(kind)
            LOGGER.info(f"compile: graph {self.num_graphs} of {self.name} in {seconds:.0f} s ({kind}){why}")


def goes_in_parts(model: SSLModel, batch: Batch) -> bool:
    """Whether a batch of validation is so long that loops over parts of it compute it: their number is in no graph."""
    num_frames = model.frontend.geometry.output_lengths(batch.wavs.size(1))
    return needs_pieces(model.frontend, batch.wavs) or (
        not torch.is_grad_enabled() and model.encoder.scores_in_parts(num_frames)
    )


def mark_shapes(batch: Batch) -> None:
    """Make every size of a batch a symbol of the graph, where the code allows any: widths and clones turn out fixed."""

    def mark(tensor: Tensor) -> Tensor:
        for dim, size in enumerate(tensor.shape):
            if size > 1:  # the compiler takes 0 and 1 for constants, whatever it is told
                torch._dynamo.maybe_mark_dynamic(tensor, dim)
        return tensor

    batch.map(mark)


def first_lines(error: Exception) -> str:
    """What a compiler's error says, without its advice and its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) or type(error).__name__


class _LimitFilter(logging.Filter):
    """Takes torch's own words about the limit of graphs, and says once in ours whom it hit and which guard failed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.objectives = name
        self.told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a message that was told."""
        message = record.getMessage()
        if "torch._dynamo hit config." not in message:
            return True
        function = _after(message, "function: ")
        if function not in self.told:
            self.told.add(function)
            LOGGER.warning(
                "compile: %s has %d graphs, the limit: batches that need another are computed without, and slower. "
                "The last was refused because of the guard %s (in %s)",
                self.objectives,
                GRAPH_LIMIT,
                _after(message, "last reason: "),
                function,
            )
        return False


def _configure(name: str) -> None:
    """Let torch make as many graphs as there are kinds of batches, and tell in our log where it stops."""
    torch._dynamo.config.recompile_limit = GRAPH_LIMIT
    # Else torch cuts the graph of a replica at the buckets of DDP, and refuses one with a function of its own gradient.
    # The price: gradients are reduced when the whole backward has ended.
    torch._dynamo.config.optimize_ddp = False
    # The backward pass is lowered together with the forward pass: what cannot be lowered fails there, where the batch
    # can still be computed without.
    torch._functorch.config.force_non_lazy_backward_lowering = True
    compare_strides_by_size()
    logger = logging.getLogger("torch._dynamo.convert_frame")
    for old in [taken for taken in logger.filters if isinstance(taken, _LimitFilter)]:
        logger.removeFilter(old)
    logger.addFilter(_LimitFilter(name))


def _after(message: str, words: str) -> str:
    return message.partition(words)[2].partition("\n")[0].strip()


def _num_graphs() -> int:
    from torch._dynamo.utils import counters

    stats: Mapping[str, int] = counters["stats"]
    return stats["unique_graphs"]


def _last_reason() -> str:
    """The guard that the last graph was made for."""
    from torch._dynamo.utils import get_compilation_metrics

    metrics = get_compilation_metrics()
    reason = getattr(metrics[-1], "recompile_reason", None) if metrics else None
    return f", because of the guard {reason.splitlines()[0].strip()}" if reason else ""
