"""The run of `ssl_superb`: systems and prepared tasks in, a JSON file per task and system and one table out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet2.evaluate.systems import BARE, System
from espnet2.models.find import find_model
from espnet2.superb.audio import HeardSet
from espnet2.superb.base import Report, Setting
from espnet2.superb.cache import FeatureStore, Form, open_encoder
from espnet2.superb.forecast import TaskPlan, forecast
from espnet2.superb.listing import list_and_encode
from espnet2.superb.page import write_superb_page
from espnet2.superb.registry import find_tasks, rules_of, task_names
from espnet2.superb.result import ResultJson, corpus_card, folder_of, read_result
from espnet2.superb.rules import deviations, missing_parts
from espnet2.superb.table import read_results, write_table
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_value, write_json
from espnet2.utils.show import format_bytes

VERSION = 2  # raised when a change of the code changes figures
STEPS = ("features", "fit", "test", "table")


@dataclass(frozen=True)
class SuperbRequest:
    """What `ssl_superb` is asked for."""

    data: Path  # <data>/<task>/{train,dev,test}
    output: Path  # gets <system>/<task>.json and RESULTS.md
    systems: tuple[System, ...]
    tasks: tuple[str, ...]  # (): those that <data> has
    sections: Mapping[str, object] = field(default_factory=dict)  # rules by task, where they are not official
    rates: tuple[float, ...] = ()  # learning rates to try; (): the one of the rules
    cache: Path = Path("exp/superb/cache")
    cache_bytes: float = 100e9
    precision: str = "float16"
    sample_rate: int = 16_000
    seed: int = 0
    device: str = "cpu"
    steps: tuple[str, ...] = STEPS
    job: int = 1
    num_jobs: int = 1


def superb_systems(model: str | None, kinds: Sequence[str], tag: str, title: str | None) -> tuple[System, ...]:
    """What the rows are of.

    Args:
        model: any locator of a model; None: there are baselines only.
        kinds: some of model, untrained, mfcc, logmel.
        tag: which checkpoint of exp/<name>.
        title: of the model in the table.

    Raises:
        UserError: an unknown kind, a kind that needs a model, or no such model.
    """
    known = ("model", "untrained", *BARE)
    if not kinds or any(kind not in known for kind in kinds):
        raise UserError(f"--systems '{' '.join(kinds)}': expected some of {', '.join(known)}")
    if model is None and any(kind not in BARE for kind in kinds):
        raise UserError(
            f"--systems '{' '.join(kinds)}': name a model behind the options; only {', '.join(BARE)} need none"
        )
    files = find_model(model, tag) if model is not None and any(kind not in BARE for kind in kinds) else None
    name = title or (Path(str(model)).name if model else "")
    titles = {"model": name, "untrained": f"{name}, untrained", "mfcc": "MFCC", "logmel": "log-mel"}
    return tuple(System(kind, titles[kind], None if kind in BARE else files) for kind in known if kind in kinds)


def run_superb(request: SuperbRequest, report: Report) -> str:
    """Do the steps for all systems.

    Returns:
        The table; "" where it was not asked for.

    Raises:
        UserError: data that would give a wrong figure, before anything is computed; and of the tasks.
    """
    plans = _plans(request, report)
    counts = {plan.task.name: plan.task.check(plan.data, plan.rules, request.sample_rate) for plan in plans}
    for system in request.systems:
        due = [plan for plan in plans if not _is_kept(request, system, plan, report)]
        if due and set(request.steps) & {"features", "fit", "test"}:
            _run_system(request, system, due, counts, report)
    if "table" in request.steps and request.job == 1:
        results = read_results(request.output)
        write_superb_page(request.output, results)
        return write_table(request.output, results)
    return ""


def _plans(request: SuperbRequest, report: Report) -> list[TaskPlan]:
    """The tasks that are asked for, or those whose folder is there."""
    names = request.tasks or tuple(name for name in task_names() if (request.data / name).is_dir())
    if not names:
        raise UserError(f"{request.data}: no task lies there; expected folders such as {request.data}/ks (stage 1)")
    if not request.tasks:
        absent = [name for name in task_names() if name not in names]
        if absent:
            report(f"superb: left out, for {request.data} has no folder of them: {', '.join(absent)}")
    for name in set(request.sections) - set(task_names()):
        raise UserError(f"rules of SUPERB: unknown task '{name}'; known are {', '.join(task_names())}")
    return [
        TaskPlan(task, request.data / task.name, rules_of(task, request.sections, "rules of SUPERB"))
        for task in find_tasks(names)
    ]


def _hash(request: SuperbRequest, system: System, plan: TaskPlan) -> str:
    """Of everything that a figure depends on."""
    return hash_value([
        VERSION, plan.task.name, plan.task.data_hash(plan.data), plan.rules.model_dump(mode="json"),
        system.kind, system.source_hash, list(request.rates), request.seed, request.precision, request.sample_rate,
    ])  # fmt: skip


def _is_kept(request: SuperbRequest, system: System, plan: TaskPlan, report: Report) -> bool:
    result = read_result(request.output, system.title, plan.task.name)
    if result is None or result.get("hash") != _hash(request, system, plan):
        return False
    report(f"superb: {system.title}, {plan.task.name}: unchanged, kept")
    return True


def _run_system(
    request: SuperbRequest,
    system: System,
    plans: Sequence[TaskPlan],
    counts: Mapping[str, dict[str, int]],
    report: Report,
) -> None:
    extractor = open_encoder(system, request.sample_rate, request.device)
    budget = request.cache_bytes
    store = FeatureStore(request.cache, system, extractor, budget_bytes=budget, precision=request.precision)
    store.budget_bytes = store.used_bytes + (budget - store.used_bytes) / request.num_jobs  # jobs fill it together
    coming = forecast(store, plans, max(1, len(request.rates)), request.device)
    fits = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in coming.fit_seconds.items())
    report(
        f"superb: forecast for {system.title}, by one process: {coming.seconds / 60:.1f} minutes "
        f"(features {coming.encode_seconds:.0f} s{', ' + fits if fits else ''}); features of "
        f"{format_bytes(coming.cache_bytes)}, cache {format_bytes(store.used_bytes)} of {format_bytes(budget)}"
    )
    if "features" in request.steps:
        for heard, form in _audio(plans, request.sample_rate):
            list_and_encode(store, heard, form, report, job=request.job, num_jobs=request.num_jobs)
        report(
            f"superb: {system.title}: {store.num_encoded:,} utterances encoded, "
            f"{format_bytes(store.used_bytes)} in the cache"
        )
    if {"fit", "test"} & set(request.steps):
        for plan in plans:
            _run_task(request, system, plan, store, counts[plan.task.name], report)
    if store.num_not_kept:
        report(
            f"superb: the cache is full: {store.num_not_kept:,} encodings were not kept and are made again "
            "when they are needed; a larger --cache_gb saves that time"
        )


def _audio(plans: Sequence[TaskPlan], sample_rate: int) -> list[tuple[HeardSet, Form]]:
    """Every set once; those whose frames are needed first, for a mean is then read off them."""
    sets: dict[HeardSet, Form] = {}
    for plan in plans:
        for heard, form in plan.task.heard_sets(plan.data, plan.rules, sample_rate):
            sets[heard] = "frames" if "frames" in (form, sets.get(heard)) else "mean"
    return sorted(sets.items(), key=lambda entry: entry[1] != "frames")


def _run_task(
    request: SuperbRequest,
    system: System,
    plan: TaskPlan,
    store: FeatureStore,
    counts: dict[str, int],
    report: Report,
) -> None:
    """Train, and with the step `test` write the result."""
    folder, digest = folder_of(request.output, system.title), _hash(request, system, plan)
    began = time.monotonic()
    outcome = plan.task.run(
        plan.data,
        plan.rules,
        Setting(
            store=store,
            system_title=system.title,
            work=folder / ".work" / f"{plan.task.name}-{digest}",
            rates=request.rates,
            seed=request.seed,
            device=request.device,
            report=report,
            job=request.job,
            num_jobs=request.num_jobs,
            only_fit="test" not in request.steps,
        ),
    )
    if outcome is None:
        return
    card = corpus_card(plan.data)
    missing = missing_parts(plan.task.sizes, counts) if card.get("official", False) else []
    told = outcome.details.pop("notes", [])
    result: ResultJson = {
        "task": plan.task.name,
        "system": system.title,
        "kind": system.kind,
        "model": system.model,
        "source_hash": system.source_hash,
        "hash": digest,
        "figures": outcome.figures,
        "details": outcome.details,
        "rules": plan.rules.model_dump(mode="json"),
        "deviations": [*deviations(plan.rules), *missing],
        "corpus": card.get("corpus", ""),
        "official_data": card.get("official", False),
        "counts": counts,
        "seed": request.seed,
        "seconds": round(time.monotonic() - began, 1),
        "notes": [*plan.task.notes, *(told if isinstance(told, list) else [])],
    }
    path = folder / f"{plan.task.name}.json"
    write_json(path, result)
    shown = ", ".join(f"{metric.title} {metric.text(outcome.figures[metric.key])}" for metric in plan.task.metrics)
    report(f"superb: {system.title}, {plan.task.title}: {shown} -> {path}")
