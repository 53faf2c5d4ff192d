"""Everything that `ask` is measured by, as one table.

    python -m muomni_core.evaluation.asking --data DIR [--limit 100] [--only naming,yes_no] [--json]

Each part is a command of its own, `python -m muomni_core.evaluation.PART`, which also prints answers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from muomni_core.errors import one_line_errors
from muomni_core.evaluation import (
    captions,
    drawn_scenes,
    everyday,
    naming,
    retrieval,
    spoken_questions,
    text_bits,
    yes_no,
)
from muomni_core.evaluation.table import Measure, as_json, lines, load, parser, settings

PARTS: dict[str, Measure] = {
    "naming": naming.measure,
    "captions": captions.measure,
    "yes_no": yes_no.measure,
    "drawn_scenes": drawn_scenes.measure,
    "retrieval": retrieval.measure,
    "spoken_questions": spoken_questions.measure,
    "everyday": everyday.measure,
    "text_bits": text_bits.measure,
}


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("--only", metavar="PART,PART", help=f"these of {', '.join(PARTS)}")
    args = made.parse_args(arguments)
    names = list(PARTS) if args.only is None else [name.strip() for name in args.only.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        made.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    found = {}
    omni = load(args.weights)
    for name in names:
        start = time.perf_counter()
        found[name] = PARTS[name](omni, settings(args))
        if not args.json:
            print("\n".join(lines(found[name], f"{name} ({time.perf_counter() - start:.0f} s)")), flush=True)
    if args.json:
        print(json.dumps({name: as_json(report) for name, report in found.items()}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
