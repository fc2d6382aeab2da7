"""Fifty varied batches of every objective in: a handful of graphs without a break, and the same losses as without."""

import logging
import os
import random

import pytest
import torch
from tiny_model import noise_batch, tiny_config, tiny_model
from torch._dynamo.utils import counters

from espnet2.data.batch import Batch
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_names
from espnet2.train.compiled import compile_blocks, compile_forward, keep_kernels
from espnet2.train.distributed import SINGLE
from espnet2.train.updater import Updater
from espnet2.utils.errors import UserError

NUM_BATCHES = 50
VALIDATE_EVERY = 8  # batches, the last of which is of validation, and padded
HOP = 160  # samples
NUM_KINDS = 3  # training, padded and not, and validation: a graph each
METHODS = [*objective_names(), "hubert of waveforms", "hubert in conformers"]
TWO_LAYERS = {
    "data2vec2",
    "dinosr",
    "online_hubert",
    "w2v_bert",
}  # and no less; the others take one


def make(method: str) -> SSLModel:
    """The tiny model of an objective, with dropout and, where it may be, layerdrop."""
    options = {"hubert of waveforms": {"frontend": "conv"}}.get(method, {})
    num_layers = 2 if method in TWO_LAYERS else 1
    encoder_conf: dict[str, object] = {"dropout": 0.1, "attention_dropout": 0.1, "num_layers": num_layers}
    if method.startswith("hubert"):
        encoder_conf["layerdrop"] = 0.3
    if method == "hubert in conformers":
        options = {"encoder": "conformer"}
        encoder_conf |= {"conv_kernel": 5, "conv_norm": "batch"}
    return tiny_model(method.partition(" ")[0], encoder_conf=encoder_conf, **options)


def varied_batch(model: SSLModel, number: int, randomness: random.Random) -> Batch:
    """Two to four rows of half a second to one, every other batch padded."""
    longest = 8000 + HOP * randomness.randrange(50)
    lengths = [longest] * randomness.choice([2, 3, 4])
    if number % 2:
        lengths[1:] = [longest - HOP * randomness.randrange(1, 10) for _ in lengths[1:]]
    return noise_batch(model, lengths, seed=number)


