"""A conversation on the terminal: lines are questions, lines with a slash are orders."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muomni_cli import console
from muomni_cli.answers import shown, spoken
from muomni_core.errors import InputError, MuOmniError
from muomni_core.files import check_output

if TYPE_CHECKING:
    from muomni_core import MuOmni

HELP = """\
/image FILE          show a picture with the next question (several times for several)
/video FILE          show frames of a video with it
/audio FILE          let it hear a recording with it, or as the question: press Enter alone
/speak on|off|FILE   speak the answers aloud, or into FILE.wav, FILE-2.wav, ...
/reset               forget everything
/help                this list
Ctrl-C stops an answer, Ctrl-D ends the conversation.
"""


class Talk:
    """Reads lines and answers them until they end.

    Args:
        generation: passed to Conversation.ask_stream.
        speech: passed to speak_to_file.
        speak: a WAV file for spoken answers, or None.
        frames: pictures that are taken of a video.
    """

    def __init__(
        self,
        omni: MuOmni,
        *,
        generation: dict[str, Any],
        speech: dict[str, Any],
        speak: str | None = None,
        force: bool = False,
        frames: int = 4,
    ):
        self.omni, self.generation, self.speech, self.force, self.frames = omni, generation, speech, force, frames
        self.conversation = omni.conversation()
        self.target: str | None = None
        self.player: str | None = None
        self.n_spoken = 0
        self.pictures: list[Any] = []  # of the next question
        self.recording: Any = None
        if speak is not None:
            self.into_files(speak)

    def run(self, read_line: Callable[[], str]) -> None:
        """Until `read_line` raises EOFError. What goes wrong is one line on stderr, and the conversation goes on."""
        while True:
            try:
                line = console.argument_text(read_line()).strip()
                self.obey(line) if line.startswith("/") else self.answer(line)
            except EOFError:
                return
            except MuOmniError as error:
                console.complain(str(error))
            except UnicodeDecodeError:
                console.complain("that line is no text in UTF-8")
            except BrokenPipeError:
                raise
            except OSError as error:
                console.complain(console.os_error_line(error))

    def answer(self, line: str) -> None:
        if not line and not self.pictures and self.recording is None:
            return
        pictures, recording = self.pictures, self.recording
        self.pictures, self.recording = [], None
        pieces = self.conversation.ask_stream(line or None, image=pictures or None, audio=recording, **self.generation)
        try:
            if self.target is None and self.player is None:
                for _ in shown(pieces):
                    pass
            else:
                self._speak(pieces)
        except KeyboardInterrupt:
            console.say("stopped")
        finally:
            pieces.close()  # so that what was said is remembered, as far as it went

    def _speak(self, pieces: Any) -> None:
        target = self.target
        if target is not None and self.n_spoken:
            path = Path(target)
            target = str(path.with_name(f"{path.stem}-{self.n_spoken + 1}{path.suffix}"))
        spoken(self.omni, shown(pieces), target, player=self.player, force=self.force, **self.speech)
        self.n_spoken += 1
        if target is not None:
            console.say(f"spoken into {target}")

    # --- orders

    def obey(self, line: str) -> None:
        order, _, rest = line.partition(" ")
        orders: dict[str, Callable[[str], None]] = {
            "/image": self.image,
            "/video": self.video,
            "/audio": self.audio,
            "/speak": self.speak,
            "/reset": self.reset,
            "/help": self.help,
        }
        if order not in orders:
            raise InputError(f"{order}: no such order; /help lists them")
        orders[order](rest.strip())

    def image(self, rest: str) -> None:
        from muomni_core.vision.image import load_image

        name = _file(rest)
        self.pictures.append(load_image(name))
        console.say(f"{name}: ask about it (Enter alone asks what there is to see)")

    def video(self, rest: str) -> None:
        from muomni_core.vision.video import video_frames

        name = _file(rest)
        found = video_frames(name, self.frames)
        self.pictures += found
        console.say(f"{name}: {len(found)} frames; ask about them")

    def audio(self, rest: str) -> None:
        from muomni_core.audio.io import SAMPLE_RATE, read_sound

        name = _file(rest)
        self.recording = (read_sound(name, max_seconds=30), SAMPLE_RATE)
        console.say(f"{name}: press Enter if it is the question, or ask about it")

    def speak(self, rest: str) -> None:
        if rest in ("", "on"):
            from muomni_core.audio.play import find_player

            self.player, self.target = find_player(), None
            console.say(f"answers are spoken aloud, by {self.player}")
        elif rest == "off":
            self.player = self.target = None
            console.say("answers are not spoken")
        else:
            self.into_files(_name(rest))
            console.say(f"answers are spoken into {self.target} and so on")

    def into_files(self, name: str) -> None:
        path = Path(name)
        name = name if path.suffix else f"{name}.wav"
        check_output(name, self.force)
        self.player, self.target, self.n_spoken = None, name, 0

    def reset(self, rest: str) -> None:
        self.conversation.reset()
        self.pictures, self.recording = [], None
        console.say("everything is forgotten")

    def help(self, rest: str) -> None:
        sys.stderr.write(HELP)


def _name(rest: str) -> str:
    """A file's name as people type or drop it: with spaces, in quotes, with backslashes, with ~."""
    if os.path.exists(rest):
        return rest
    with contextlib.suppress(ValueError):
        if len(parts := shlex.split(rest)) == 1:
            rest = parts[0]
    return os.path.expanduser(rest)


def _file(rest: str) -> str:
    if not rest:
        raise InputError("name a file behind it")
    name = _name(rest)
    if name == "-":
        raise InputError("stdin is the conversation here; name a file")
    console.check_input(name)
    return name


def typed_line() -> str:
    """A line that a person types, with editing and history where Python has them. Raises EOFError at the end."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (to have it imported is enough)
    try:
        if console.is_terminal(sys.stdout):
            return input("> ")
        sys.stderr.write("> ")  # stdout is for answers alone
        sys.stderr.flush()
        return input()
    except EOFError:
        sys.stderr.write("\n")
        raise
