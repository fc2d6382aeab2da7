"""The form of onnxruntime, a graph; export only."""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.formats.base import Writer
from espnet2.formats.compare import OtherSide, States, sounds
from espnet2.formats.forms import Source, library
from espnet2.ssl.model import SSLModel
from espnet2.utils.errors import UserError

FILE, OPSET = "model.onnx", 20
INSTALL = "onnx onnxscript onnxruntime"


class _Graph(nn.Module):
    """Waveforms of equal length (batch, samples) as they are in the file -> all layers, and the last one normed."""

    def __init__(self, model: SSLModel) -> None:
        super().__init__()
        self.frontend, self.encoder = model.frontend, model.encoder
        self.scaled = model.frontend.normalize == "utterance"

    def forward(self, wavs: Tensor) -> tuple[Tensor, Tensor]:
        """-> (layers + 1, batch, frames, dim), (batch, frames, dim)."""
        if self.scaled:
            centred = wavs - wavs.mean(1, keepdim=True)
            wavs = centred / (centred.square().mean(1, keepdim=True) + VARIANCE_FLOOR).sqrt()
        inputs = self.frontend(wavs, None).inputs
        numbers = range(self.encoder.num_layers + 1)
        hidden = self.encoder(inputs, None, layers=numbers)
        return torch.stack([hidden.layers[number] for number in numbers]), hidden.output


class Onnx(Writer):
    """A graph for onnxruntime."""

    title = "ONNX"
    layers = "output `layers`[l] is layer l, 0 is the encoder's input after positions; output `last` has the final norm"
    other_side = "onnxruntime on the CPU"

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.onnx (with model.onnx.data beside it for large models): whole utterances, waveforms scaled inside.

        Returns:
            Names of weights left out: of objectives.

        Raises:
            UserError: see `Writer.write`.
        """
        model = source.model.eval()
        if model.first.projects_features:  # SpeechFlow: the graph has the frontend's frames alone
            raise UserError(
                f"{source.name}: this architecture has no form in {self.title}: frontend_conf: project: false "
                f"(the input of the encoder is made by loss: {source.objective})"
            )
        for name in INSTALL.split():
            library(name, INSTALL)
        shortest = model.frontend.geometry.num_samples(3)
        batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=shortest)
        example = torch.stack([sounds(model)[0]] * 2)
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which nobody needs here
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # fused kernels have no form in ONNX
            warnings.simplefilter("ignore")  # of the exporter, about its own future
            torch.onnx.export(
                _Graph(model).eval(), (example,), folder / FILE, input_names=["wavs"], output_names=["layers", "last"],
                dynamic_shapes=({0: batch, 1: samples},), opset_version=OPSET, dynamo=True, verbose=False,
            )  # fmt: skip
        return sorted(name for name in model.state_dict() if name.startswith("objectives."))

    def run(self, folder: Path) -> OtherSide:
        """The graph in onnxruntime."""
        onnxruntime = library("onnxruntime", INSTALL)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])

        def states(wav: Tensor) -> States:
            layers, last = session.run(None, {"wavs": wav[None].numpy()})
            numbered: dict[int | str, Tensor] = dict(enumerate(torch.from_numpy(layer[0]) for layer in layers))
            return numbered | {"last": torch.from_numpy(last[0])}

        return OtherSide(states, lambda wav: wav, scales=True)
