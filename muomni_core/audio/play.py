"""Sound through the loudspeaker, by a player that is on the machine: there is one on most, and no library is needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO

from muomni_core.audio.wav import wav_header
from muomni_core.errors import InputError

# What each is called with to play 16 kHz mono 16 bit samples from its standard input, the first found taken.
PLAYERS: dict[str, tuple[str, ...]] = {
    "aplay": ("-q", "-t", "raw", "-f", "S16_LE", "-r", "16000", "-c", "1"),
    "paplay": ("--raw", "--format=s16le", "--rate=16000", "--channels=1"),
    "pw-play": ("--raw", "--format=s16", "--rate=16000", "--channels=1", "-"),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error", "-f", "s16le", "-sample_rate", "16000", "-i", "-"),
    "play": ("-q", "-t", "raw", "-r", "16000", "-e", "signed", "-b", "16", "-c", "1", "-"),  # of SoX
    "afplay": (),  # reads no pipe, see below; where it is, the others seldom are
}


def find_player() -> str:
    """The name of the machine's player. Raises InputError where there is none."""
    for name in PLAYERS:
        if shutil.which(name):
            return name
    raise InputError(f"no player is here to play with; install one of {', '.join(PLAYERS)}, or write a file with -o")


@contextlib.contextmanager
def playing(name: str) -> Iterator[IO[bytes]]:
    """A file: the 16 bit samples that are written to it are played. It returns when all is played.

    Raises InputError if the player fails.
    """
    with tempfile.TemporaryFile() as complaints, contextlib.ExitStack() as stack:
        if name == "afplay":
            with tempfile.TemporaryDirectory() as folder:
                yield from _played_at_the_end(os.path.join(folder, "speech.wav"), complaints)
            return
        player = stack.enter_context(_started([name, *PLAYERS[name]], complaints))
        assert player.stdin is not None
        try:
            yield player.stdin
            player.stdin.close()
        except BrokenPipeError:
            with contextlib.suppress(OSError):  # what it still holds has nowhere to go
                player.stdin.close()
            if player.wait() == 0:
                raise
        except BaseException:
            player.kill()
            with contextlib.suppress(OSError):
                player.stdin.close()
            raise
        _check(player, name, complaints)


def _played_at_the_end(path: str, complaints: IO[bytes]) -> Iterator[IO[bytes]]:
    """For a player that wants a file: nothing is heard before everything is said."""
    with open(path, "wb") as file:
        file.write(wav_header(0, 16_000))
        yield file
        n_samples = (file.tell() - 44) // 2
        file.seek(0)
        file.write(wav_header(n_samples, 16_000))
    with _started(["afplay", path], complaints) as player:
        _check(player, "afplay", complaints)


def _started(command: list[str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints)
    except OSError as error:
        raise InputError(f"{command[0]} does not start: {error.strerror}") from None


def _check(player: subprocess.Popen[bytes], name: str, complaints: IO[bytes]) -> None:
    if player.wait() == 0:
        return
    complaints.seek(0)
    lines = complaints.read(10_000).decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()] or [f"it ended with {player.returncode}"]
    raise InputError(f"{name} cannot play here: {said[-1]}")
