"""A random generator in, one English sentence out: a toy grammar of our own, so no licence is attached."""

import re
from random import Random

# A rule's alternatives may name other rules in braces; `make_sentence` starts from "sentence".
# The words were chosen to cover every phone of English, the rare ones (ʒ, ɔɪ, ð, ŋ, ʊ) too.
RULES: dict[str, tuple[str, ...]] = {
    "sentence": (
        "{subject} {past} {object} {where}",
        "{when}, {subject} {past} {object}",
        "{when}, {subject} {past} {object} {where}",
        "{subject} {past} {object}, {joint} {subject} {past} {object}",
        "did {subject} {base} {object} {where}?",
        "{person} and {person} {past} {count} {plural} {where}",
        "please {base} {object}, then {base} {object}",
        "there were {count} {adjective} {plural} {where}",
        "who will {base} {object} {where}?",
        "{count} {plural} and {count} {plural} were {where}",
        "if {subject} {past} {object}, we could {base} {object}",
    ),
    "subject": ("{determiner} {noun}", "{determiner} {adjective} {noun}", "{person}", "{determiner} {noun} {where}"),
    "object": ("{determiner} {noun}", "{determiner} {adjective} {noun}", "{count} {adjective} {plural}"),
    "determiner": ("the", "the", "a", "this", "that", "every", "my", "your", "our", "his", "their", "another"),
    "joint": ("and", "but", "because", "while", "though", "until"),
    "person": tuple(
        "Anna George Ruth Joyce Thomas Sheila Hugh Yvonne Zachary Victor Oscar Judith Floyd Beth Chuck Paula "
        "Wayne Eugene Asia Dwight Vivian Howard Noah Lucy Keith".split()
    ),
    "adjective": tuple(
        "small yellow quiet broken early heavy smooth orange thin azure joyful rough chief foolish vague young cheap "
        "huge rosy loud purple strong good worthy other fresh visual noisy royal famous bitter long shiny deep "
        "brown yearly wild mature".split()
    ),
    "noun": tuple(
        "dog river garden teacher judge measure voice bridge window pilot church machine island thumb village treasure "
        "boy king shoe path house garage cook bush pleasure feather mouth engine toy cloth singer bird book "
        "square ear uncle leather usher hood vision oyster beach mirage world finger yacht valley whale".split()
    ),
    "plural": tuple(
        "apples wolves months clothes judges shoes toys mirrors boxes foxes leaves cups eggs youths nurses coins "
        "kings pictures watches brothers paths treasures songs cows points ships doors".split()
    ),
    "count": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "both"),
    "past": tuple(
        "found made watched carried pushed joined chose thanked enjoyed forgot heard caught measured brought loved "
        "followed showed pulled took avoided understood imagined bathed cooked noticed changed destroyed "
        "borrowed drew wrapped".split()
    ),
    "base": tuple(
        "find make watch carry push join choose thank enjoy forget hear catch measure bring love follow show pull "
        "take avoid understand imagine bathe cook notice change destroy borrow draw wrap".split()
    ),
    "where": (
        "near the water",
        "under this bridge",
        "with both hands",
        "after the show",
        "without a sound",
        "beside the road",
        "in another country",
        "beyond the northern shore",
        "through the tall grass",
        "on the rusty anchor",
        "from the old kitchen",
        "by the white wall",
        "along the eastern coast",
        "behind the broken door",
        "among the bushes",
        "above the quiet town",
        "at the royal court",
        "inside the wooden box",
    ),
    "when": (
        "yesterday",
        "before noon",
        "on Thursday",
        "usually",
        "tonight",
        "every other month",
        "last August",
        "long ago",
        "in the evening",
        "this morning",
        "after five hours",
        "at first",
        "once a year",
    ),
}


def make_sentence(random: Random) -> str:
    """One sentence for the synthesiser to speak: words, commas (spoken as pauses) and at most a question mark."""
    sentence = expand(random, "sentence")
    return re.sub(r"\ba (?=[aeio])", "an ", sentence)


def expand(random: Random, rule: str) -> str:
    """Choose one alternative of `rule` and expand the rules that it names."""
    return re.sub(r"\{(\w+)\}", lambda match: expand(random, match[1]), random.choice(RULES[rule]))


def transcript(sentence: str) -> str:
    """The sentence as Kaldi's `text` wants it: lower-case words without punctuation."""
    return re.sub(r"[^a-z ]", "", sentence.lower())
