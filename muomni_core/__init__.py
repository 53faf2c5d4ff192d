"""muOmni: a tiny omni model (text, pictures and speech in; text and speech out) and its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

__version__ = "0.6.0"
__all__ = ["MuOmni", "__version__"]


def __getattr__(name: str) -> Any:
    """`MuOmni` is imported when it is asked for: it brings torch, and `muomni --help` must not wait for that."""
    if name == "MuOmni":
        from muomni_core.model.omni import MuOmni

        return MuOmni
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
