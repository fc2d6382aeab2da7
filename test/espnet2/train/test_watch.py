"""Figures of log intervals in, warnings of a collapse out: of which entry, when, and how often."""

from types import SimpleNamespace

from espnet2.train.watch import TrainingWatch


def watch_of(*entries: str) -> TrainingWatch:
    """A model whose objectives complain about any low figure."""

    def warnings(figures, update):
        return [f"{name} is {value:.2f}: low" for name, value in figures.items() if value < 0.5]

    objective = SimpleNamespace(warnings=warnings)
    objectives = dict.fromkeys(entries, objective)
    return TrainingWatch(SimpleNamespace(objectives=objectives, entries=objectives.items))


def test_a_kind_is_told_once():
    watch = watch_of("dinosr")
    told = [watch.look({"spread": 0.1 + 0.01 * step}, 100 * step) for step in range(1, 22)]
    assert [step for step, texts in enumerate(told, 1) if texts] == [1]
    assert told[0] == ["update 100: loss (dinosr): spread is 0.11: low"]
    assert watch.look({"spread": 0.1, "other": 0.2}, 2300) == ["update 2300: loss (dinosr): other is 0.20: low"]


def test_healthy_figures_are_silent():
    assert watch_of("dinosr").look({"spread": 0.9}, 100) == []


def test_each_entry_sees_its_own_figures():
    warnings = watch_of("dinosr", "hubert").look({"loss": 0.0, "dinosr.spread": 0.9, "hubert.spread": 0.1}, 50)
    assert warnings == ["update 50: loss (hubert): spread is 0.10: low"]
