"""Bytes that were something once: bits turned, parts cut, doubled and replaced, numbers made extreme."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable

from hypothesis import strategies as st

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
WORDS = (
    *(
        "0",
        "-1",
        "1e999",
        "1e300",
        "NaN",
        "Infinity",
        "99999999999",
        "3",
        "1.5",
        "true",
        "null",
        "[]",
        "{}",
        "[[[[1]]]]",
    ),
    *('""', '"x"', '"\\u0000"', '"\\ud83d"', '"../../x"', '"/dev/zero"', '"\\u001b[31m"', '"' + "y" * 3000 + '"'),
)
_TOKEN = re.compile(rb'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\\n]|\\.)*"|true|false|null')


@st.composite
def bent(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with one to six things done to its bytes."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["bit", "bit", "byte", "number", "cut", "double", "drop", "insert", "head"]))
        # Most of what a format says of itself stands at its beginning.
        size = max(1, len(out))
        place = draw(st.one_of(st.integers(0, min(200, size) - 1), st.integers(0, size - 1)))
        if kind == "bit" and out:
            out[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and out:
            out[place] = draw(st.integers(0, 255))
        elif kind == "number":
            form = draw(st.sampled_from(["<H", ">H", "<I", ">I", "<Q", ">Q"]))
            number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * struct.calcsize(form))
            out[place : place + struct.calcsize(form)] = struct.pack(form, number)
        elif kind == "cut":
            del out[place:]
        elif kind == "double":
            out[place:place] = out[place : place + draw(st.integers(1, 4000))]
        elif kind == "drop":
            del out[place : place + draw(st.integers(1, 400))]
        elif kind == "insert":
            out[place:place] = draw(st.binary(max_size=40))
        elif kind == "head":
            out[: draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return bytes(out)


@st.composite
def reworded(draw: st.DrawFn, data: bytes) -> bytes:
    """A text of numbers and quoted words (JSON, TOML) with one to four of them replaced by odd ones."""
    for _ in range(draw(st.integers(1, 4))):
        tokens = list(_TOKEN.finditer(data))
        if not tokens:
            break
        token = tokens[draw(st.integers(0, len(tokens) - 1))]
        data = data[: token.start()] + draw(st.sampled_from(WORDS)).encode() + data[token.end() :]
    return data


@st.composite
def rewritten_header(draw: st.DrawFn, data: bytes) -> bytes:
    """A safetensors file whose header, or muOmni's own JSON in it, has odd words; its length is right."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = header.get("__metadata__", {}).get("muomni")
    if about is not None and draw(st.booleans()):
        header["__metadata__"]["muomni"] = draw(reworded(about.encode())).decode("utf-8", "replace")
        text = json.dumps(header).encode()
    else:
        text = draw(reworded(json.dumps(header).encode()))
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def damaged(*ways: Callable[[bytes], st.SearchStrategy[bytes]]) -> Callable[[bytes], st.SearchStrategy[bytes]]:
    """One of several ways, or bytes at random."""
    return lambda data: st.one_of(*(way(data) for way in ways), st.binary(max_size=200))
