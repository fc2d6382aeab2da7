"""A config, a device and a number of ranks in; what is compiled out, and no compiler loaded where it is nothing."""

import os
import subprocess
import sys

import pytest
import torch
from tiny_model import tiny_config

from espnet2.finetune.config import FinetuneConfig
from espnet2.tasks.config import SSLConfig
from espnet2.train.compile_choice import Compiled, compile_choice, must_compile
from espnet2.train.config import TrainConfig
from espnet2.train.identity import describe_run

NOTHING, BLOCKS, WHOLE = Compiled.NOTHING, Compiled.BLOCKS, Compiled.WHOLE


@pytest.mark.parametrize(
    ("choice", "device", "sharded", "what"),
    [
        ("auto", "cuda", False, WHOLE),
        ("auto", "cuda", True, NOTHING),
        ("auto", "cpu", False, NOTHING),
        ("whole", "cuda", False, WHOLE),
        ("whole", "cpu", False, WHOLE),
        ("whole", "cuda", True, BLOCKS),
        (True, "cuda", True, BLOCKS),
        (True, "cpu", False, BLOCKS),
        (False, "cuda", False, NOTHING),
        (False, "cpu", False, NOTHING),
    ],
)
def test_by_device_and_sharding(choice: bool | str, device: str, sharded: bool, what: Compiled) -> None:
    config = TrainConfig(compile=choice, fsdp=sharded)
    assert compile_choice(config, torch.device(device), 2) is what
    assert must_compile(config) == (choice != "auto")


def test_fsdp_on_one_rank_shards_nothing() -> None:
    assert compile_choice(TrainConfig(fsdp=True), torch.device("cuda"), 1) is WHOLE


def test_auto_is_the_default_of_pre_training_alone() -> None:
    assert SSLConfig.model_fields["compile"].default == "auto"
    assert FinetuneConfig.model_fields["compile"].default is False


def test_a_run_of_any_choice_goes_on_with_any_other() -> None:
    """Checkpoints of before `auto` hold false."""
    runs = [
        describe_run(tiny_config().model_copy(update={"compile": choice}), {}, {})
        for choice in (False, True, "whole", "auto")
    ]
    assert all(run == runs[0] for run in runs)


def test_by_default_a_cpu_loads_no_compiler() -> None:
    """It takes seconds to import, and everybody would wait for it. (PyTorch's optimizers load a part of it.)"""
    script = """
import sys
from tiny_model import noise_batch, tiny_config, tiny_model
from espnet2.pretrain import session
from espnet2.train.compile_choice import compile_choice
from espnet2.train.distributed import SINGLE
model, config = tiny_model(), tiny_config()
what = compile_choice(config, SINGLE.device, SINGLE.world_size)
model(noise_batch(model))
print(what.value, [name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "nothing []"
