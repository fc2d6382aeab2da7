"""What a model reaches that knows nothing but how frequent its targets are: where a training stands that stalls."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Chance:
    """One task of an objective, guessed without looking at the audio."""

    loss_name: str  # figure of the log, such as "loss_masked"
    loss: float  # in the unit of that figure, nats as a rule
    meaning: str  # of that loss, in words
    accuracy_name: str = ""  # figure of the log; "" where the task has none
    accuracy: float = 0.0  # in 0..1
    accuracy_meaning: str = ""
    is_estimate: bool = False  # from a micro-batch, too small to show all codes: the loss alone proves nothing

    def with_prefix(self, prefix: str) -> "Chance":
        """The same task by the names of a log in which the figures of its loss entry carry a prefix.

        >>> Chance("loss_masked", 4.6, "ln 100").with_prefix("hubert.").loss_name
        'hubert.loss_masked'
        """
        accuracy_name = prefix + self.accuracy_name if self.accuracy_name else ""
        return replace(self, loss_name=prefix + self.loss_name, accuracy_name=accuracy_name)
