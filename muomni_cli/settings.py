"""A person's own settings: a TOML in the config folder. A flag comes before MUOMNI_NAME, and that before the TOML.

# ~/.config/muomni/config.toml
device = "cpu"
threads = 2
weights = "~/models/mine"    # relative to this file
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from muomni_core.errors import InputError
from muomni_core.files import printable

PREFIX = "MUOMNI_"
FILE_VARIABLE = "MUOMNI_CONFIG"  # another file; empty: none
MAX_BYTES = 1_000_000

TEXT, NUMBER = (str,), (int, float)
# What can be set; each is the option --name of the commands that have it, and the variable MUOMNI_NAME.
SETTINGS: dict[str, tuple[type, ...]] = {
    "weights": TEXT,
    "device": TEXT,
    "threads": NUMBER,
    "data": TEXT,
    "voice": TEXT,
    "vocoder": TEXT,
    "speed": NUMBER,
    "max-tokens": NUMBER,
}
PATHS = ("weights", "data")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper().replace("-", "_")


def config_file() -> Path | None:
    """The TOML that is read if it is there; None where MUOMNI_CONFIG is empty. Raises InputError if it names nothing."""
    named = os.environ.get(FILE_VARIABLE)
    if named is not None:
        if named and not os.path.exists(named):
            raise InputError(f"{FILE_VARIABLE} names {printable(named)}, and there is no such file")
        return Path(named) if named else None
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA") or "~"
    elif sys.platform == "darwin":
        folder = "~/Library/Application Support"
    else:
        folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(os.path.expanduser(folder), "muomni", "config.toml")


def read_settings() -> dict[str, str]:
    """name -> value as it would be written behind the option. Raises InputError, one line with the file's name."""
    file = config_file()
    if file is None or not file.exists():
        return {}
    return {name: _value(file, name, value) for name, value in _read(file).items()}


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    shown = printable(str(file))
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(f"{shown} is larger than {MAX_BYTES:,} bytes; settings are a few lines")
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown}: not a TOML file (it is not UTF-8)") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{shown}: not a TOML file ({error})") from None


def _value(file: Path, name: str, value: Any) -> str:
    shown = printable(str(file))
    if name not in SETTINGS:
        from difflib import get_close_matches

        near = get_close_matches(name.replace("_", "-").lower(), SETTINGS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(SETTINGS)}"
        raise InputError(f"{shown}: no setting {name!r}; {hint}")
    if isinstance(value, bool) or not isinstance(value, SETTINGS[name]):
        wanted = "text in quotes" if SETTINGS[name] is TEXT else "a number"
        raise InputError(f"{shown}: {name} should be {wanted}, not {value!r:.60}")
    return str(file.parent / os.path.expanduser(str(value))) if name in PATHS else str(value)


def defaults_of(params: list[Any]) -> dict[str, str]:
    """The settings that a command has options for, by the names of its parameters."""
    found = read_settings()
    names = {opt.removeprefix("--"): param.name for param in params for opt in param.opts}
    return {names[name]: value for name, value in found.items() if name in names}
