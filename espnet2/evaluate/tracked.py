"""An evaluated experiment in, its figures, pictures and audio in the trackers that showed the training out."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from espnet2.evaluate.examples.part import Examples, ExamplesJson
from espnet2.evaluate.examples.picture import draw_example
from espnet2.evaluate.report.experiment import Experiment
from espnet2.train.tracking import Figures, Item, MediaFile, Tracker, load_writers, read_record
from espnet2.utils.config import load_yaml
from espnet2.utils.errors import UserError


def track_evaluation(experiment: Experiment, warn: Callable[[str], None]) -> None:
    """Add to the runs of a finished training what its evaluation says of the model; what they have is not sent again.

    Args:
        warn: gets what a tracker could not do, which is no error of the evaluation.
    """
    updates = experiment.updates
    if experiment.done is None or not updates or not experiment.parts or not experiment.config_file.is_file():
        return
    named = load_yaml(experiment.config_file).get("tracker")
    for name in named if isinstance(named, list) else []:
        try:
            writers = load_writers([name])
        except UserError as error:
            warn(f"the evaluation is not sent to a tracker: {error}")
            continue
        for tracker_name, writer in writers.items():
            if writer.purges or read_record(experiment.directory, tracker_name):
                _send(experiment, updates, Tracker(tracker_name, writer, experiment.directory, warn))


def _send(experiment: Experiment, updates: int, tracker: Tracker) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        items = [*_figures(experiment, updates), *_examples(experiment, updates, Path(scratch))]
        tracker.start({}, updates)
        for item in items:
            tracker.put(item)
        tracker.close()


def _figures(experiment: Experiment, updates: int) -> list[Item]:
    """The figures that speak for the model, by the keys of their kinds."""
    figures = {m.kind.key: m.value for m in experiment.measures if m.best and m.system == "model"}
    return [Figures("eval", updates, figures, is_final=True)] if figures else []


def _examples(experiment: Experiment, updates: int, scratch: Path) -> list[Item]:
    """Picture and audio of each example whose audio is still there."""
    folder = experiment.directory / "eval"
    result = cast(ExamplesJson, experiment.parts.get(Examples.name, {}))
    items: list[Item] = []
    for number, utterance in enumerate(result.get("utterances", []), 1):
        audio, picture = folder / utterance["audio"], scratch / f"{number}.png"
        if audio.is_file():
            draw_example(utterance, folder, picture)
            items += [MediaFile(f"examples/{number}_units", updates, picture)]
            items += [MediaFile(f"examples/{number}_audio", updates, audio)]
    return items
