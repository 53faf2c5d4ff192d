"""Records the terminal pictures of the README: runs the commands for real, and draws what they print as SVG.

python docs/record.py
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent / "recordings"
ROOT = Path(__file__).parent.parent
WIDTH = 100
SECONDS_A_COMMAND = 2.5  # from one to the next, in the picture

SCENES = {
    "chain": [
        'muomni ask --image shapes.png "What do you see?"',
        'muomni speak "What do you like to eat?" -o q.wav',
        "muomni transcribe q.wav",
        "muomni transcribe q.wav | muomni ask -",
        "muomni transcribe q.wav | muomni ask - | muomni speak - -o a.wav && ls *.wav",
    ],
    "session": [
        "cat requests.jsonl",
        "muomni ask --batch requests.jsonl",
        "muomni ask --imgae shapes.png",
        "muomni codec encode q.wav -o q.codes && wc -c q.*",
    ],
    "doctor": ["muomni doctor | tail -n 8"],
}

REQUESTS = '{"id": 1, "question": "Hello!"}\n{"id": 2, "image": "shapes.png"}\n'


def record(name: str, commands: list[str], folder: Path) -> str:
    """Runs the commands in `folder`; the picture of the terminal as SVG, whose parts appear one after the other."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    shows: list[tuple[int, float]] = []  # line, second
    n_lines = 0
    for number, command in enumerate(commands):
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")), soft_wrap=False)
        printed = subprocess.run(
            ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout
        console.print(Text(printed.rstrip("\n")), end="\n" if printed.strip() else "")
        total = len(console.export_text(clear=False).splitlines())
        typed = -(-(len(command) + 2) // WIDTH)
        for line in range(n_lines, total):
            shows.append((line, SECONDS_A_COMMAND * number + (0.2 if line < n_lines + typed else 1.2)))
        n_lines = total
    svg = console.export_svg(title="muOmni", unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL)  # no font from elsewhere
    # Who asked their system for less motion, or has a viewer without animations, sees all of it at once.
    rules = "".join(
        f'text[clip-path="url(#{name}-line-{line})"] {{ animation: appear 0s {second:.1f}s both }}\n'
        for line, second in shows
    )
    motion = f"@media (prefers-reduced-motion: no-preference) {{\n{rules}}}\n"
    return svg.replace("<style>", f"<style>\n@keyframes appear {{ from {{ opacity: 0 }} }}\n{motion}", 1)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = folder / "bin" / "muomni"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m muomni_cli "$@"\n')
        command.chmod(0o755)
        os.environ |= {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        os.environ["MUOMNI_CONFIG"] = ""
        stage = folder / "stage"
        stage.mkdir()
        shutil.copy(ROOT / "recipes/examples/shapes.png", stage)
        (stage / "requests.jsonl").write_text(REQUESTS)
        for name, commands in SCENES.items():
            (FOLDER / f"{name}.svg").write_text(record(name, commands, stage), encoding="utf-8")


if __name__ == "__main__":
    main()
