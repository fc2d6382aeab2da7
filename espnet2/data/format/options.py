"""The options that stage 3's programs share: planning and collecting have to be told the same."""

import argparse

from espnet2.data.format.plan import FormatOptions, parse_sample_rate

DEFAULTS = FormatOptions(16000, "flac")


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how audio is read and written; the jobs read it from the plan."""
    add = parser.add_argument_group("as given to --prepare and to ssl_merge_format").add_argument
    add("--fs", default="16k", help="sample rate, Hz or kHz")
    add("--audio_format", default="flac", help="wav, flac, wav.ark or flac.ark; as_is reads it where it lies")
    add("--channel", type=int, help="channel to take, from 0; default: the first")
    add("--truncation_tolerance", type=float, default=DEFAULTS.truncation_tolerance, metavar="SECONDS",
        help="audio that lacks more of what its header says is rejected")  # fmt: skip
    add("--keep_truncated", type=_boolean, default=DEFAULTS.keep_truncated, metavar="true|false",
        help="take what is there of audio that lacks more")  # fmt: skip
    add("--float_full_scale", type=float, default=DEFAULTS.float_full_scale, metavar="X",
        help="full scale in files of floats: 32768 where they have the range of 16 bits")  # fmt: skip
    add("--max_clipped_ratio", type=float, default=DEFAULTS.max_clipped_ratio, metavar="SHARE",
        help="an utterance with more samples beyond full scale is rejected")  # fmt: skip
    add("--check_audio", default=DEFAULTS.check_audio, metavar="sample|full",
        help="of as_is: decode some utterances or all; full also notes their mean and variance")  # fmt: skip


def format_options(args: argparse.Namespace) -> FormatOptions:
    """What was given.

    Raises:
        UserError: --fs is no rate.
    """
    return FormatOptions(
        parse_sample_rate(args.fs), args.audio_format, args.channel,
        args.truncation_tolerance, args.keep_truncated, args.float_full_scale, args.max_clipped_ratio, args.check_audio,
    )  # fmt: skip


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, not '{text}'")
    return text == "true"
