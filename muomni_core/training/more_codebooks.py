"""Gives a trained codec further codebooks, each for what those before it leave: more bits, and nothing else changes.

    python -m muomni_core.training.more_codebooks --data DATA --codebooks 4 --out DIR [--weights DIR]

Encoder, decoder and the books that are there stay as they are, and so do the codes that the Talker says. A further book
is k-means over the residuals of the recipe tiny's speech (as residual quantisers are begun, Zeghidour 2021). Talker and
vocoder remain true to the codec and are written to DIR with its new fingerprint.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from muomni_core.checkpoint import component_tensors, find_file, load_stage, save_stage
from muomni_core.config import to_dict
from muomni_core.data.features import SpeechSet
from muomni_core.errors import CheckpointError, DataError, one_line_errors
from muomni_core.model.build import load_components
from muomni_core.model.codec import TRAINING_ONLY, Codec
from muomni_core.model.omni import search_path
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import find_root

N_CLIPS, N_FRAMES, N_ROUNDS = 1500, 60_000, 25


@torch.no_grad()
def grow(codec: Codec, n_codebooks: int, latents: Tensor) -> Codec:
    """The codec with `n_codebooks` books; latents (N, latent_width) of speech say what is left to be quantised."""
    grown = Codec(dataclasses.replace(codec.config, n_codebooks=n_codebooks))
    grown.encoder.load_state_dict(codec.encoder.state_dict())
    grown.decoder.load_state_dict(codec.decoder.state_dict())
    for book, old in zip(grown.codebooks, codec.codebooks, strict=False):
        book.load_state_dict(old.state_dict())
    residual = latents
    for number, book in enumerate(grown.codebooks):
        if number >= len(codec.codebooks):
            book._start(residual[torch.randperm(len(residual))[:N_FRAMES]], N_ROUNDS)
        residual = residual - book.entries[book.nearest(residual)]
    return grown.eval()


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the data root (default: MUOMNI_DATA)")
    parser.add_argument("--codebooks", type=int, default=4, help="how many there are to be (4)")
    parser.add_argument("--out", type=Path, required=True, help="folder for codec, talker and vocoder")
    parser.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    args = parser.parse_args(arguments)
    _grow_files(args.data, args.codebooks, args.out, args.weights)
    return 0


def _grow_files(data: Path | None, n_codebooks: int, out: Path, weights: Path | None) -> None:
    folders = search_path(weights)
    path = find_file(folders, "codec.safetensors")
    if path is None:
        raise CheckpointError("no codec.safetensors: train it first, muomni train --stage codec")
    header, modules = load_components(path, "codec", tokenizer="")
    codec: Any = modules["codec"]
    n_before = codec.config.n_codebooks
    if n_codebooks <= n_before:
        raise DataError(f"--codebooks {n_codebooks}: the codec has {n_before}; ask for more")
    torch.manual_seed(0)
    recipe = load_recipe("tiny", "codec")
    clips = SpeechSet(recipe.data["train"], find_root(recipe, data))
    picked = np.random.default_rng(0).permutation(len(clips))[:N_CLIPS]
    with torch.no_grad():
        latents = torch.cat([codec._latent(clips.mel(int(i))[None], None)[0] for i in picked])
    grown = grow(codec, n_codebooks, latents)
    leg = {"more_codebooks": n_codebooks, "clips": len(picked)}
    header = dataclasses.replace(header, config={"codec": to_dict(grown.config)}, legs=[*header.legs, leg])
    tensors = component_tensors({"codec": grown}, TRAINING_ONLY)
    codec_print = save_stage(out / "codec.safetensors", tensors, header).fingerprint
    print(f"codec: {n_before} -> {n_codebooks} codebooks, from {len(latents)} frames of speech", file=sys.stderr)
    for stage in ("talker", "vocoder"):
        child = find_file(folders, f"{stage}.safetensors")
        if child is not None:
            about, tensors = load_stage(child, stage)
            save_stage(
                out / child.name, tensors, dataclasses.replace(about, parents={**about.parents, "codec": codec_print})
            )


if __name__ == "__main__":
    sys.exit(main())
