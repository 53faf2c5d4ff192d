"""What the training loop is measured against: the barest loops there are, and Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.config import ThinkerConfig

Clock = Callable[[], float]


class Block(nn.Module):
    """nanoGPT's block: layer norms, one projection for queries, keys and values, GELU."""

    def __init__(self, width: int, n_heads: int, hidden: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.qkv(self.norm1(x)).view(batch, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """The Thinker's width, depth, heads and vocabulary; as wide an MLP in all as its three matrices."""

    def __init__(self, config: ThinkerConfig, context: int):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(context, config.width)
        hidden = 3 * config.ffn_width // 2
        self.blocks = nn.ModuleList(Block(config.width, config.n_heads, hidden) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.embedding.weight).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def plain_loop(
    model: nn.Module, batch: Callable[[int], Any], loss: Callable[[Any], Tensor], steps: int, bf16: bool, clock: Clock
) -> list[float]:
    """Forward, backward, clip, AdamW; returns the time at the end of each step."""
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.train()
    ends = []
    for step in range(steps):
        given = batch(step)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            value = loss(given)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        value.item()  # a log wants it; and on a GPU the clock has to wait
        ends.append(clock())
    return ends


def trainer_loop(
    config: ThinkerConfig, context: int, batch: int, steps: int, bf16: bool, compiled: bool, device: str, clock: Clock
) -> list[float]:
    """Hugging Face's Trainer with a Llama of the same sizes, or a Mixtral where there are experts.

    Raises ImportError where it is not installed.
    """
    import tempfile

    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MixtralConfig,
        MixtralForCausalLM,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    sizes: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "max_position_embeddings": context,
        "tie_word_embeddings": True,
    }
    if config.n_experts:
        experts = {"num_local_experts": config.n_experts, "num_experts_per_tok": config.n_active_experts}
        model: Any = MixtralForCausalLM(MixtralConfig(**sizes, **experts))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    rows = torch.randint(config.vocab_size, (4 * batch, context))
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            ends.append(clock())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=batch,
            bf16=bf16,
            torch_compile=compiled,
            use_cpu=not device.startswith("cuda"),
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        data: Any = [{"input_ids": row, "labels": row} for row in rows]
        Trainer(model, arguments, train_dataset=data, callbacks=[Clock()]).train()
    return ends
