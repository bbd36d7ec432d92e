"""The command line: registers every command and catches every error that a user can fix."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from spikecli import console
from spikecli.cli import (
    ablate,
    bench,
    calibrate,
    compare,
    config,
    doctor,
    eval,
    export,
    fewshot,
    import_run,
    mini,
    papers,
    predict,
    reparameterize,
    runs,
    simulate,
    train,
    view,
    watch,
    zeroshot,
)
from spikecli.cli.data import data_app
from spikecli.cli.options.fields import refreshed
from spikecli.cli.shown.first import say_first_steps
from spikecli.cli.shown.nearest import NearestGroup
from spikecli.errors import SettingError, SpikeError, Stopped, naming_options
from spikecli.settings.plugins import load_plugins

app = typer.Typer(
    name="spikecli",
    help="Spiking neural networks for 3-D point clouds and event cameras.",
    epilog="Every option is also an environment variable: SPIKECLI_TRAIN_EPOCHS=30 is train's --epochs 30.",
    cls=NearestGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SPIKECLI"},
)

INTERRUPTED = 130
USAGE = 2
WITH_SETTINGS = ("train", "ablate")


def _version(asked: bool) -> None:
    if asked:
        from spikecli.files.shipped import VERSION

        typer.echo(f"spikecli {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, show_envvar=False, help="Show the version and exit."
    ),
    files: list[Path] | None = typer.Option(
        None,
        "--import",
        metavar="FILE",
        readable=False,
        show_envvar=False,
        help="Run a Python file that adds parts of your own; behind the command, too, or as SPIKECLI_IMPORT.",
    ),
) -> None:
    """Spiking neural networks for 3-D point clouds and event cameras."""
    if context.invoked_subcommand is None:
        say_first_steps(console.Console())


data_app.command("simulate")(simulate.simulate)
app.add_typer(data_app, name="data")
app.add_typer(config.config_app, name="config")
app.command(cls=train.TrainCommand)(train.train)
app.command("eval")(eval.evaluate)
app.command()(predict.predict)
app.command()(calibrate.calibrate)
app.command()(ablate.ablate)
app.command()(compare.compare)
app.command()(zeroshot.zeroshot)
app.command()(fewshot.fewshot)
app.command()(mini.mini)
app.command()(view.view)
app.command()(runs.runs)
app.command()(watch.watch)
app.command()(papers.papers)
app.command("import")(import_run.import_run)
app.command()(reparameterize.reparameterize)
app.command()(export.export)
app.command()(bench.bench)
app.command()(doctor.doctor)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 done, 1 an error the user can fix, 2 usage, 130 interrupted."""
    try:
        with naming_options():
            words, broken = load_plugins(sys.argv[1:] if arguments is None else arguments)
            for warning in broken:
                console.warning(warning)
            if words[:1] == ["help"]:  # of all, or of a command
                words = [*words[1:], "--help"]
            _command()(args=words, prog_name="spikecli", standalone_mode=True)
    except SpikeError as problem:
        console.error(str(problem))
        return USAGE if isinstance(problem, SettingError) else 1
    except ModuleNotFoundError as problem:
        from spikecli.files.extras import explained

        missing = explained(problem)
        if missing is None:
            raise
        console.error(str(missing))
        return 1
    except OSError as problem:
        from spikecli.files.atomic import in_words

        line = in_words(problem)
        if line is None:
            code = console.unprinted(problem)
            if code is None:
                raise
            return code
        console.error(line)
        return 1
    except (Stopped, KeyboardInterrupt) as stop:  # Ctrl-C before typer listens, while the options are made
        console.error(str(stop) or "interrupted")
        return INTERRUPTED
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what typer makes of Ctrl-C
            console.error("interrupted")
        return end.code if isinstance(end.code, int) else 1
    return 0


def _command() -> Any:
    """Return the whole command line; its help does not list the options' environment variables."""
    command = _made()
    commands = [command]
    while commands:
        one = commands.pop()
        commands.extend(getattr(one, "commands", {}).values())
        for parameter in one.params:
            parameter.show_envvar = False
            if one.name in WITH_SETTINGS and (text := refreshed(parameter.name or "")):
                parameter.help = text  # parts may have come from outside since
    return command


@cache
def _made() -> Any:
    """Return the whole command line as typer makes it: a tenth of a second of work, once a process."""
    return typer.main.get_command(app)


def entry() -> None:
    """Run the command line of this process and exit with its code; SIGTERM ends it cleanly, like Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGUSR1"):  # a batch system's warning: a training saves its state, anything else goes on
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    warnings.showwarning = _warn  # type: ignore[assignment]
    console.open_streams()
    sys.exit(console.close_streams(run()))


def _warn(message: Warning | str, category: type[Warning], filename: str, *where: Any) -> None:
    """Print a warning of this package as one line; warnings of libraries are dropped, since users cannot fix them."""
    if Path(filename).is_relative_to(Path(__file__).parents[1]):
        console.warning(str(message))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(INTERRUPTED)
