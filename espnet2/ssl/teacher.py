"""The teacher of DinoSR and data2vec: an exponential moving average of the student encoder."""

import copy
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from espnet2.ssl.encoder.base import Encoder


class Teacher(nn.Module):
    """A copy of an encoder in float32 that no gradient trains: always in evaluation mode, moved by `follow`.

    Its weights are parameters without gradient: saved, resumed, moved to a device and sharded like all others.
    """

    def __init__(self, student: Encoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(student).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode: no dropout, no layerdrop."""
        return super().train(False)

    @torch.no_grad()
    def become(self, student: Encoder, *, loaded: Collection[str]) -> None:
        """Start as the student after `init_param`, but for what the teacher was given itself.

        Args:
            loaded: names of `Objective.weights_loaded`, such as "teacher.encoder.norm.weight".
        """
        teacher_weights, student_weights = self.encoder.state_dict(), student.state_dict()
        for name in teacher_weights:
            if f"teacher.encoder.{name}" not in loaded:
                teacher_weights[name].copy_(student_weights[name])

    @torch.no_grad()
    def branches(self, x: Tensor, lengths: Tensor | None, layers: Sequence[int]) -> list[Tensor]:
        """Outputs of the feed-forward branches before their residual: [(batch, frames, dim)] in the order of `layers`.

        Args:
            x: (batch, frames, dim) that nothing is hidden from; no gradient goes back through it.
            lengths: (batch,) valid frames; None where nothing is padded.
            layers: 1-based.
        """
        outputs = self.encoder(x.detach(), lengths, layers=tuple(layers), branch="feed_forward").layers
        return [outputs[layer] for layer in layers]

    @torch.no_grad()
    def layers(self, x: Tensor, lengths: Tensor | None, layers: Sequence[int]) -> list[Tensor]:
        """Outputs of whole layers, after the residual: arguments and shapes as for `branches`."""
        outputs = self.encoder(x.detach(), lengths, layers=tuple(layers)).layers
        return [outputs[layer] for layer in layers]

    @torch.no_grad()
    def follow(self, student: Encoder, decay: float, *, copied: str | None = None) -> None:
        """teacher <- decay * teacher + (1 - decay) * student, weight by weight; statistics of norms are copied.

        Args:
            decay: 1 leaves the weights as they are.
            copied: weights below this name are copied instead of averaged: "position".
        """
        averaged: tuple[list[Tensor], list[Tensor]] = ([], [])
        pairs = zip(self.encoder.named_parameters(), student.parameters(), strict=True)
        for (name, parameter), students in pairs:
            # An average is taken value by value, so a rank needs no more of a sharded weight than its part.
            teacher_part, student_part = _local(parameter), _local(students)
            if copied is not None and name.startswith(f"{copied}."):
                teacher_part.copy_(student_part)
            elif teacher_part.numel():  # a rank may hold nothing of a small weight
                averaged[0].append(teacher_part)
                averaged[1].append(student_part)
        if decay < 1.0:
            # In float32: at a decay of 0.9999 a weight moves by so little that bf16 would round the move away.
            torch._foreach_lerp_(averaged[0], averaged[1], 1.0 - decay)
        # Copied: running statistics are averages over updates already.
        for teacher_buffer, student_buffer in zip(self.encoder.buffers(), student.buffers(), strict=True):
            teacher_buffer.copy_(student_buffer)


def _local(parameter: Tensor) -> Tensor:
    """The part of a sharded parameter that lies on this rank; teacher and student are sharded alike."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter
