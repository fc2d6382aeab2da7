"""Healthy histories, planted stalls and two real trainings in; a warning where it is due, and only there, out.

The histories are train lines of history.jsonl, of the first 300 updates of the mini configs (without the figures of
single layers and of the machine), made by `ssl_train --config conf/train_<objective>_mini.yaml --max_update 300
--scheduler_conf.total_steps <max_update of the config> --log_interval_updates 50 --num_threads 1 --num_workers 0`.
"""

import json
import math
from collections import defaultdict
from pathlib import Path

import pytest
from tiny_model import tiny_config, tiny_model
from tiny_training import TINY_CONFIG, command_line, make_corpus, write_config
from training_process import run_training

from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config, resolve_config
from espnet2.train.scheduler import Constant, Linear, schedule_steps
from espnet2.train.stall import StallWatch, is_stalled, judged_from
from espnet2.train.watch import TrainingWatch

# HuBERT in one run is HuBERT for 1,500 updates; what guessing gives to DistilHuBERT is in its own test.
METHODS = [name for name in objective_names() if name not in ("distilhubert", "online_hubert")]
HISTORIES = Path(__file__).parent / "healthy_histories.jsonl"
LABELS = LabelStatistics(
    num_utterances=96,
    num_labels=31003,
    num_classes=100,
    num_used_classes=100,
    entropy_nats=4.44,
    top_class=18,
    top_share=0.037,
    mean_run_labels=2.56,
)


def histories() -> dict[tuple[str, str], list[tuple[int, dict[str, float]]]]:
    """(corpus, objective) -> (update, figures) of each interval."""
    intervals = defaultdict(list)
    for line in map(json.loads, HISTORIES.read_text().splitlines()):
        intervals[line["corpus"], line["objective"]].append((line["update"], line["figures"]))
    return dict(intervals)


def watch_of(objective: str, root: Path) -> TrainingWatch:
    """The watch of a training by the mini config."""
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_{objective}_mini.yaml")
    model = build(config, 100 if objective_class(objective).needs_labels else None)
    first = judged_from(config.scheduler_conf, schedule_steps(config.scheduler_conf, config.max_update))
    assert first <= 300, "a warning must come within 300 updates"
    return TrainingWatch(model, StallWatch(model, {objective: LABELS}, first))


def told(watch: TrainingWatch, intervals: list[tuple[int, dict[str, float]]]) -> list[str]:
    return [text for update, figures in intervals for text in watch.look(figures, update)]


def test_there_is_a_history_of_every_objective_on_synthetic_and_on_real_speech():
    assert {name for corpus, name in histories() if corpus == "mini_espeak"} == set(METHODS)
    real = {name for corpus, name in histories() if corpus == "debian_voices"}
    assert {objective_class(name).target_moves for name in real} == {False, True} and len(real) >= 5


@pytest.mark.parametrize(("corpus", "objective"), sorted(histories()))
def test_healthy_trainings_are_silent(root, corpus, objective):
    assert told(watch_of(objective, root), histories()[corpus, objective]) == []


@pytest.mark.parametrize("objective", METHODS)
def test_a_stall_is_told_once_within_300_updates(root, objective):
    """The healthy history with the figures of each task replaced by those of guessing, one task at a time."""
    intervals = histories()["mini_espeak", objective]
    for number in range(len(watch_of(objective, root).stalls.chances(intervals[0][1]))):
        watch = watch_of(objective, root)
        planted = []
        for update, figures in intervals:
            chance = watch.stalls.chances(figures)[number]
            guessed = {chance.loss_name: chance.loss * 1.01}
            if chance.accuracy_name in figures:
                guessed[chance.accuracy_name] = chance.accuracy
            planted.append((update, figures | guessed))
        planted += [(update + step, planted[-1][1]) for step in (50, 100)]
        texts = [text for text in told(watch, planted) if "stalls" in text]
        assert len(texts) == 1, texts
        assert (
            f"{chance.loss_name} is" in texts[0] and "guessing gives" in texts[0] and "lower optim_conf lr" in texts[0]
        )
        assert int(texts[0].split(":")[0].removeprefix("update ")) <= 300


@pytest.mark.parametrize("objective", METHODS)
def test_a_rising_loss_is_told_where_healthy_ones_do_not_rise(root, objective):
    watch = watch_of(objective, root)
    update, figures = histories()["mini_espeak", objective][-1]
    intervals = [
        (update + 100 * step, figures | {"loss": figures["loss"] * factor})
        for step, factor in enumerate((1.0, 1.1, 1.7, 1.8))
    ]
    (text,) = [text for text in told(watch, intervals) if "rose" in text]
    assert text.startswith(f"update {update + 200}: the loss rose from") and "diverges" in text


def test_what_a_stall_looked_like_on_real_speech(root):
    """Joined real speech at a learning rate of 1.5e-3: loss 4.54 where the labels have 4.44 nats, 6 % right."""
    figures = {"loss": 4.54, "loss_masked": 4.54, "masked_accuracy": 0.060, "unmasked_accuracy": 0.061}
    (text,) = watch_of("hubert", root).look(figures, 300)
    assert text.startswith(
        "update 300: loss_masked is 4.540, and guessing gives 4.440 (the entropy of the labels; ln 100 is 4.61); "
        "masked_accuracy is 6.0 %, guessing gives 3.7 % (the share of the most frequent label); "
        "unmasked_accuracy is 6.1 %"
    )
    assert watch_of("hubert", root).look(figures, 250) == [], "the warm-up is not over"


