"""Audio that is left out, and why."""


class RejectedAudio(Exception):
    """Audio that goes to rejected.tsv: one word why, and the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, " ".join(detail.split())  # no tabs or newlines: it is a table cell
