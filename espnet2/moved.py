"""Names that modules had before the rooms were made -> the same modules: scripts of users go on, and are told.

Loaded by espnet2/__init__, outside the rooms, and costs nothing before an old name is asked for.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # as `typing` has it, which every program would load for this one word
if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:  # importlib.abc loads a third of what a small program loads; its classes only say what methods there are
    Loader = MetaPathFinder = object

# A package that was renamed as a whole; then single modules. All below espnet2.
PACKAGES = {
    "ssl.data": "data",
    "ssl.evaluate": "evaluate",
    "ssl.export": "formats",
    "ssl.finetune": "finetune",
    "ssl.units": "units",
}
MODULES = """
    ssl.data.audio data.audio.read
    ssl.data.augment data.augment.augment
    ssl.data.augment_files data.augment.files
    ssl.data.augment_signal data.augment.signal
    ssl.data.av_audio data.audio.av_audio
    ssl.data.decode data.audio.decode
    ssl.data.filter data.format.filter
    ssl.data.filter_tables data.format.filter_tables
    ssl.data.format_audio data.format.convert
    ssl.data.format_merge data.format.merge
    ssl.data.format_plan data.format.plan
    ssl.data.format_write data.format.write
    ssl.data.label_check data.labels.check
    ssl.data.label_import data.labels.text
    ssl.data.label_statistics data.labels.statistics
    ssl.data.labels data.labels.packed
    ssl.data.mel_gather units.mel_gather
    ssl.data.pipes data.audio.pipes
    ssl.evaluate.abx evaluate.abx.part
    ssl.evaluate.abx_cells evaluate.abx.cells
    ssl.evaluate.abx_choice evaluate.abx.choice
    ssl.evaluate.abx_distance evaluate.abx.distance
    ssl.evaluate.abx_items evaluate.abx.items
    ssl.evaluate.abx_rows evaluate.abx.rows
    ssl.evaluate.abx_score evaluate.abx.score
    ssl.evaluate.aligned units.aligned
    ssl.evaluate.alignment units.alignment
    ssl.evaluate.compare evaluate.report.objectives
    ssl.evaluate.ctc_probe evaluate.probes.ctc
    ssl.evaluate.ctc_task evaluate.probes.ctc_task
    ssl.evaluate.ctc_text text.ctc
    ssl.evaluate.examples evaluate.examples.part
    ssl.evaluate.flow_figure evaluate.flow.figure
    ssl.evaluate.flow_report evaluate.flow.report
    ssl.evaluate.flow_sampling evaluate.flow.sampling
    ssl.evaluate.history train.history
    ssl.evaluate.learned_units evaluate.units.learned
    ssl.evaluate.marked_page evaluate.report.marked_page
    ssl.evaluate.probe_cells evaluate.probes.cells
    ssl.evaluate.probe_forecast evaluate.probes.forecast
    ssl.evaluate.probe_linear evaluate.probes.linear
    ssl.evaluate.probe_tasks evaluate.probes.tasks
    ssl.evaluate.probes evaluate.probes.part
    ssl.evaluate.quick_probe pretrain.probe
    ssl.evaluate.stages evaluate.report.stages
    ssl.evaluate.unit_figures evaluate.units.figures
    ssl.evaluate.unit_table evaluate.units.table
    ssl.evaluate.units evaluate.units.part
    ssl.evaluate.vocoder evaluate.flow.vocoder
    ssl.export.archive models.archive
    ssl.export.card publish.card
    ssl.export.convert publish.convert
    ssl.export.espnet_file formats.espnet
    ssl.export.fairseq_file formats.fairseq
    ssl.export.hub models.hub
    ssl.export.locate models.locate
    ssl.export.onnx_graph formats.onnx
    ssl.export.pack publish.pack
    ssl.export.packed publish.packed
    ssl.export.s3prl_file formats.s3prl
    ssl.export.safetensors_folder formats.safetensors
    ssl.export.torchaudio_model formats.torchaudio
    ssl.frontend.geometry data.geometry
    ssl.frontend.mel ssl.modules.mel
    ssl.frontend.mel_statistics ssl.modules.mel_statistics
    ssl.frontend.pieces ssl.modules.pieces
    ssl.frontend.subsample ssl.modules.subsample
    ssl.speech_encoder publish.speech_encoder
    tasks.initial pretrain.architecture
    tasks.ssl tasks.build
    tasks.weights models.find
    train.hosts launch.hosts
    train.initial pretrain.initial
    train.inputs pretrain.inputs
    train.nodes launch.nodes
    train.reference pretrain.reference
    train.reference_make pretrain.reference_make
    train.selftest launch.selftest
    train.session pretrain.session
    train.signals launch.signals
    train.ssh_nodes launch.ssh_nodes
    train.traffic_light pretrain.traffic_light
    train.trial pretrain.trial
"""
MOVED = dict(line.split() for line in MODULES.strip().splitlines())


def new_name(name: str) -> str | None:
    """Where a module is now; None for one that was not moved.

    >>> new_name("espnet2.ssl.units.kmeans"), new_name("espnet2.tasks.ssl"), new_name("espnet2.ssl.model")
    ('espnet2.units.kmeans', 'espnet2.tasks.build', None)
    """
    root, _, rest = name.partition(".")
    if root != "espnet2":
        return None
    if rest in MOVED:
        return f"espnet2.{MOVED[rest]}"
    for old, new in PACKAGES.items():
        if rest == old or rest.startswith(f"{old}."):
            return f"espnet2.{new}{rest.removeprefix(old)}"
    return None


class _Alias(Loader):
    """Gives the module of the new name under the old one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has written the old name into it


class MovedModules(MetaPathFinder):
    """Finds modules by their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        new = new_name(fullname)
        if new is None:
            return None
        warnings.warn(f"{fullname} is {new} now", DeprecationWarning, stacklevel=2)
        return ModuleSpec(fullname, _Alias(new))


sys.meta_path.insert(0, MovedModules())
