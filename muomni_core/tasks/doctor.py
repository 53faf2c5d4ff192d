"""What is installed, what it runs on, which weights there are, and whether every path works: a check in some seconds."""

from __future__ import annotations

import importlib
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import muomni_core
from muomni_core.checkpoint import CARD, TEXT_STAGES, check_parents, find_file, load_stage, read_header
from muomni_core.errors import MuOmniError, one_line
from muomni_core.model.omni import (
    SPARE_VOCODER,
    STAGES,
    MuOmni,
    load_tokenizer,
    pick_device,
    search_path,
    spare_stages,
)
from muomni_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL import Image

PACKAGES = ("torch", "torchaudio", "torchvision", "safetensors", "soundfile", "tokenizers", "numpy", "pillow", "typer")
MODULES = ("torchaudio", "torchvision")  # of the set that must match torch; they say so when they are imported
OPTIONAL = ("vocoder",)  # Griffin-Lim needs no weights
SENTENCE = "Good morning. How are you today?"
SHAPE, COLOUR = "circle", "red"

FINE, WEAK, WRONG = "fine", "weak", "wrong"  # weak: it works, and its answer is not the one that was hoped for


@dataclass
class Finding:
    """One thing that was looked at: what it is, how it is, what there is to say, and the seconds that it took."""

    name: str
    state: str
    said: str
    seconds: float | None = None


@dataclass
class Report:
    """All that `muomni doctor` prints."""

    versions: dict[str, str] = field(default_factory=dict)
    devices: list[dict[str, Any]] = field(default_factory=list)
    weights: list[dict[str, Any]] = field(default_factory=list)
    licences: dict[str, str] = field(default_factory=dict)  # folder of weights -> its terms
    checks: list[Finding] = field(default_factory=list)  # of packages, device, tokenizer and weights
    self_test: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [f"{f.name}: {f.said}" for f in [*self.checks, *self.self_test] if f.state == WRONG]

    def as_json(self) -> dict[str, Any]:
        """The object that --json prints."""
        return {"fine": not self.problems, "problems": self.problems, **asdict(self)}


def examine(weights: Path | None = None, device: str = "auto", *, self_test: bool = True) -> Report:
    """Looks at everything; what is wrong is in the report and does not stop the rest."""
    report = Report(versions=versions(), devices=devices())
    report.checks += check_packages()
    report.checks.append(_tried("device", lambda: (FINE, f"computes on {pick_device(device)}")))
    _examine_weights(report, weights)
    if self_test and not report.problems:
        report.self_test += run_self_test(weights, device)
    return report


