"""The figures of an experiment in, what they mean in plain sentences out: is it any good, and what is not known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from espnet2.evaluate.measure import ONE_SEED_MARGIN, Against
from espnet2.evaluate.parts import PARTS
from espnet2.evaluate.report.experiment import Experiment
from espnet2.evaluate.report.measures import KINDS, comparisons, headline
from espnet2.evaluate.spread import MEANING, spread_text, with_spread
from espnet2.pretrain.run_files import LightJson

NAMES = {"mfcc": "MFCC", "logmel": "log-mel", "untrained": "the same model untrained"}


@dataclass(frozen=True)
class Verdict:
    """The answer in one line."""

    level: str  # good, fair, poor, unknown: a class of style.css
    title: str
    text: str


@dataclass(frozen=True)
class Card:
    """One measure of the model beside its baselines."""

    title: str
    question: str
    value: str
    details: str  # spread and layer
    against: tuple[tuple[str, str], ...]  # (better, worse or equal; a sentence about one baseline)


def judge(experiment: Experiment) -> Verdict:
    """Whether the model is better than what it has to beat."""
    compared = comparisons(experiment.measures)
    if not compared:
        return Verdict(
            "unknown", "Not known yet", "No figure of this model can be compared with a baseline: see below."
        )
    counts = Counter(comparison.verdict for comparison in compared)
    won = _names(compared, "better")
    if counts["better"] == len(compared):
        titles = list(dict.fromkeys(comparison.model.kind.title for comparison in compared))
        where = f"in {titles[0]}, the only measure taken" if len(titles) == 1 else f"in all of {join_words(titles)}"
        return Verdict("good", "Better than all baselines", f"The model clearly beats {won}, {where}.")
    if counts["better"] > counts["worse"]:
        return Verdict(
            "fair",
            "Better than the baselines in part" + ("" if counts["worse"] else ", worse in nothing"),
            f"Of {len(compared)} comparisons with {_names(compared)} it wins {counts['better']} clearly, loses "
            f"{counts['worse']}, and {counts['equal']} differ by less than the spread.",
        )
    if counts["worse"] > counts["better"]:
        return Verdict(
            "poor",
            "Not better than the baselines",
            f"Of {len(compared)} comparisons with {_names(compared)} it loses {counts['worse']} clearly and wins "
            f"{counts['better']}: for these tasks its features are not worth their cost yet.",
        )
    return Verdict(
        "fair",
        "About as good as the baselines",
        f"Of {len(compared)} comparisons with {_names(compared)} it wins {counts['better']} and loses "
        f"{counts['worse']} clearly; the others differ by less than the spread.",
    )


def _names(compared: Sequence[Against], verdict: str | None = None) -> str:
    systems = dict.fromkeys(
        comparison.baseline.system for comparison in compared if verdict in (None, comparison.verdict)
    )
    return join_words([NAMES[system] for system in systems])


def join_words(words: Sequence[str]) -> str:
    """
    >>> join_words(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def cards(experiment: Experiment) -> list[Card]:
    """One for each measure that was taken."""
    measures = experiment.measures
    against = comparisons(measures)
    shown = []
    for kind in KINDS.values():
        model = headline(measures, kind.key)
        if model:
            sentences = tuple(
                (comparison.verdict, _sentence(comparison)) for comparison in against if comparison.model is model
            )
            where = model.where or ("mix of layers" if kind.mixes_layers else "")
            spread = spread_text(model.spread, as_percent=kind.as_percent)
            details = " · ".join(filter(None, [spread, where, model.basis]))
            shown.append(Card(kind.title, kind.question, kind.text(model.value), details, sentences))
    return shown


def _sentence(against: Against) -> str:
    base = against.baseline
    name = {"untrained": "untrained"}.get(base.system, NAMES[base.system])
    words = {"better": "better than", "worse": "worse than", "equal": "no clear difference from"}[against.verdict]
    return f"{words} {name}: {base.text}"


@dataclass(frozen=True)
class Lamp:
    """One figure of the last validation beside earlier runs."""

    level: str  # green, yellow, red
    text: str


def lamps(experiment: Experiment) -> tuple[list[Lamp], str]:
    """The traffic light of the last validation that has one, and what it was compared with, or why there is none."""
    lights = experiment.lights
    if lights is None:
        return [], "No traffic light: this training was not compared with reference curves."
    rows, reference = lights.get("rows", []), lights.get("reference")
    if not rows:
        return [], f"No traffic light: {lights.get('reason') or 'no validation lies within the reference curves'}."
    last = max(row["update"] for row in rows)
    shown = [
        Lamp(
            row["light"],
            f"{row['figure'].replace('_', ' ')} {row['value']:.3f} at update {last:,}, {_beside(row)}",
        )
        for row in rows
        if row["update"] == last
    ]
    if not reference:
        reason = lights.get("reason") or "none"
        return shown, f"Traffic light: against guessing and the start of this training; reference: {reason}."
    runs = len(reference["runs"])
    note = f"Traffic light: against {runs} earlier run{'s' * (runs != 1)} of this config on {reference['corpus']}."
    return shown, note


def _beside(row: LightJson) -> str:
    """What a light compares its figure with; files that are older have references only."""
    if (beside := row.get("beside", "reference")) != "reference":
        return f"{beside} {row['mean']:.3f}"
    return f"reference {with_spread(row['mean'], row['spread'])}"


def missing(experiment: Experiment) -> list[str]:
    """What is not known about this model, and how to find out."""
    sentences = []
    if not experiment.history:
        sentences.append("No history.jsonl: the curves of the training are not here (packed models come without it).")
    elif experiment.done is None:
        sentences.append(f"The training has not ended (no train.done): it has reached update {experiment.updates:,}.")
    command = (
        f"python -m espnet2.bin.ssl_evaluate, or stage 8 of the recipe with --eval full, for {experiment.directory}"
    )
    lacking = [f"{part.title} ({part.summary})" for name, part in PARTS.items() if name not in experiment.parts]
    if lacking:
        sentences.append(f"Not computed: {'; '.join(lacking)}. To have them: {command}.")
    sentences += [f"{path} is no result of an evaluation and was left out." for path in experiment.unreadable]
    sentences += [f"{path} is damaged or cut short and was left out." for path in experiment.damaged]
    for name, result in experiment.parts.items():
        title = PARTS[name].title if name in PARTS else name
        sentences += [f"In {title}: {note.rstrip('.')}." for note in result.get("notes", [])]
    return sentences


def method_note(experiment: Experiment) -> str:
    """How the differences were judged."""
    spread = f"{MEANING}. "
    rule = "A difference counts as clear where it exceeds both spreads together"
    margin = f"; without spreads, where it exceeds {ONE_SEED_MARGIN:g} (one percentage point)."
    return f"{spread}{rule}{margin}" if comparisons(experiment.measures) else ""
