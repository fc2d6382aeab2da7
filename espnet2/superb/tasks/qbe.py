"""Query by example: which documents a spoken query is in, by QUESST 2014 (English); nothing is trained."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.base import DEV, TEST, Metric, Outcome, Setting, Task, set_folder
from espnet2.superb.cache import FeatureStore, Form
from espnet2.superb.listing import pieces_of
from espnet2.superb.metrics.mtwv import maximum_twv
from espnet2.superb.rules import Rules
from espnet2.superb.spoken_queries import documents_of, query_scores, seconds_per_frame, standardised
from espnet2.utils.errors import UserError
from espnet2.utils.files import read_json, write_json
from espnet2.utils.kaldi_table import read_table
from espnet2.utils.progress import Progress

DOCUMENTS = "docs"


class QbeRules(Rules):
    """s3prl, downstream/quesst14_dtw/config.yaml: nothing learns, so that no key changes anything."""


class QueryByExample(Task):
    """`docs/wav.scp`, and queries with their documents in `{dev,test}/{wav.scp,matches}`."""

    name = "qbe"
    title = "QbE"
    metrics = (Metric("mtwv", "MTWV", True, as_percent=False),)
    rules_type = QbeRules
    hearing = Hearing(gain_db=-3.0)  # s3prl, quesst14_dtw/dataset.py

    def heard_sets(self, data: Path, rules: Rules, sample_rate: int) -> list[tuple[HeardSet, Form]]:
        folders = [set_folder(data, DOCUMENTS), *(set_folder(data, part, "matches") for part in (DEV, TEST))]
        return [(HeardSet(folder, self.hearing, sample_rate), "frames") for folder in folders]

    def check(self, data: Path, rules: Rules, sample_rate: int) -> dict[str, int]:
        docs, *queries = (heard for heard, _ in self.heard_sets(data, rules, sample_rate))
        known = {item.utt_id for item in docs.items()}
        counts = {DOCUMENTS: len(known)}
        for part, heard in zip((DEV, TEST), queries, strict=True):
            matches = _read_matches(heard.folder)
            names = {item.utt_id for item in heard.items()}
            for query, documents in matches.items():
                absent = sorted(documents - known)
                if query not in names or absent:
                    what = f"document {absent[0]} is not in {docs.folder}/wav.scp" if absent else "it has no audio"
                    raise UserError(f"{heard.folder}/matches: query {query}: {what}; both have to be of one corpus")
            everywhere = [query for query, documents in matches.items() if documents == known]
            if everywhere:
                raise UserError(
                    f"{heard.folder}/matches: query {everywhere[0]} is in all {len(known)} documents: an MTWV needs "
                    "some without it"
                )
            if not any(matches.get(name) for name in names):
                raise UserError(f"{heard.folder}/matches: no query is in any document: an MTWV needs some")
            counts[part] = len(names)
        return counts

    def search_seconds(self, store: FeatureStore, num_frames: Mapping[str, float]) -> float | None:
        """All layers on dev, one on test."""
        layers, dim = store.extractor.num_layers, store.extractor.dim
        asked = layers * num_frames[DEV] + num_frames[TEST]
        return asked * seconds_per_frame(num_frames[DOCUMENTS], dim)

    def run(self, data: Path, rules: Rules, setting: Setting) -> Outcome | None:
        """The layer that is best on dev, on test."""
        if setting.only_fit and setting.job > 1:
            return None  # one job: nothing is trained
        rate = setting.store.extractor.geometry.sample_rate
        docs, dev, test = (heard for heard, _ in self.heard_sets(data, rules, rate))
        kept = setting.work / "layers.json"
        of_dev = {int(layer): value for layer, value in (read_json(kept) or {}).items()}
        for index, layer in enumerate(setting.store.extractor.layers):
            if layer not in of_dev:
                of_dev[layer] = self._value(setting, docs, dev, index)
                setting.report(f"{setting.system_title} qbe: layer {layer}: dev MTWV {of_dev[layer]:.4f}")
                write_json(kept, of_dev)
        if setting.only_fit:
            return None
        best = max(of_dev, key=lambda layer: of_dev[layer])
        value = self._value(setting, docs, test, setting.store.extractor.layers.index(best))
        return Outcome({"mtwv": value}, {"layer": best, "dev": {"mtwv": of_dev[best]}, "layers": of_dev})

    def _value(self, setting: Setting, docs: HeardSet, queries: HeardSet, index: int) -> float:
        """MTWV of one layer."""
        documents, asked = standardised(_frames(setting, docs, index), _frames(setting, queries, index))
        groups = documents_of(documents)
        progress = Progress(
            f"{setting.system_title} qbe: queries of {queries.folder}", len(asked), report=setting.report
        )
        scores: dict[str, Mapping[str, float]] = {}
        for name, frames in asked.items():
            scores[name] = query_scores(frames, groups)
            progress.add()
        return maximum_twv(scores, _read_matches(queries.folder))


def _frames(setting: Setting, heard: HeardSet, index: int) -> dict[str, np.ndarray]:
    """Utterance -> (frames, dim) of a layer."""
    pieces = pieces_of(setting.store, heard, "frames", setting.report)
    return {name: setting.store.get(heard, piece, "frames")[index].numpy() for name, piece in pieces.items()}


def _read_matches(folder: Path) -> dict[str, set[str]]:
    """<part>/matches: "<query> <document> ..."; a query that no document holds has an empty line, or none."""
    return {query: set(value.split()) for query, value in read_table(folder / "matches").items()}
