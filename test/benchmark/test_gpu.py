"""The GPU benchmark on a CPU with a tiny model in; every figure it promises out."""

import json
import os
import subprocess
import sys


def test_tiny_run_fills_the_report(root, tmp_path):
    result = subprocess.run(
        [sys.executable, str(root / "benchmark/gpu.py"), "--tiny", "--output", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads((tmp_path / "gpu.json").read_text())
    names = [row["name"] for row in report["training"]["rows"]]
    assert names == ["this toolkit, eager", "transformers", "torchaudio"]
    assert all(row["audio_per_second"] > 0 and row["ceiling_share"] > 0 for row in report["training"]["rows"])
    assert report["nonfinite_step"] == {"noticed": True, "weights_unchanged": True, "next_update_finite": True}
    assert report["kill_and_resume"]["weights_identical"] is True
    assert report["units"]["dump_audio_per_second"] > 0 and report["units"]["kmeans_seconds"] > 0
    assert "| this toolkit, eager |" in (tmp_path / "gpu.md").read_text()


def test_without_a_gpu_the_way_out_is_named(root, tmp_path):
    result = subprocess.run(
        [sys.executable, str(root / "benchmark/gpu.py"), "--output", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2 and "--tiny" in result.stderr and "Traceback" not in result.stderr
