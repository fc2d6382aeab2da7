"""The traffic light of a training: each validation, judged by reference curves or by the run itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from espnet2.pretrain.own_run import RULES as OWN_RULES
from espnet2.pretrain.own_run import OwnRun
from espnet2.pretrain.reference import RULES, Light, Reference, Subject, read_references
from espnet2.pretrain.run_files import LIGHTS_NAME, CurveJson, LightJson, LightsJson, SubjectJson
from espnet2.train.state import Validation
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

ORDER = ("green", "yellow", "red")


class TrafficLight:
    """Judges each validation; of all of them, those before a break too, it keeps one file for the report."""

    def __init__(
        self, directory: Path, subject: Subject, reference: Reference | None, reason: str, own_run: OwnRun | None = None
    ) -> None:
        self.directory, self.subject, self.reference, self.reason = directory, subject, reference, reason
        self.own_run = own_run if reference is None else None

    @classmethod
    def open(
        cls, directory: Path, subject: Subject, setting: str, path: Path | None, own_run: OwnRun | None = None
    ) -> "TrafficLight":
        """Look for a reference of the same config and data.

        Args:
            directory: exp/<name>.
            setting: the key `reference` of the config.
            path: a file of references, if there is one.
            own_run: what to compare the run with where there is no such reference; not used if `setting` is none.
        """
        if setting == "none":
            return cls(directory, subject, None, "off (reference is none)")
        if path is None:
            return cls(directory, subject, None, "none, as no curves come with this config", own_run)
        try:
            references = read_references(path)
        except UserError as error:
            return cls(directory, subject, None, f"none: {error}", own_run)
        reasons = {reference.corpus: reference.mismatch(subject) for reference in references}
        for reference in sorted(references, key=lambda reference: abs(reference.subject.updates - subject.updates)):
            if not reference.mismatch(subject):
                return cls(directory, subject, reference.for_probe(subject.probe), "")
        listed = "; ".join(f"{corpus}: {why}" for corpus, why in reasons.items()) or "it is empty"
        reason = f"none, as no curve of {path.name} is of such a training: {listed}"
        return cls(directory, subject, None, reason, own_run)

    def describe(self) -> str:
        """One line for the log, before the training."""
        if self.reference is None:
            instead = f"; {self.own_run.describe()} instead" if self.own_run else ""
            return f"traffic light: {self.reason}{instead}"
        runs, updates = len(self.reference.runs), self.reference.subject.updates
        same_length = updates == self.subject.updates
        length = "" if same_length else "; compared at the same share of the run, with a wider spread"
        return (
            f"traffic light: against {runs} run{'s' * (runs > 1)} of {updates:,} updates on {self.reference.corpus} "
            f"({', '.join(self.reference.curves)}; spread {self.reference.spread_rule}){length}"
        )

    def look(self, validations: Sequence[Validation], initial: Mapping[str, float]) -> tuple[str, str]:
        """Judge all validations so far and keep the file up to date.

        Args:
            initial: what the probe found before the first update; empty where it is not known.

        Returns:
            A line about the last one and its worst light; both "" where nothing can be compared.
        """
        rows: list[Light] = []
        if self.reference is not None:
            for validation in validations:
                rows += self.reference.judge(validation, self.subject.updates)
        elif self.own_run is not None:
            rows = self.own_run.judge(validations, initial)
        self._write(rows)
        last = [light for light in rows if light.update == validations[-1].update]
        if not last:
            return "", ""
        text = "; ".join(light.describe() for light in last)
        worst = max((light.light for light in last), key=ORDER.index)
        return f"traffic light at update {last[0].update}: {text}", worst

    def _write(self, rows: Sequence[Light]) -> None:
        reference = self.reference
        value: LightsJson = {
            "subject": cast(SubjectJson, asdict(self.subject)),
            "rules": OWN_RULES if self.own_run else RULES,
            "reason": self.reason,  # why there is no reference; "" where there is
            "rows": [cast(LightJson, row._asdict()) for row in rows],
            "reference": None,
        }
        if reference is not None:
            value["reference"] = {
                "corpus": reference.corpus,
                "updates": reference.subject.updates,
                "runs": list(reference.runs),
                "spread": reference.spread_rule,
                "curves": {name: cast(CurveJson, asdict(curve)) for name, curve in reference.curves.items()},
            }
        write_json(self.directory / LIGHTS_NAME, value)
