"""Slot filling: letters with marks where slots begin and end, by Audio SNIPS."""

from collections.abc import Mapping
from pathlib import Path

from espnet2.superb.base import DEV, TEST, TRAIN, AnyProblem, Metric
from espnet2.superb.ctc import CtcProblem, read_texts
from espnet2.superb.metrics.slots import Slot, marked, slot_figures
from espnet2.superb.recurrent import RecurrentRules
from espnet2.superb.rules import Rules, Sizes
from espnet2.superb.slot_tokens import SlotTokens
from espnet2.superb.trained import TrainedTask
from espnet2.utils.errors import UserError


class SfRules(RecurrentRules):
    """s3prl, downstream/ctc/snips.yaml."""


class SlotFilling(TrainedTask):
    """Words in `text`, and in `slots` as many names of slots, O where there is none."""

    name = "sf"
    title = "SF"
    metrics = (Metric("f1", "F1", True), Metric("cer", "CER", False))
    rules_type = SfRules
    sizes = Sizes(train=104_672, dev=2_800, test=2_800)  # eight voices, and four other ones twice
    notes = ("no end mark behind a text; s3prl appends one",)

    def problems(self, data: Path, rules: Rules, sample_rate: int) -> list[AnyProblem]:
        assert isinstance(rules, RecurrentRules)
        sets = {part: _marked_set(data, part) for part in (TRAIN, DEV, TEST)}
        tokens = SlotTokens(sets[TRAIN][1].values())
        if not any(Slot.begins(symbol) for symbol in tokens.symbols):
            raise UserError(f"{sets[TRAIN][0]}/slots: no slot at all: nothing to fill")
        for part in (DEV, TEST):
            if not any(Slot.begins(word) for text in sets[part][1].values() for word in text.split()):
                raise UserError(f"{sets[part][0]}/slots: no slot at all: nothing to judge by")
        return [CtcProblem("", sets, tokens, self.hearing, sample_rate, rules, rules.head, slot_figures)]


def _marked_set(data: Path, part: str) -> tuple[Path, Mapping[str, str]]:
    """The folder, and the texts with marks.

    Raises:
        UserError: as `read_texts`; or a line has not as many slots as words.
    """
    folder, texts = read_texts(data, part)
    _, slots = read_texts(data, part, "slots")
    for utt_id, text in texts.items():
        words, names = text.split(), slots[utt_id].split()
        if len(words) != len(names):
            raise UserError(f"{folder}/slots: {utt_id} has {len(names)} slots, its text {len(words)} words")
    return folder, {utt_id: marked(text.split(), slots[utt_id].split()) for utt_id, text in texts.items()}
