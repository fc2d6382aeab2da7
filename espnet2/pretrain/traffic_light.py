"""The traffic light of a training: each validation, judged against reference curves, in traffic_light.json."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from espnet2.pretrain.reference import RULES, Light, Reference, Subject, read_references
from espnet2.pretrain.run_files import LIGHTS_NAME, CurveJson, LightJson, LightsJson, SubjectJson
from espnet2.train.state import Validation
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

ORDER = ("green", "yellow", "red")


class TrafficLight:
    """Judges each validation; of all of them, those before a break too, it keeps one file for the report."""

    def __init__(self, directory: Path, subject: Subject, reference: Reference | None, reason: str) -> None:
        self.directory, self.subject, self.reference, self.reason = directory, subject, reference, reason

    @classmethod
    def open(cls, directory: Path, subject: Subject, setting: str, path: Path | None) -> "TrafficLight":
        """Look for a reference of the same config and data.

        Args:
            directory: exp/<name>.
            setting: the key `reference` of the config.
            path: a file of references, if there is one.
        """
        if path is None:
            reason = "off (reference is none)" if setting == "none" else "none, as no curves come with this config"
            return cls(directory, subject, None, reason)
        try:
            references = read_references(path)
        except UserError as error:
            return cls(directory, subject, None, f"none: {error}")
        reasons = {reference.corpus: reference.mismatch(subject) for reference in references}
        for reference in sorted(references, key=lambda reference: abs(reference.subject.updates - subject.updates)):
            if not reference.mismatch(subject):
                return cls(directory, subject, reference.for_probe(subject.probe), "")
        listed = "; ".join(f"{corpus}: {why}" for corpus, why in reasons.items()) or "it is empty"
        return cls(directory, subject, None, f"none, as no curve of {path.name} is of such a training: {listed}")

    def describe(self) -> str:
        """One line for the log, before the training."""
        if self.reference is None:
            return f"traffic light: {self.reason}"
        runs, updates = len(self.reference.runs), self.reference.subject.updates
        same_length = updates == self.subject.updates
        length = "" if same_length else "; compared at the same share of the run, with a wider spread"
        return (
            f"traffic light: against {runs} run{'s' * (runs > 1)} of {updates:,} updates on {self.reference.corpus} "
            f"({', '.join(self.reference.curves)}; spread {self.reference.spread_rule}){length}"
        )

    def look(self, validations: Sequence[Validation]) -> tuple[str, str]:
        """Judge all validations so far and keep the file up to date.

        Returns:
            A line about the last one and its worst light; both "" where nothing can be compared.
        """
        rows = [
            light
            for validation in validations
            for light in (self.reference.judge(validation, self.subject.updates) if self.reference else [])
        ]
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
            "rules": RULES,
            "reason": self.reason,  # why there is no light; "" where there are
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
