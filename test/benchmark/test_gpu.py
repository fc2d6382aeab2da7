"""The GPU benchmark on a CPU with a tiny model in; every figure it promises out, whatever fails."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import gpu
import gpu_recovery
import pytest
import torch
from gpu_report import TRAINED
from gpu_sections import SECTIONS, Bench
from gpu_training import TINY

CPU = torch.device("cpu")


def run(root: Path, output: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program from another folder, without the repository in PYTHONPATH."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(root / "benchmark/gpu.py"), "--output", str(output), *words],
        env={**kept, **environment},
        cwd=output,
        capture_output=True,
        text=True,
        timeout=560,  # compiling takes minutes where cores are slow or shared
        check=False,
    )


def test_tiny_run_fills_the_report(root, tmp_path):
    result = run(root, tmp_path, "--tiny", "--skip", "compiled,one_graph")
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads((tmp_path / "gpu.json").read_text())
    sections = report["sections"]
    compiled = {"compiled", "one_graph"}
    assert set(sections) == set(SECTIONS) - compiled == set(report["section_seconds"]) and not report["failed"]
    assert sections["gated_kernel"] is None  # it runs on CUDA only
    assert [row["error"] for row in sections["positions"] if row["how"] == "triton"] == 2 * [
        "Triton's kernels are for CUDA, not for cpu"
    ]
    trained = set(TRAINED) - compiled - {"gated_kernel"}
    assert all(sections[name]["audio_per_second"] > 0 for name in trained)
    assert sections["ceiling"]["matmul_tflops"] > 0 and sections["ceiling"]["gflops_per_second_of_audio"] > 0
    assert sections["nonfinite"] == {"noticed": True, "weights_unchanged": True, "next_update_finite": True}
    assert sections["resume"]["weights_identical"] is True
    assert sections["units"]["dump_audio_per_second"] > 0 and sections["units"]["kmeans_seconds"] > 0
    kernels = sections["profile"]["kernels"]
    assert len(kernels) == 20 and kernels == sorted(kernels, key=lambda row: -row["total_ms"])
    assert "aten::convolution_backward" in [row["name"] for row in kernels]
    assert (tmp_path / sections["profile"]["trace"]).stat().st_size > 1000
    report = (tmp_path / "gpu.md").read_text()
    assert (
        "| this toolkit, eager |" in report and "| positions | products |" in report and "| padding | math |" in report
    )
    assert "Without a result" not in report


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
@pytest.mark.timeout(600)
def test_the_compiled_update_runs(root, tmp_path):
    result = run(root, tmp_path, "--tiny", "--only", "compiled,one_graph")
    assert result.returncode == 0, result.stderr[-3000:]
    assert list(json.loads((tmp_path / "gpu.json").read_text())["sections"]) == ["compiled", "one_graph"]


def test_without_a_gpu_the_way_out_is_named(root, tmp_path):
    result = run(root, tmp_path, CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 2 and "--tiny" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--only", "profil"], "there are profile, convolutions"),
        (["--skip", "eager,x"], "no section is called x"),
        (["--only", "eager", "--skip", "eager"], "no section to run"),
    ],
)
def test_a_wrong_choice_of_sections_is_named(root, tmp_path, words, named):
    result = run(root, tmp_path, "--tiny", *words)
    assert result.returncode == 2 and named in result.stderr and not (tmp_path / "gpu.json").exists()


def test_sections_keep_their_order():
    assert gpu.chosen_sections("eager, profile", "") == ["profile", "eager"]
    assert gpu.chosen_sections("", "profile") == list(SECTIONS)[1:]


def results() -> gpu.Results:
    return gpu.Results("CPU", torch.__version__, "3", "2 x 1.0 s")


def fails(bench: Bench) -> NoReturn:
    raise ValueError("no such kernel")


def never_ends(bench: Bench) -> NoReturn:
    while True:
        with contextlib.suppress(Exception):  # as a library may
            time.sleep(0.01)


def test_a_section_that_fails_costs_only_itself(monkeypatch, tmp_path, capsys):
    written = []

    def last(bench: Bench) -> dict[str, bool]:
        written.append(json.loads((tmp_path / "gpu.json").read_text()))
        return {"noticed": True, "weights_unchanged": True, "next_update_finite": True}

    monkeypatch.setattr(gpu, "SECTIONS", {"eager": fails, "nonfinite": last})
    outcome = results()
    gpu.run_sections(["eager", "nonfinite"], Bench(TINY, CPU, tmp_path), outcome, 60)
    assert "ValueError: no such kernel" in written[0]["failed"]["eager"]  # on disk before the next section began
    assert list(outcome.sections) == ["nonfinite"] and list(outcome.failed) == ["eager"]
    assert "ValueError: no such kernel" in capsys.readouterr().err
    report = (tmp_path / "gpu.md").read_text()
    assert "* eager: ValueError: no such kernel" in report and "weights unchanged True" in report


def test_the_time_limit_holds(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "SECTIONS", {"eager": never_ends, "resume": fails})
    outcome = results()
    started = time.monotonic()
    gpu.run_sections(["eager", "resume"], Bench(TINY, CPU, tmp_path), outcome, 0.5)
    assert time.monotonic() - started < 30
    assert "stopped" in outcome.failed["eager"] and "not begun" in outcome.failed["resume"]
    assert set(json.loads((tmp_path / "gpu.json").read_text())["failed"]) == {"eager", "resume"}


@pytest.mark.parametrize("train", [gpu_recovery._train, gpu_recovery._kill_after_first_checkpoint])
def test_a_training_that_fails_says_why(tmp_path, train):
    words = [sys.executable, "-c", "import sys; sys.exit('no module named pydantic')"]
    with pytest.raises(RuntimeError, match=r"status 1; its last words were:\nno module named pydantic"):
        train(words, tmp_path / "output")


def test_a_python_with_torch_is_taken_as_it_is(root, tmp_path):
    script = root / "benchmark/gpu.sh"
    environment = {**os.environ, "PYTHON": sys.executable}
    given = subprocess.run([script, "--which", "true"], env=environment, capture_output=True, text=True, check=True)
    assert given.stdout.strip() == sys.executable
    bare = tmp_path / "python"  # one without torch is passed over
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    environment["PYTHON"] = str(bare)
    other = subprocess.run([script, "--which", "true"], env=environment, capture_output=True, text=True, check=False)
    assert other.stdout.strip() != str(bare)
