"""The task of a CTC probe: the utterances, with transcripts or phones, that it learns and is scored on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from espnet2.data.choose import choose_frames
from espnet2.data.index import AudioIndex
from espnet2.evaluate.part import EvaluationRequest, scratch_folder
from espnet2.evaluate.probes.cells import Figures
from espnet2.evaluate.probes.ctc import SpokenSet, fit_ctc
from espnet2.evaluate.probes.linear import standardise
from espnet2.evaluate.probes.row import TaskFacts
from espnet2.text.ctc import CtcTokens, TextRules, error_rates, frames_needed
from espnet2.units.aligned import AlignedSet, collect, common_counts
from espnet2.units.features import FeatureExtractor
from espnet2.units.transcripts import SkippedTask, read_texts
from espnet2.utils.errors import UserError


class CtcTask:
    """Greedy CTC recognition; the token list is made of the training texts."""

    def __init__(
        self,
        request: EvaluationRequest,
        extractors: Sequence[FeatureExtractor],
        rules: TextRules,
        *,
        linear: bool = False,
        token_list: Path | None = None,
        bpe_model: Path | None = None,
    ) -> None:
        """Choose the utterances.

        Raises:
            SkippedTask: no transcripts, or none of the chosen utterances has text.
            UserError: as `CtcTokens`.
        """
        self.rules, self.linear, self.frame_rate = rules, linear, request.frame_rate
        chosen = [_chosen(*limited_set, request, extractors, rules) for limited_set in request.limited_sets]
        self._sets = [aligned for aligned, _ in chosen]
        (train_texts, self.references) = (texts for _, texts in chosen)
        if token_list is not None:
            self.tokens = CtcTokens.of_list(token_list, rules, bpe_model)
        else:
            model = scratch_folder(request.exp, "probes") / f"{rules.token_type}.model"
            self.tokens = CtcTokens.of_texts(train_texts, rules, model)
        ids = [self.tokens.encode(text) for text in train_texts]
        fits = np.array([frames_needed(target) <= n for target, n in zip(ids, self._sets[0].frame_counts, strict=True)])
        if not fits.any():
            raise SkippedTask(f"all transcripts have more {rules.token_type} tokens than their utterances frames")
        self.notes: tuple[str, ...] = ()
        if not fits.all():
            self.notes = (
                f"CTC on {rules.token_type}: {int((~fits).sum()):,} of {len(fits):,} training utterances have more "
                f"tokens than frames (at {request.frame_rate:g} per second) and are left out",
            )
        self._sets[0] = _without(self._sets[0], fits)
        self._targets = tuple(torch.from_numpy(target) for target, fit in zip(ids, fits, strict=True) if fit)
        self.tested_on = str(request.valid_set)

    def describe(self) -> TaskFacts:
        """What stands in every row of the task."""
        return TaskFacts(
            num_train=len(self._targets),
            num_valid=len(self.references),
            majority=None,
            tested_on=self.tested_on,
            token_type=self.rules.token_type,
            num_tokens=len(self.tokens.symbols),
            probe="linear" if self.linear else "blstm",
        )

    def spoken(self, extractor: FeatureExtractor) -> tuple[SpokenSet, SpokenSet]:
        """Both sides of one system."""
        train, test = (collect(aligned, extractor, self.frame_rate) for aligned in self._sets)
        standardise(train, test)
        counts = [tuple(aligned.frame_counts.tolist()) for aligned in self._sets]
        return SpokenSet(train, counts[0], self._targets), SpokenSet(test, counts[1], ())

    def score(self, spoken: tuple[SpokenSet, SpokenSet], seed: int, device: str) -> Figures:
        """Learn and decode once: the error rates, and the weights of the layers."""
        result = fit_ctc(*spoken, len(self.tokens.symbols), seed=seed, device=device, linear=self.linear)
        heard = [self.tokens.decode(best) for best in result.best]
        return Figures(error_rates(self.references, heard, self.rules.token_type), result.layer_weights)


def _chosen(
    dump_set: Path,
    max_frames: int,
    request: EvaluationRequest,
    extractors: Sequence[FeatureExtractor],
    rules: TextRules,
) -> tuple[AlignedSet, list[str]]:
    """Utterances with text, by a hash of their ids, and their texts."""
    index = AudioIndex.open(dump_set)
    texts = read_texts(dump_set, rules, request.alignments)
    counts = common_counts(index, extractors, request.frame_rate)
    known = np.array([bool(texts.get(index.utt_id(row), "").strip()) for row in range(len(index))])
    if not known.any():
        raise SkippedTask(f"no utterance of {dump_set} has a text")
    rows = choose_frames(index, known & (counts > 0), counts, max_frames)
    if len(rows) == 0:
        raise UserError(f"{dump_set}: no utterance with a text among those chosen for {max_frames} frames; allow more")
    return AlignedSet(index, rows, counts[rows], None), [texts[index.utt_id(int(row))] for row in rows]


def _without(aligned: AlignedSet, kept: np.ndarray) -> AlignedSet:
    return AlignedSet(aligned.index, aligned.rows[kept], aligned.frame_counts[kept], None)
