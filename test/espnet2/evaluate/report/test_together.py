"""Rows of several models in, one line of the shared table for each out."""

from espnet2.evaluate.report.together import table_of_systems


def unit_row(system: str, title: str, layer: int | None, pnmi: float, best: bool) -> dict:
    return {"system": system, "title": title, "layer": layer, "best": best, "seeds": [0], "valid": {"pnmi": pnmi}}


def test_each_model_has_its_own_best_layer_and_sign() -> None:
    rows = [
        unit_row("mfcc", "MFCC", None, 0.5, True),
        unit_row("model", "a", 1, 0.6, True),
        unit_row("model", "a", 2, 0.7, False),
        unit_row("model", "b", 1, 0.3, False),
        unit_row("model", "b", 2, 0.4, True),
        unit_row("model", "c|d", 1, 0.505, True),
    ]
    probes = [
        {"task": "phone", "system": "model", "title": "b", "layer": layer, "seeds": [0], "accuracy": value}
        for layer, value in ((None, 0.8), (2, 0.9))
    ]
    table = table_of_systems({"units": {"rows": rows}, "probes": {"rows": probes}})
    assert table.split("|---|--:|--:|\n")[1].splitlines() == [
        "| MFCC | 0.500 | - |",
        "| a | 0.600 (layer 1) ▲ | - |",
        "| b | 0.400 (layer 2) ▼ | 80.0 % |",
        "| c\\|d | 0.505 (layer 1) | - |",
    ]
