"""Results of the GPU benchmark in; its Markdown report out, with what is there so far."""

from typing import Any, Protocol

TRAINED = {
    "eager": "this toolkit, eager",
    "compiled": "this toolkit, `compile: true`",
    "one_graph": "this toolkit, `compile: whole`",
    "as_on_cpu": "this toolkit, eager, convolutions as on a CPU",
    "default_attention": "this toolkit, eager, attention as PyTorch chooses",
    "recomputed": "this toolkit, eager, `recompute_blocks: true`",
    "narrow_norms": "this toolkit, eager, `norm_output: autocast`",
    "gated_bias": "this toolkit, eager, WavLM's positions, `attention_kernel: sdpa`",
    "gated_kernel": "this toolkit, eager, WavLM's positions, `attention_kernel: triton`",
    "transformers": "transformers",
    "torchaudio": "torchaudio",
}


class Reported(Protocol):
    """What a report needs of `gpu.Results`."""

    device: str
    torch: str
    python: str
    batch: str
    wall_seconds: float
    sections: dict[str, Any]
    failed: dict[str, str]


def as_markdown(results: Reported) -> str:
    """The report."""
    lines = [
        f"# Training on {results.device}",
        "",
        f"PyTorch {results.torch}, Python {results.python}, batch {results.batch}; "
        f"the sections so far took {results.wall_seconds} s.",
        *training_lines(results.sections),
        *profile_lines(results.sections.get("profile")),
        *kernel_lines("Convolutions", "convolution", "layout", results.sections.get("convolutions")),
        *kernel_lines("Attention", "mask", "back end", results.sections.get("attention")),
        *kernel_lines("Attention with positions", "positions", "kernel", results.sections.get("positions")),
        *other_lines(results.sections),
    ]
    if results.failed:
        lines += ["", "## Without a result", ""]
        lines += [f"* {name}: {why.strip().splitlines()[-1]}" for name, why in results.failed.items()]
    return "\n".join(lines) + "\n"


def training_lines(sections: dict[str, Any]) -> list[str]:
    """The contestants, and the ceiling if it was measured."""
    ceiling = sections.get("ceiling")
    lines = []
    if ceiling:
        lines += [
            f"Matrix products reach {ceiling['matmul_tflops']:.1f} TFLOP/s (bf16); one second of audio costs "
            f"{ceiling['gflops_per_second_of_audio']:.1f} GFLOP. Updates launched without waiting for the device: "
            f"{ceiling['launched_without_synchronising']}.",
        ]
    rows = [(title, sections[name]) for name, title in TRAINED.items() if sections.get(name)]
    if rows:
        lines += ["", "| | s of audio per s | ms per update | share of the ceiling | peak memory (GB) |"]
        lines += ["|---|--:|--:|--:|--:|"]
    for title, row in rows:
        share = ""
        if ceiling:
            reached = row["audio_per_second"] * ceiling["gflops_per_second_of_audio"] / 1000
            share = f"{100 * reached / ceiling['matmul_tflops']:.1f} %"
        lines.append(
            f"| {title} | {row['audio_per_second']:.0f} | {row['update_ms']:.1f} | {share} | {row['peak_gb']:.1f} |"
        )
    return lines


def profile_lines(profile: dict[str, Any] | None) -> list[str]:
    """The longest kernels."""
    if not profile:
        return []
    lines = [
        "",
        "## Kernels of one eager update",
        "",
        f"{profile['num_calls']} calls, {profile['kernels_ms']:.1f} ms in {profile['span_ms']:.1f} ms "
        f"({profile['device']}); trace: {profile['trace']}.",
        "",
        "| kernel | calls | ms | share |",
        "|---|--:|--:|--:|",
    ]
    for row in profile["kernels"]:
        name = row["name"].replace("|", "\\|")
        lines.append(f"| `{name}` | {row['calls']} | {row['total_ms']:.3f} | {100 * row['share']:.1f} % |")
    return lines


def kernel_lines(title: str, what: str, how: str, rows: list[dict[str, Any]] | None) -> list[str]:
    """Times of one operation in several ways."""
    if not rows:
        return []
    lines = ["", f"## {title}", "", f"| {what} | {how} | forward ms | backward ms | difference |"]
    lines.append("|---|---|--:|--:|--:|")
    for row in rows:
        if row["error"]:
            lines.append(f"| {row['what']} | {row['how']} | {row['error'].replace('|', ' ')} | | |")
            continue
        difference = "" if row["difference"] is None else f"{row['difference']:.1e}"
        lines.append(
            f"| {row['what']} | {row['how']} | {row['forward_ms']:.3f} | {row['backward_ms']:.3f} | {difference} |"
        )
    return lines


def other_lines(sections: dict[str, Any]) -> list[str]:
    """k-means, features, a NaN, a resume."""
    lines = []
    if units := sections.get("units"):
        lines += [
            f"* k-means: {units['kmeans_frames']:,} frames of {units['kmeans_dim']}, K = {units['kmeans_clusters']}: "
            f"{units['kmeans_seconds']:.2f} s ({units['kmeans_passes']} passes); labelling "
            f"{units['labelled_frames_per_second']:,.0f} frames per s.",
            f"* Feature dump (layer {units['dump_layer']}): {units['dump_audio_per_second']:.0f} s of audio per s.",
        ]
    if nonfinite := sections.get("nonfinite"):
        lines.append(
            f"* A NaN in one update: noticed {nonfinite['noticed']}, weights unchanged "
            f"{nonfinite['weights_unchanged']}, next update finite {nonfinite['next_update_finite']}."
        )
    if resume := sections.get("resume"):
        lines += [
            f"* SIGKILL after the checkpoint of update {resume['killed_after_update']} of {resume['updates']}, then "
            f"resumed: validation loss {resume['loss_resumed']:.6f}, unbroken {resume['loss_unbroken']:.6f}, weights "
            f"identical: {resume['weights_identical']}.",
            f"* With the loader in the loop: {resume['trained_audio_per_second']:.0f} s of audio per s.",
        ]
    return ["", "## Units, a NaN, a resume", "", *lines] if lines else []