def versions() -> dict[str, str]:
    """Names and versions of muOmni, Python, the platform and what muOmni stands on."""
    found = {"muomni": muomni_core.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def devices() -> list[dict[str, Any]]:
    """What can be computed on, the CPU first."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: list[dict[str, Any]] = [{"device": "cpu", "cores": cores, "threads": torch.get_num_threads()}]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            found.append({"device": f"cuda:{number}", "name": about.name, "bytes": about.total_memory})
    if torch.backends.mps.is_available():
        found.append({"device": "mps"})
    return found


def check_packages() -> list[Finding]:
    """Whether torch's companions can be imported beside it: another version's cannot."""
    return [_tried(name, partial(_import, name)) for name in MODULES]


def _import(name: str) -> tuple[str, str]:
    return FINE, importlib.import_module(name).__version__


def _tried(name: str, look: Callable[[], tuple[str, str]]) -> Finding:
    """What `look` finds and how long it takes; an error is a finding too."""
    begun = time.perf_counter()
    try:
        state, said = look()
    except Exception as error:
        state, said = WRONG, one_line(error)
    return Finding(name, state, said, round(time.perf_counter() - begun, 3))


# --- weights ------------------------------------------------------------------------------------------------------


def _examine_weights(report: Report, weights: Path | None) -> None:
    """Every stage by itself: a damaged one does not hide the others, as it does for MuOmni.load."""
    try:
        folders = search_path(weights)
    except MuOmniError as error:
        report.checks.append(Finding("weights", WRONG, one_line(error)))
        return
    tokenizer: Tokenizer | None = None

    def read_tokenizer() -> tuple[str, str]:
        nonlocal tokenizer
        tokenizer = load_tokenizer(folders)
        return FINE, f"{tokenizer.fingerprint}, {tokenizer.vocab_size:,} entries"

    report.checks.append(_tried("tokenizer", read_tokenizer))
    mark = tokenizer.fingerprint if tokenizer else ""
    files: dict[str, Path] = {}
    for stage in STAGES:
        finding = _tried(stage, partial(_find_stage, stage, folders, files))
        if finding.state == WRONG or stage not in files:
            report.checks.append(finding)
    headers = {}
    for stage, path in files.items():
        try:
            headers[stage] = read_header(path, stage)
        except MuOmniError:
            continue  # said by load_stage below
    for stage, why_not in spare_stages(files, headers).items():
        state, said = (FINE, SPARE_VOCODER) if stage == "vocoder" else (WRONG, why_not)
        report.checks.append(Finding(stage, state, said, 0.0))
        del files[stage], headers[stage]
    prints = {stage: header.fingerprint for stage, header in headers.items()}
    for stage, path in files.items():
        report.checks.append(_tried(stage, partial(_check_stage, stage, path, mark, prints)))
        if header := headers.get(stage):
            report.weights.append(
                {"stage": stage, "file": str(path), "fingerprint": header.fingerprint, "step": header.step}
                | {"parents": header.parents, "tokenizer": header.tokenizer, "mel": header.mel}
            )
    report.licences = {str(path.parent): terms(path.parent) for path in files.values()}


def _find_stage(stage: str, folders: list[Path], files: dict[str, Path]) -> tuple[str, str]:
    path = find_file(folders, f"{stage}.safetensors")
    if path is not None:
        files[stage] = path
        return FINE, str(path)
    if stage in OPTIONAL:
        return FINE, "none; Griffin-Lim makes the waveform"
    return WRONG, f"no {stage}.safetensors: train it with muomni train --stage {stage}"


def _check_stage(stage: str, path: Path, tokenizer: str, prints: dict[str, str]) -> tuple[str, str]:
    header, tensors = load_stage(path, stage, tokenizer=tokenizer)
    check_parents(path, header, prints)
    fits = ["mel"] + (["tokenizer"] if stage in TEXT_STAGES else []) + list(header.parents)
    count = sum(tensor.numel() for tensor in tensors.values())
    return FINE, f"{header.fingerprint}, {count:,} numbers; fits {', '.join(fits)}"


def terms(folder: Path) -> str:
    """The terms of the weights in a folder, in the words of its model card ("In short: ..."), or where to look."""
    path = folder / CARD
    try:
        card = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, ValueError):
        card = ""
    if not card:
        return "not stated: there is no model card"
    short = re.search(r"In short: \**(.+?)\.(?:\*|\s)", card, re.DOTALL)
    return f"{' '.join(short[1].split())} (more in its {CARD})" if short else f"see its {CARD}"


# --- every path, once ---------------------------------------------------------------------------------------------


def run_self_test(weights: Path | None = None, device: str = "auto") -> Iterator[Finding]:
    """Speaks a sentence, hears it again, packs and unpacks it, names a drawn shape, answers, compares; with times."""
    omni: Any = None
    sound = np.zeros(0, np.float32)

    def load() -> tuple[str, str]:
        nonlocal omni
        omni = MuOmni.load(weights, device=device)
        return FINE, f"{len(omni.fingerprints)} stages"

    def speak() -> tuple[str, str]:
        nonlocal sound
        sound, rate = omni.speak(SENTENCE)
        seconds, peak = len(sound) / rate, float(np.abs(sound).max(initial=0))
        sane = bool(np.isfinite(sound).all()) and 0.3 < seconds < 30 and 0.005 < peak <= 1
        return FINE if sane else WRONG, f"{seconds:.1f} s of sound by {omni.vocoders[0]}, peak {peak:.2f}"

    def hear() -> tuple[str, str]:
        from muomni_core.evaluation.metrics import word_error, words

        text = omni.transcribe((sound, 16_000))
        found = word_error([SENTENCE], [text])
        right = max(0, found.total - found.edits)
        return FINE if 2 * right >= found.total else WEAK, f'"{text}": {right} of {len(words(SENTENCE))} words'

    def codec() -> tuple[str, str]:
        codes = omni.encode_sound(sound)
        again = omni.decode_codes(codes, len(sound))
        sane = again.shape == sound.shape and bool(np.isfinite(again).all())
        return FINE if sane else WRONG, f"{len(sound):,} samples to {codes.size:,} codes and back to {len(again):,}"

    def see() -> tuple[str, str]:
        answer = omni.ask(image=draw_shape(), max_tokens=24)
        return _answered(answer, any(word in answer.lower() for word in (SHAPE, COLOUR)))

    def answer() -> tuple[str, str]:
        return _answered(omni.ask("Hello, how are you?", max_tokens=24), True)

    def listen_and_answer() -> tuple[str, str]:
        return _answered(omni.ask(audio=(sound, 16_000), max_tokens=24), True)

    def embed() -> tuple[str, str]:
        near, far = (
            float(omni.embed(image=draw_shape()) @ omni.embed(text=t)) for t in ("a red circle", "a brown dog")
        )
        state = WRONG if not np.isfinite([near, far]).all() else FINE if near > far else WEAK
        return state, f'a red circle is {near:.2f} like "a red circle", {far:.2f} like "a brown dog"'

    for name, test in (
        ("load", load),
        ("speak", speak),
        ("hear", hear),
        ("pack and unpack", codec),
        ("answer", answer),
        ("answer a recording", listen_and_answer),
        ("name a red circle", see),
        ("compare", embed),
    ):
        found = _tried(name, test)
        yield found
        if omni is None:
            return


def _answered(answer: str, hoped: bool) -> tuple[str, str]:
    return (FINE if hoped else WEAK) if answer.strip() else WRONG, f'"{answer}"'


def draw_shape() -> Image.Image:
    """A red circle on white, 224 pixels a side."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (896, 896), "white")
    ImageDraw.Draw(image).ellipse([208, 208, 688, 688], fill=COLOUR)  # four times as large, so that its edge is smooth
    return image.resize((224, 224), Image.Resampling.LANCZOS)
