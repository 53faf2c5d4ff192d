"""DIR/MODEL_CARD.md: what each weights file of a run is and how it came to be, written anew beside every checkpoint."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import muomni_core
from muomni_core.checkpoint import Header, read_header
from muomni_core.errors import CheckpointError
from muomni_core.training.stages import STAGES

CARD = "MODEL_CARD.md"


def commit() -> str:
    """The commit of the checkout that this package is run from, "+changes" where files differ from it; else ""."""
    root = Path(muomni_core.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        named = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):  # no git here
        return ""
    return named + ("+changes" if changed else "")


def _git(root: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def write_card(out: Path) -> None:
    """A section a stage that lies in `out`, from the files' own headers."""
    sections = []
    for stage in STAGES:
        path = out / f"{stage}.safetensors"
        if path.is_file():
            try:
                sections.append(_section(stage, read_header(path, stage), path.stat().st_size))
            except CheckpointError:  # of another muOmni; not this run's to describe
                continue
    text = f"# Weights of `{out.name}`\n\nMade by `muomni train`; use them with `--weights`.\n\n" + "\n".join(sections)
    partial = out / f".{CARD}.{os.getpid()}.partial"  # of its own: two stages may be trained into one folder
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, out / CARD)
    finally:
        partial.unlink(missing_ok=True)


def _section(stage: str, header: Header, size: int) -> str:
    lines = [
        f"## {stage}",
        "",
        f"- file: `{stage}.safetensors`, {size:,} bytes, fingerprint `{header.fingerprint}`",
        f"- data: fingerprint `{header.data}`" + (f"; tokenizer `{header.tokenizer}`" if header.tokenizer else ""),
    ]
    if header.parents:
        lines.append("- parents: " + ", ".join(f"{name} `{print_}`" for name, print_ in header.parents.items()))
    for number, leg in enumerate(header.legs, 1):
        if "recipe" not in leg:  # a program of its own, as training.more_codebooks
            lines.append(f"- leg {number}: " + ", ".join(f"{name} {value}" for name, value in leg.items()))
            continue
        train = leg.get("train", {})
        lines += [
            f"- leg {number}: recipe `{leg['recipe']}`, from {leg['init']}, {leg['steps']:,} of"
            f" {train.get('steps', leg['steps']):,} steps, {leg['hours']:.3g} hours on {leg['machine']}",
        ]
        for name in ("command", "commit", "time"):
            if leg.get(name):
                lines.append(f"  - {name}: `{leg[name]}`")
        lines += [f"  - changed at {note}" for note in leg.get("notes", [])]
    lines += ["", "| metric | value |", "|---|---:|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in header.metrics.items()]
    return "\n".join(lines) + "\n"
