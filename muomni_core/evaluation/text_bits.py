"""How well the Thinker that answers still reads: bits a byte of val rows of stories, dialogue, definitions.

    python -m muomni_core.evaluation.text_bits --data DIR

Each row by itself, as in training, after its first token; `--limit` is the rows a set (300).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from muomni_core.data.chat import row_ids
from muomni_core.data.rows import read_rows
from muomni_core.data.sampling import evenly
from muomni_core.errors import DataError
from muomni_core.evaluation.metrics import bits_per_byte
from muomni_core.evaluation.table import Report, Settings, run

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

ROWS = 300
KINDS = {
    "stories": ("snakes_child_stories", "snakes_other_stories", "storybooks_asp_pb"),
    "dialogue": ("dailydialog_plusplus", "synthetic_persona_chat", "self_dialogue_corpus"),
    "definitions": ("wordset_definitions",),
    "sentences": ("tatoeba_english",),
    "captions": ("captions_flickr8k",),
}


@torch.no_grad()
def measure(omni: MuOmni, settings: Settings) -> Report:
    report = Report()
    thinker = omni.thinker
    for kind, sources in KINDS.items():
        nats, n_bytes = 0.0, 0
        for source in sources:
            try:
                rows = list(read_rows(f"text/{source}-val.jsonl*", settings.root))
            except DataError as error:
                report.notes.append(str(error))
                continue
            for row in evenly(rows, settings.limit or ROWS):
                ids = row_ids(omni.tokenizer, row)[: omni.config.thinker.max_positions]
                if len(ids) < 2:
                    continue
                tokens = torch.tensor([ids], device=omni.device)
                logits = thinker.logits(thinker(thinker.embed(tokens[:, :-1])))[0].float()
                nats += float(F.cross_entropy(logits, tokens[0, 1:], reduction="sum"))
                n_bytes += sum(len(omni.tokenizer.token_bytes(i)) for i in ids[1:])
        if n_bytes:
            report.figures[f"bits_{kind}"] = bits_per_byte(nats, n_bytes)
    return report


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, show=0))
