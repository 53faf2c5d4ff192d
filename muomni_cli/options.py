"""Options that several commands share, so that they are named and explained alike everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MODEL = "Model"
OUTPUT = "Output"
GENERAL = "General"


class DeviceName(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class VocoderName(StrEnum):
    griffin_lim = "griffin-lim"
    neural = "neural"


class StageName(StrEnum):
    """muomni_core.training.run.STAGES, written out because importing it imports torch; a test compares them."""

    codec = "codec"
    audio = "audio"
    vision = "vision"
    thinker = "thinker"
    omni = "omni"
    talker = "talker"
    vocoder = "vocoder"


def recipe_names() -> list[str]:
    """The package's; a folder or file of one's own works as well."""
    from muomni_core.training.recipe import recipe_names as names

    return names(StageName)


Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="DIR",
        envvar="MUOMNI_WEIGHTS",
        rich_help_panel=MODEL,
        help="Take the stages found in DIR, the rest from the package; an export stands by itself.",
    ),
]
Device = Annotated[
    DeviceName,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|mps",
        envvar="MUOMNI_DEVICE",
        rich_help_panel=MODEL,
        help="Where to compute; auto takes the fastest.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, metavar="N", envvar="MUOMNI_THREADS", rich_help_panel=MODEL, help="CPU threads."),
]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, rich_help_panel=GENERAL, show_default=False, help="Say more.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", rich_help_panel=GENERAL, help="Say nothing but errors.")]
Force = Annotated[bool, typer.Option("-f", "--force", rich_help_panel=OUTPUT, help="Overwrite what exists.")]
Json = Annotated[bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print JSON.")]
Voice = Annotated[
    str | None,
    typer.Option(
        "--voice",
        metavar="NAME",
        envvar="MUOMNI_VOICE",
        rich_help_panel="Speech",
        help="Who speaks; `muomni speak --list-voices` names them.",
    ),
]
Vocoder = Annotated[
    VocoderName | None,
    typer.Option(
        "--vocoder",
        metavar="griffin-lim|neural",
        envvar="MUOMNI_VOCODER",
        rich_help_panel="Speech",
        help="What makes the waveform.  [default: the best there is]",
    ),
]
Speed = Annotated[
    float,
    typer.Option(
        "--speed",
        envvar="MUOMNI_SPEED",
        min=0.5,
        max=2.0,
        metavar="X",
        rich_help_panel="Speech",
        help="Pace, not pitch: 0.7 is slow, 1.5 fast.",
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature",
        metavar="X",
        min=0.0,
        max=5.0,
        rich_help_panel="Generation",
        help="0 takes the likeliest, more is livelier.",
    ),
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p",
        metavar="X",
        min=0.01,
        max=1.0,
        rich_help_panel="Generation",
        help="Choose among the likeliest that sum to this.",
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, rich_help_panel="Generation", help="Start of the random numbers."),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens",
        metavar="N",
        envvar="MUOMNI_MAX_TOKENS",
        min=1,
        max=1024,
        rich_help_panel="Generation",
        help="Longest answer, in tokens.",
    ),
]
NoRepeat = Annotated[
    int,
    typer.Option(
        "--no-repeat",
        metavar="N",
        min=0,
        max=64,
        rich_help_panel="Generation",
        help="No run of N tokens is said twice; 0 allows all.",
    ),
]
Candidates = Annotated[
    int,
    typer.Option(
        "--candidates",
        metavar="N",
        min=1,
        max=256,
        rich_help_panel="Generation",
        help="Answers to what is in a picture, of which the best is given; 1 gives the likeliest, word by word.",
    ),
]
Stage = Annotated[
    StageName,
    typer.Option(
        "--stage", metavar="STAGE", rich_help_panel="What", help="codec, audio, vision, thinker, omni or talker."
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|DIR|FILE",
        rich_help_panel="What",
        help="A recipe of the package (tiny, base, smoke), a folder of TOML files, or one file.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", envvar="MUOMNI_DATA", rich_help_panel="What", help="Root of the data."),
]
