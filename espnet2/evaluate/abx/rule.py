"""What a figure of ABX is of: which stretches of speech, compared in which context, cut by which clock."""

from typing import NamedTuple

from espnet2.evaluate.abx.clock import CLOCKS, Clock

TRIPHONE, PHONEME = "triphone", "phoneme"


class Condition(NamedTuple):
    """Which stretches are compared, and whether all of them must have the same neighbours. ZeroSpeech 2021's names."""

    span: str  # triphone: with the phone before and the phone after it; phoneme: the phone alone
    context: str  # within: A, B and X between the same two phones; any: between whatever phones

    @property
    def name(self) -> str:
        return f"{self.span}-{self.context}"


CONDITIONS = {
    condition.name: condition
    for condition in (Condition(TRIPHONE, "within"), Condition(PHONEME, "within"), Condition(PHONEME, "any"))
}


class Rule(NamedTuple):
    """Everything that two figures must share to be compared."""

    source: str  # name of the file whose items they are: phones.ctm, dev-clean.item
    span: str  # of Condition
    context: str  # of Condition
    clock: str  # of CLOCKS

    @classmethod
    def of(cls, source: str, condition: Condition, clock: Clock) -> "Rule":
        return cls(source, condition.span, condition.context, clock.name)

    @property
    def condition(self) -> Condition:
        return Condition(self.span, self.context)

    def describe(self) -> str:
        """A sentence for the notes."""
        pieces = {
            TRIPHONE: "a phone with the phone before and the phone after it",
            PHONEME: "a phone alone",
        }
        contexts = {
            "within": "A, B and X lie between the same two phones",
            "any": "A, B and X lie between any phones",
        }
        return (
            f"ABX {self.condition.name}: items of {self.source}, {pieces[self.span]}; {contexts[self.context]}; "
            f"{self.clock} clock: {CLOCKS[self.clock].rule}"
        )


OLDER = Rule("phones.ctm", TRIPHONE, "within", "window")  # of files that do not say it
