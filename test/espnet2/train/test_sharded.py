"""Checkpoints of sharded runs in; the same training on other numbers of ranks, sharded or not, out."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_training import make_corpus
from topology import assert_same_training, losses, train, weights, words, write_topology_config
from torch.distributed.checkpoint import FileSystemReader

from espnet2.train.manifest import find_damage

SCHEDULE = ["--scheduler_conf", "total_steps=6"]
CONFIG = {"max_update": 6, "valid_interval_updates": 3, "log_interval_updates": 1, "save_interval_updates": 3}
FSDP = ["--fsdp", "true"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("sharded")
    paths = make_corpus(root)
    for objective in ("hubert", "dinosr"):
        write_topology_config(root, objective, **CONFIG)
    return root, paths


@pytest.fixture(scope="module", params=["hubert", pytest.param("dinosr", marks=pytest.mark.cluster)])
def saved_by_four(corpus, request):
    """Sharded over four ranks, stopped in the middle; and the unbroken training of one process."""
    root, paths = corpus
    name = request.param
    train([*words(paths, root, name, root / f"{name}_one", 1, 4), *SCHEDULE], 1, root / f"{name}_one")
    half = words(paths, root, name, root / f"{name}_four", 4, 1)
    train([*half, *SCHEDULE, *FSDP, "--max_update", "3"], 4, root / f"{name}_four")
    return name, root / f"{name}_one", root / f"{name}_four"


def go_on(corpus, saved, ranks, options, name):
    root, paths = corpus
    objective, unbroken, half = saved
    output = root / f"{objective}_{name}"
    shutil.copytree(half, output, symlinks=True)
    train([*words(paths, root, objective, output, ranks, 4 // ranks), *SCHEDULE, *options], ranks, output)
    assert "going on from update 3 of 6" in (output / "train.log").read_text()
    assert_same_training(output, unbroken)
    return output


def test_each_rank_writes_its_part_and_the_model_is_one_file(saved_by_four, tmp_path):
    checkpoint = (saved_by_four[2] / "checkpoints/latest").resolve()
    assert find_damage(checkpoint) is None
    manifest = json.loads((checkpoint / "state/manifest.json").read_text())
    parts = {name for name in manifest if name.startswith("state/parts/")}
    assert {name.rpartition("/")[2].split("_")[2] for name in parts if name.endswith(".distcp")} == {"0", "1", "2", "3"}
    sizes = [size for name, (size, _) in manifest.items() if name.endswith(".distcp")]
    assert max(sizes) < 0.5 * sum(sizes)  # nobody holds it all
    stored = FileSystemReader(checkpoint / "state/parts").read_metadata().state_dict_metadata
    blocks = {name: value for name, value in stored.items() if name.startswith("model.") and ".blocks." in name}
    assert {len(value.chunks) for value in blocks.values()} == {4}  # those of a teacher, too
    assert any("teacher" in name for name in blocks) == (saved_by_four[0] == "dinosr")
    # The streamed file is what the library writes of the same weights, to the last value.
    streamed = load_file(checkpoint / "model.safetensors")
    save_file(streamed, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert all(torch.equal(value, again[name]) for name, value in streamed.items())
    assert losses(saved_by_four[2]) == pytest.approx(losses(saved_by_four[1])[:4], rel=1e-5)
    assert weights(saved_by_four[1]).keys() == streamed.keys()


def test_two_ranks_go_on_with_what_four_have_saved(corpus, saved_by_four):
    output = go_on(corpus, saved_by_four, 2, FSDP, "two")
    assert (output / "checkpoints/latest/state/parts").is_dir()


def test_one_process_goes_on_with_what_four_have_saved(corpus, saved_by_four):
    output = go_on(corpus, saved_by_four, 1, FSDP, "alone")
    assert not (output / "checkpoints/latest/state/parts").exists()  # nobody to share with


@pytest.mark.cluster
def test_replicas_go_on_with_what_four_have_saved_and_the_other_way_round(corpus, saved_by_four):
    root, paths = corpus
    objective, unbroken, _ = saved_by_four
    go_on(corpus, saved_by_four, 2, [], "ddp")
    output = root / f"{objective}_back"
    half = words(paths, root, objective, output, 2, 2)
    train([*half, *SCHEDULE, "--max_update", "3"], 2, output)
    train([*half, *SCHEDULE, *FSDP], 2, output)
    assert_same_training(output, unbroken)


def test_a_part_that_is_damaged_is_noticed(saved_by_four, tmp_path):
    checkpoint = shutil.copytree((saved_by_four[2] / "checkpoints/latest").resolve(), tmp_path / "update_3")
    part = sorted(checkpoint.glob("state/parts/__2_*"))[0]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert find_damage(checkpoint) == f"state/parts/{part.name} has other contents than were written"