def test_a_slow_start_on_three_corpora_is_no_stall(root):
    """mini_espeak, debian_voices and mboshi joined at 5e-4, update 300: what the log said."""
    figures = {"loss": 4.163, "loss_masked": 4.163, "masked_accuracy": 0.056, "unmasked_accuracy": 0.057}
    assert watch_of("hubert", root).look(figures, 300) == []


def test_without_labels_at_hand_the_number_of_classes_is_what_guessing_gives():
    model = tiny_model("hubert")
    (chance,) = StallWatch(model, {}, 1).chances({})
    assert (chance.loss_name, chance.loss) == ("loss_masked", pytest.approx(math.log(7)))


def test_the_tasks_of_online_hubert_are_those_that_count_now():
    objective = tiny_model("online_hubert").first
    figures = {"code_perplexity": 20.0, "top_code_share": 0.1}
    for share, names in ((0.0, ["loss_labels"]), (0.5, ["loss_labels", "loss_codes"]), (1.0, ["loss_codes"])):
        tasks = objective.chance(figures | {"own_share": share}, LABELS)
        assert [task.loss_name for task in tasks] == names
    assert tasks[0].loss == pytest.approx(math.log(20)) and tasks[0].is_estimate
    (task,) = objective.chance(figures | {"own_share": 0.0}, None)
    assert (task.loss, task.accuracy) == (pytest.approx(math.log(7)), 0.0)


def test_entries_of_several_losses_keep_their_names():
    config = tiny_config("hubert").model_dump(mode="json")
    config["loss"] += tiny_config("wav2vec2").model_dump(mode="json")["loss"]
    watch = StallWatch(build(resolve_config(config)), {}, 1)
    names = [(chance.loss_name, chance.accuracy_name) for chance in watch.chances({})]
    assert names == [("hubert.loss_masked", ""), ("wav2vec2.loss_contrastive", "wav2vec2.contrastive_accuracy")]


@pytest.mark.parametrize(
    ("loss", "accuracy", "is_estimate", "stalled"),
    [
        (4.40, 0.20, False, True),  # the loss alone, where guessing is known exactly
        (4.30, 0.20, False, False),
        (4.30, 0.04, False, True),  # nearly, and with the accuracy of guessing
        (4.10, 0.04, False, False),
        (4.30, 0.04, True, False),
        (4.40, 0.20, True, False),  # the loss of an estimate proves nothing
        (4.40, 0.04, True, True),
        (float("nan"), 0.04, False, False),  # is skipped and told elsewhere
    ],
)
def test_rules_of_a_stall(loss, accuracy, is_estimate, stalled):
    chance = Chance("loss", 4.44, "", "accuracy", 0.037, "", is_estimate)
    assert is_stalled(chance, {"loss": loss, "accuracy": accuracy}) == stalled


def test_long_warm_ups_are_waited_for():
    assert judged_from(Linear(), 400_000) == 3098
    assert judged_from(Constant(), 150) == 150
    assert judged_from(Constant(), 149) == 150, "a run that is too short is not judged"


def test_a_probe_that_lost_most_is_told_once():
    watch = TrainingWatch(tiny_model("hubert"))
    initial = {"probe_pnmi": 0.44, "probe_rank": 100.0}
    assert watch.look_at_probe(initial, {"probe_pnmi": 0.33, "probe_rank": 40.0}, 500) == []
    (text,) = watch.look_at_probe(initial, {"probe_pnmi": 0.33, "probe_rank": 20.9}, 500)
    assert text.startswith("update 500: probe_rank is 20.9, and was 100.0") and "few dimensions" in text
    (text,) = watch.look_at_probe(initial, {"probe_pnmi": 0.183}, 500)
    assert text.startswith("update 500: probe_pnmi is 0.183, and was 0.440 before the first update")
    assert watch.look_at_probe(initial, {"probe_pnmi": 0.17}, 1000) == []
    assert watch.look_at_probe({}, {"probe_pnmi": 0.01}, 1000) == [], "resumed from a run that did not look"
    assert watch.look_at_probe({"probe_mfcc_information": 0.02}, {"probe_mfcc_information": 0.0}, 1000) == []


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("stall")
    return root, make_corpus(root)


def train(corpus, name: str, lr: float) -> str:
    """300 updates of the tiny config; its train.log."""
    root, paths = corpus
    quiet = {**TINY_CONFIG["encoder_conf"], "dropout": 0.0, "layerdrop": 0.0}
    lengths = {"max_update": 300, "log_interval_updates": 100, "valid_interval_updates": 150}
    probe = {"num_clusters": 5, "seconds": 8.0}
    write_config(root, name, encoder_conf=quiet, optim_conf={"lr": lr}, probe=probe, **lengths)
    assert run_training(command_line(paths, root, root / name, name), log=root / f"{name}.log") == 0
    return (root / name / "train.log").read_text()


def test_a_real_training_at_an_absurd_rate_is_told_and_a_healthy_one_is_not(corpus):
    root, _ = corpus
    stalled, healthy = train(corpus, "stalled", 3.0), train(corpus, "healthy", 3e-3)
    assert "WARNING update 300: loss_masked is 1.6" in stalled and "the training stalls" in stalled
    assert stalled.count("the training stalls") == 1
    assert "WARNING" not in healthy
    for log in (stalled, healthy):
        assert "INFO before the first update: probe_mfcc_information" in log
        assert "against guessing, from update 284 on, and against the start of this run instead" in log
    assert "guessing 1.594: red" in stalled and "guessing 1.594: green" in healthy
    lights = json.loads((root / "stalled/traffic_light.json").read_text())
    assert {row["beside"] for row in lights["rows"]} == {"guessing", "at update 150"} and lights["reference"] is None
    assert lights["rules"].startswith("Loss of a task beside that of guessing")
