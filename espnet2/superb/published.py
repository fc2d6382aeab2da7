"""Published rows of the leaderboard: facts, as the paper prints them.

S.-w. Yang et al., SUPERB: Speech processing Universal PERformance Benchmark, Interspeech 2021, arXiv 2105.01051,
table 2. All of them are percent, but for MTWV. ASR is without a language model.
"""

SOURCE = "SUPERB, arXiv 2105.01051, table 2"
COLUMNS = (
    "pr.per",
    "ks.acc",
    "ic.acc",
    "sid.acc",
    "er.acc",
    "asr.wer",
    "qbe.mtwv",
    "sf.f1",
    "sf.cer",
    "asv.eer",
    "sd.der",
)
ROWS: dict[str, tuple[str, ...]] = {
    "FBANK": ("82.01", "8.63", "9.10", "8.5E-4", "35.39", "23.18", "0.0058", "69.64", "52.94", "9.56", "10.05"),
    "PASE+": ("58.87", "82.54", "29.82", "37.99", "57.86", "25.11", "0.0072", "62.14", "60.17", "11.61", "8.68"),
    "wav2vec 2.0 Base": (
        "5.74", "96.23", "92.35", "75.18", "63.43", "6.43", "0.0233", "88.30", "24.77", "6.02", "6.08",
    ),
    "wav2vec 2.0 Large": (
        "4.75", "96.66", "95.28", "86.14", "65.64", "3.75", "0.0489", "87.11", "27.31", "5.65", "5.62",
    ),
    "HuBERT Base": ("5.41", "96.30", "98.34", "81.42", "64.92", "6.42", "0.0736", "88.53", "25.20", "5.11", "5.88"),
    "HuBERT Large": ("3.53", "95.29", "98.76", "90.33", "67.62", "3.62", "0.0353", "89.81", "21.76", "5.98", "5.75"),
}  # fmt: skip


def published() -> dict[str, dict[str, str]]:
    """Title of a model -> "task.metric" -> what is printed."""
    return {title: dict(zip(COLUMNS, values, strict=True)) for title, values in ROWS.items()}
