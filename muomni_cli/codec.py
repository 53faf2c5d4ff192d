"""`muomni codec`: sound to a small file of codes, and back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, HelpGroup, new_app

EXAMPLES = """
muomni codec encode in.wav -o in.codes
muomni codec decode in.codes -o out.wav
"""
ENCODE_EXAMPLES = """
muomni codec encode in.wav -o in.codes
muomni speak hello -o - | muomni codec encode - -o hello.codes
"""
DECODE_EXAMPLES = """
muomni codec decode in.codes -o out.wav
muomni codec decode in.codes -o - | muomni transcribe -
"""


app = new_app(
    cls=HelpGroup, no_args_is_help=True, help="Pack sound into a small file of codes, and unpack it.", epilog=EXAMPLES
)


def _output(metavar: str) -> Any:
    return typer.Option("--output", "-o", metavar=metavar, rich_help_panel=o.OUTPUT, help="Where to; `-` for stdout.")


@app.command(cls=HelpCommand, epilog=ENCODE_EXAMPLES)
def encode(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A sound file; `-` reads stdin.")],
    output: Annotated[str, _output("OUT.codes")],
    force: o.Force = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Pack a sound into a file of codes, and print its bit rate."""
    console.begin(verbose, quiet)
    console.check_input(file)
    console.check_output(output, force)
    from muomni_core.tasks.codec_file import encode_file

    packed = encode_file(console.load_model(weights, device.value, threads), file, output, force)
    _report(output, packed)


@app.command(cls=HelpCommand, epilog=DECODE_EXAMPLES)
def decode(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A file of codes; `-` reads stdin.")],
    output: Annotated[str, _output("OUT.wav")],
    force: o.Force = False,
    vocoder: o.Vocoder = None,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Unpack a file of codes into a WAV file, sample for sample as long as the sound was."""
    console.begin(verbose, quiet)
    console.check_input(file)
    console.check_output(output, force)
    from muomni_core.tasks.codec_file import decode_file

    omni = console.load_model(weights, device.value, threads)
    _report(output, decode_file(omni, file, output, force, vocoder and vocoder.value))


def _report(output: str, packed: Any) -> None:
    """The bit rate in one line: on stdout, or on stderr if the bytes go there."""
    from muomni_core.tasks.codec_file import bit_rate

    frames, codebooks = packed.codes.shape
    seconds = packed.n_samples / packed.sample_rate
    line = f"{bit_rate(packed):.0f} bit/s ({frames} frames of {codebooks} codes, {seconds:.2f} s)"
    if output != "-":
        console.write_line(line)
    else:
        console.say(line)
