"""`muomni doctor`: is everything here, and does it work?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muomni_cli import console, settings
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

if TYPE_CHECKING:
    from muomni_core.tasks.doctor import Finding, Report

EXAMPLES = """
muomni doctor
muomni doctor --weights my-model --json
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    self_test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", rich_help_panel="What", help="Also try every path once.")
    ] = True,
    json: o.Json = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Look at everything: versions, devices, weights with their terms; then speak, hear and see, with times.

    Each line is fine, weak (it works, but the answer is not the one hoped for) or wrong. Exit code 1 if something is
    wrong.
    """
    console.begin(verbose, quiet)
    console.check_weights(weights)
    console.prepare_torch(threads)
    from muomni_core.tasks.doctor import examine, run_self_test

    report = examine(weights, device.value, self_test=False)
    if not json:
        for line in _described(report):
            console.write_line(line)
    if self_test and not report.problems:
        for finding in run_self_test(weights, device.value):
            report.self_test.append(finding)
            if not json:
                console.write_line(_line(finding))
    if json:
        console.write_json(report.as_json() | {"settings": _settings()})
    if report.problems:
        rest = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
        console.complain(f"something is wrong: {report.problems[0]}{rest}")
        raise typer.Exit(console.EXIT_FAILED)


def _described(report: Report) -> list[str]:
    lines = ["versions  " + ", ".join(f"{name} {version}" for name, version in report.versions.items())]
    lines += [f"device    {_device(device)}" for device in report.devices]
    lines.append(f"settings  {_settings()}")
    lines += [f"weights   {folder}: {terms}" for folder, terms in report.licences.items()]
    return [console.escape(line) for line in lines] + [_line(finding) for finding in report.checks]


def _settings() -> str:
    """What the environment and the TOML set, and which file that is."""
    file, own = settings.config_file(), settings.read_settings()
    given = {settings.variable(name): os.environ.get(settings.variable(name)) for name in settings.SETTINGS}
    parts = [f"{name}={value}" for name, value in given.items() if value is not None]
    parts += [f"{name} = {value}" for name, value in own.items()]
    said = ", ".join(parts) or "none"
    return f"{said} (of {file})" if own else f"{said} (there is no {file})" if file else said


def _device(device: dict[str, Any]) -> str:
    about = [f"{device['name']}, {device['bytes'] / 1e9:.0f} GB"] if "bytes" in device else []
    about += [f"{device[key]} {key}" for key in ("cores", "threads") if key in device]
    return f"{device['device']}: {', '.join(about)}" if about else device["device"]


def _line(finding: Finding) -> str:
    state = f"{finding.state:<8}"
    if finding.state != "fine" and console.is_coloured(sys.stdout):
        state = typer.style(state, fg="red" if finding.state == "wrong" else "yellow")
    seconds = "" if finding.seconds is None else f"{finding.seconds:6.2f} s"
    return f"{state}{seconds}  {finding.name}: {console.escape(finding.said)}"