def compute(model: SSLModel, batch: Batch, number: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Terms and figures by name, and in training the gradients by the names of parameters."""
    torch.manual_seed(number)
    with torch.set_grad_enabled(model.training):
        loss = next(iter(model(batch).values()))
    figures = {term.name: term.total for term in loss.terms} | {name: pair.total for name, pair in loss.stats.items()}
    gradients = {}
    if model.training:
        model.zero_grad()
        torch.stack([term.weight * term.total.float() / term.count for term in loss.terms]).sum().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {name: figure.detach() for name, figure in figures.items()}, gradients


def told(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    """What our own log said at a level; torch warns beside it."""
    ours = [record for record in caplog.records if record.name == "espnet2.train"]
    return [record.getMessage() for record in ours if record.levelname == level]


@pytest.fixture
def fresh():
    """The compiler forgets what other tests left."""
    torch._dynamo.reset()
    counters.clear()
    trace = logging.getLogger("torch.__trace")  # else pytest's handler makes torch describe all that it does
    trace.propagate = False
    yield
    trace.propagate = True
    torch._dynamo.reset()


@pytest.mark.timeout(900)  # four tracings: ten to twenty seconds on a core of its own
@pytest.mark.parametrize("method", METHODS)
def test_fifty_batches_take_few_graphs_and_no_break(fresh, caplog, method):
    model, plain, randomness = make(method), make(method), random.Random(0)
    compile_forward(model, required=True, backend="eager")
    compared = set()
    with caplog.at_level(logging.INFO, logger="espnet2.train"):
        for number in range(NUM_BATCHES):
            for one in (model, plain):
                one.train(number % VALIDATE_EVERY < VALIDATE_EVERY - 1)
                one.before_update(number + 1, 0)
            batch = varied_batch(model, number, randomness)
            figures, gradients = compute(model, batch, number)
            kind = (model.training, batch.is_padded)
            if kind not in compared or number == NUM_BATCHES - 1:  # the last update is far from the first's numbers
                compared.add(kind)
                expected, expected_gradients = compute(plain, batch, number)
                torch.testing.assert_close(figures, expected, rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-6)
    assert not counters["graph_break"]
    graphs, lines = model.compiled.num_graphs, told(caplog, "INFO")
    assert NUM_KINDS == len(compared) == graphs, lines
    assert len(lines) == graphs and all(f"of {method.partition(' ')[0]} in" in line for line in lines)


def break_in_graph(model: SSLModel) -> None:
    """Let the objective ask for a value, which no graph can."""
    objective = next(iter(model.objectives.values()))
    whole = objective.forward

    def asks(batch: Batch) -> object:
        return whole(batch if batch.wavs.sum() < 1e9 else batch.to("cpu"))

    objective.forward = asks


def test_an_objective_that_cannot_be_a_graph_is_named_and_goes_on(fresh, caplog):
    model, plain = make("best_rq"), make("best_rq")
    break_in_graph(model)
    compile_forward(model, required=False, backend="eager")
    for number in range(2):
        batch = noise_batch(model, (9600, 8000), seed=number)
        figures, gradients = compute(model.train(), batch, number)
        expected, expected_gradients = compute(plain.train(), batch, number)
        assert all(torch.equal(value, expected[name]) for name, value in figures.items())
        assert all(torch.equal(value, expected_gradients[name]) for name, value in gradients.items())
    (warning,) = told(caplog, "WARNING")
    assert "best_rq: no graph could be made" in warning and "ata-dependent branching" in warning


def test_required_it_is_an_error_that_says_what_to_do(fresh):
    model = make("best_rq")
    break_in_graph(model)
    compile_forward(model, required=True, backend="eager")
    with pytest.raises(UserError, match=r"best_rq: no graph could be made: .*--compile true"):
        model.train()(noise_batch(model))


def test_a_block_that_cannot_be_compiled_is_an_error_that_says_what_to_do(fresh):
    def lower_nothing(*_: object) -> None:
        raise RuntimeError("no C++ compiler")

    model = make("best_rq")
    compile_blocks(model, backend=lower_nothing)
    with pytest.raises(
        UserError, match=r"best_rq: a block .* could not be compiled: .*no C\+\+ compiler.*--compile false"
    ):
        model.train()(noise_batch(model))


def test_a_number_that_changes_hits_the_limit_and_is_named_once(fresh, caplog, monkeypatch):
    """Each update its own constant: what an objective must not do."""
    monkeypatch.setattr("espnet2.train.compiled.GRAPH_LIMIT", 2)
    model, plain = make("best_rq"), make("best_rq")
    for one in (model, plain):
        objective = next(iter(one.objectives.values()))
        objective.words = "0"
        whole = objective.forward

        def scaled(batch: Batch, objective=objective, whole=whole) -> object:
            return whole(batch) if objective.words != "" else None

        objective.forward = scaled
    compile_forward(model, required=True, backend="eager")
    with caplog.at_level(logging.INFO, logger="espnet2.train"):
        for number in range(4):
            batch = noise_batch(model, (9600, 8000), seed=number)
            for one in (model, plain):
                next(iter(one.train().objectives.values())).words = str(number)
            figures, _ = compute(model, batch, number)
            expected, _ = compute(plain, batch, number)
            torch.testing.assert_close(figures, expected, rtol=1e-6, atol=1e-6)
    assert model.compiled.num_graphs == 2
    (warning,) = told(caplog, "WARNING")
    assert "best_rq has 2 graphs" in warning and "words" in warning


def test_long_validation_is_computed_in_parts_without_a_graph(fresh, monkeypatch):
    model = make("hubert of waveforms").eval()
    compile_forward(model, required=True, backend="eager")
    monkeypatch.setattr("espnet2.ssl.modules.pieces.WHOLE_SECONDS", 0.5)
    monkeypatch.setattr("espnet2.ssl.modules.pieces.PIECE_SECONDS", 0.3)
    with torch.no_grad():
        model(noise_batch(model, (16000, 12000)))
    assert model.compiled.num_graphs == 0
    model.train()(noise_batch(model, (16000, 12000)))  # with gradients it is never cut
    assert model.compiled.num_graphs == 1


def test_a_single_row_has_a_graph_of_its_own_and_no_more(fresh):
    model = make("best_rq").train()
    compile_forward(model, required=True, backend="eager")
    for number, rows in enumerate((2, 1, 3, 1, 4)):
        model(noise_batch(model, [9600 + HOP * number] * rows, seed=number))
    assert model.compiled.num_graphs == 2


def test_kernels_are_kept_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/elsewhere")
    assert keep_kernels(tmp_path / "compiled").endswith("kernels stay in /elsewhere")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    assert str(tmp_path / "compiled") in keep_kernels(tmp_path / "compiled")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    assert "cannot be written" in keep_kernels(tmp_path / "file" / "compiled")
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


@pytest.mark.parametrize(
    ("choice", "whole", "blocks"),
    [("auto", False, False), (False, False, False), (True, False, True), ("whole", True, False)],
)
def test_the_config_says_what_is_compiled(fresh, choice, whole, blocks):
    """On a CPU. Nothing is compiled before the first batch."""
    model = tiny_model("hubert")
    Updater(model, tiny_config("hubert").model_copy(update={"compile": choice}), SINGLE, max_update=4)
    assert (model.compiled is not None) == whole
    assert [block._compiled_call_impl is not None for block in model.encoder.blocks] == [blocks] * 2
