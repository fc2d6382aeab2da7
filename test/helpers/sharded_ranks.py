"""Two gloo processes with a sharded tiny model in; what is gathered and computed in an update out, as a JSON file."""

import json
import multiprocessing
import os
import socket
from pathlib import Path

import torch
import torch.distributed as dist


def run(folder: Path, dtype: str, accumulation: int) -> dict[str, object]:
    """Compute two updates and a forward pass without gradient; what rank 0 saw."""
    context = multiprocessing.get_context("spawn")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = [context.Process(target=_rank, args=(rank, port, folder, dtype, accumulation)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return json.loads((folder / "seen.json").read_text())


def _rank(rank: int, port: int, folder: Path, dtype: str, accumulation: int) -> None:
    os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    from tiny_model import noise_batch, tiny_config

    from espnet2.data.dataset import Loaded
    from espnet2.tasks.build import build
    from espnet2.train import updater as module
    from espnet2.train.distributed import Ranks
    from espnet2.train.updater import Updater, prepare

    class OnCpu(module.Precision):
        """A CPU that computes in the type of the config, as a GPU does."""

        def __init__(self, name: str, device: torch.device) -> None:
            super().__init__(name, device)
            self.name = name

    replica = module.Replica
    module.Precision = OnCpu
    module.Replica = lambda model, config, ranks, dtype: replica(model, config, ranks, dtype=config.dtype)
    config = tiny_config(frontend="conv").model_copy(update={"fsdp": True, "dtype": dtype})
    torch.manual_seed(0)
    model = build(config).train()
    updater = Updater(model, config, Ranks(rank, rank, 2, 2, torch.device("cpu")), max_update=10)
    gathers: list[torch.dtype] = []
    name = "all_gather_single" if hasattr(dist, "all_gather_single") else "all_gather_into_tensor"  # since 2.13
    gather = getattr(dist, name)

    def counted(*tensors, **options):
        given = [*tensors, *options.values()]
        gathers.append(next(value.dtype for value in given if isinstance(value, torch.Tensor)))
        return gather(*tensors, **options)

    setattr(dist, name, counted)
    counts, norms, types, original = [], [], set(), torch.nn.functional.linear

    def linear(x, weight, bias=None):
        types.add(str(weight.dtype))
        return original(x, weight, bias)

    torch.nn.functional.linear = linear
    for update in (1, 2):
        gathers.clear()
        batches = [Loaded(noise_batch(model, seed=10 * update + part), part, 32000) for part in range(accumulation)]
        launched = updater.launch([prepare(model, batch, torch.device("cpu")) for batch in batches], update)
        counts.append(len(gathers))
        norms.append(float(launched.norm))
        grads = {str(parameter.grad.dtype) for parameter in model.parameters() if parameter.grad is not None}
        updater.finish(update, is_finite=True)
    kinds = sorted({str(kind) for kind in gathers})
    gathers.clear()
    with torch.no_grad(), updater.precision.autocast():
        model.eval()(noise_batch(model))
    if rank == 0:
        seen = {"gathers": counts, "types": kinds, "linear": sorted(types), "grads": sorted(grads), "norms": norms}
        (folder / "seen.json").write_text(json.dumps({**seen, "evaluated": len(gathers)}))
    dist.barrier()
    dist.destroy_process_group()
