"""A task with a head that learns: every problem at every learning rate, the rate that dev prefers, its test."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import torch

from espnet2.superb.audio import HeardSet, Piece
from espnet2.superb.base import DEV, TEST, TRAIN, AnyProblem, Example, Outcome, Setting, Task
from espnet2.superb.cache import FeatureStore, Form
from espnet2.superb.fit import AnyTrainer, Fitted, Read, Trainer
from espnet2.superb.listing import pieces_of
from espnet2.superb.rules import Rules
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, read_json, write_json

PARTS = (TRAIN, DEV, TEST)


class TrainedTask(Task):
    """A task that is one or several problems: folds, languages, or the whole."""

    @abstractmethod
    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        """Read the tables of its sets.

        Raises:
            UserError: a table is missing, malformed, or would give a wrong figure.
        """

    def heard_sets(self, data: Path, rules: Rules, sample_rate: int) -> list[tuple[HeardSet, Form]]:
        sets = [
            (example.heard, problem.form)
            for problem in self.problems(data, rules, sample_rate)
            for part in PARTS
            for example in problem.examples(part)
        ]
        return list(dict.fromkeys(sets))

    def check(self, data: Path, rules: Rules, sample_rate: int) -> dict[str, int]:
        problems = self.problems(data, rules, sample_rate)
        return {part: sum(len(problem.examples(part)) for problem in problems) for part in PARTS}

    def run(self, data: Path, rules: Rules, setting: Setting) -> Outcome | None:
        problems = self.problems(data, rules, setting.store.extractor.geometry.sample_rate)
        cells = [(problem, rate) for problem in problems for rate in setting.rates or (rules.learning_rate,)]
        for number, (problem, rate) in enumerate(cells):
            if number % setting.num_jobs == setting.job - 1:
                self._fit(problem, rules, rate, setting)
        if setting.only_fit:
            return None
        return self._test(problems, rules, setting)

    def trainer(self, problem: AnyProblem, rules: Rules, rate: float, setting: Setting, read: Read) -> AnyTrainer:
        """Of one problem at one rate."""
        extractor = setting.store.extractor
        return Trainer(
            problem, rules, rate, read, num_layers=extractor.num_layers, dim=extractor.dim, seed=setting.seed,
            device=setting.device,
        )  # fmt: skip

    def _fit(self, problem: AnyProblem, rules: Rules, rate: float, setting: Setting) -> Fitted:
        """One cell, if it is not done."""
        files = _files(setting.work, problem.name, rate)
        known = _read(files)
        if known is not None:
            return known
        what = " ".join(filter(None, [setting.system_title, self.name, problem.name, f"at {rate:g}"]))
        reader = Reader(setting, problem)
        trainer = self.trainer(problem, rules, rate, setting, reader)

        def report(line: str) -> None:
            setting.report(f"{what}: {line}")

        dev_part = DEV if problem.dev else TEST
        fitted = trainer.fit(self.metrics[0], files.with_suffix(".checkpoint"), report, dev_part=dev_part)
        with atomic_write(files.with_suffix(".pt"), "wb") as stream:
            torch.save(trainer.model.state_dict(), stream)
        write_json(files, asdict(fitted))
        shown = ", ".join(f"{key} {value:.4f}" for key, value in fitted.dev.items())
        report(f"{dev_part} {shown or 'not finite'} (update {fitted.best_update:,})")
        return fitted

    def _test(self, problems: Sequence[AnyProblem], rules: Rules, setting: Setting) -> Outcome:
        metric = self.metrics[0]
        search: dict[float, list[Fitted]] = {
            rate: [self._fit(problem, rules, rate, setting) for problem in problems]
            for rate in setting.rates or (rules.learning_rate,)
        }
        usable = {rate: fits for rate, fits in search.items() if all(fit.is_finite for fit in fits)}
        if not usable:
            tried = ", ".join(f"{rate:g}" for rate in search)
            raise UserError(f"{self.name}: no training stayed finite at {tried}; try smaller ones: --learning_rates")
        sign = 1 if metric.higher_is_better else -1
        chosen = max(usable, key=lambda rate: sign * fmean(fit.dev[metric.key] for fit in usable[rate]))
        figures = [self._figures(problem, rules, chosen, setting) for problem in problems]
        fits = usable[chosen]
        notes = [] if all(problem.dev for problem in problems) else [
            "no dev set: the checkpoint was chosen on test, as s3prl does for this task"
        ]  # fmt: skip
        return Outcome(
            {key: fmean(of_problem[key] for of_problem in figures) for key in figures[0]},
            {
                "learning_rate": chosen,
                "search": [fit.as_json() for fits_of_rate in search.values() for fit in fits_of_rate],
                "layer_weights": [fmean(weights) for weights in zip(*(fit.layer_weights for fit in fits), strict=True)],
                "dev": {key: fmean(fit.dev[key] for fit in fits) for key in fits[0].dev},
                "problems": {problem.name: values for problem, values in zip(problems, figures, strict=True)},
                "notes": [
                    *notes,
                    *(f"{problem.name} {note}".strip() for problem in problems for note in problem.notes),
                ],
            },
        )

    def _figures(self, problem: AnyProblem, rules: Rules, rate: float, setting: Setting) -> dict[str, float]:
        """Of the test set, with the head that dev chose."""
        trainer = self.trainer(problem, rules, rate, setting, Reader(setting, problem))
        state = torch.load(
            _files(setting.work, problem.name, rate).with_suffix(".pt"), map_location=setting.device, weights_only=True
        )
        trainer.model.load_state_dict(state)
        return problem.score(TEST, trainer.answers(TEST))


class Reader:
    """Example -> its features: means are held in memory, frames are read when they are asked for."""

    def __init__(self, setting: Setting, problem: AnyProblem) -> None:
        self.store: FeatureStore = setting.store
        self.form: Form = problem.form
        heard_sets = {example.heard for part in PARTS for example in problem.examples(part)}
        self.pieces = {heard: pieces_of(self.store, heard, self.form, setting.report) for heard in heard_sets}
        self._held: dict[str, torch.Tensor] = {}

    def piece(self, example: Example) -> Piece:
        """Its audio, as it was listed."""
        return self.pieces[example.heard][example.utt_id]

    def __call__(self, example: Example) -> torch.Tensor:
        """(layers, frames, dim), or (layers, dim)."""
        piece = self.piece(example)
        features = self._held.get(piece.hash)
        if features is None:
            features = self.store.get(example.heard, piece, self.form)
            if self.form == "mean":
                self._held[piece.hash] = features
        return features


def _files(work: Path, problem: str, rate: float) -> Path:
    """The result of a cell; its head lies beside."""
    return work / (problem or "all") / f"rate_{rate:g}.json"


def _read(path: Path) -> Fitted | None:
    values = read_json(path)
    if values is None or not path.with_suffix(".pt").is_file():
        return None
    return Fitted(**{**values, "layer_weights": tuple(values["layer_weights"])})
