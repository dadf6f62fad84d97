"""The command ``shelfwise``: the list of commands, and what becomes of every error.

Exit codes: 0 done; 1 it cannot be done; 2 the command is written wrongly; 3 the data has a problem; 4 done, and
something must be ordered today; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, cast

import typer

from shelfwise import __version__
from shelfwise.cli import (
    backtests,
    backups,
    config,
    database,
    demo,
    doctor,
    events,
    forecasts,
    health,
    history,
    import_history,
    imports,
    jobs,
    models,
    new_products,
    orders,
    overrides,
    products,
    purchasing,
    replays,
    risks,
    serve,
    stock,
    stock_movements,
    suppliers,
    sync,
    users,
    webhooks,
    what_if,
    worker,
)
from shelfwise.cli.output import ReaderGone, say, write
from shelfwise.domain.errors import OutOfMemory, ShelfwiseError

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="shelfwise",
    help="Demand forecasting and reordering: what will sell, what to order, what will run out, and why.",
    epilog="Begin with `shelfwise demo`, or with your own files: `shelfwise import FILE...`, then `shelfwise order`.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (
    demo, imports, import_history, health, orders, risks, what_if, stock, stock_movements, purchasing, products,
    new_products, overrides, forecasts, models, backtests, replays, suppliers, history, serve, worker, jobs, events,
    sync, webhooks, users, database, backups, config, doctor,
):  # fmt: skip
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        write(f"shelfwise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole trace of an error.")] = False,
) -> None:
    """Options for every command; ``--debug`` is taken out by `run`, so that it may stand anywhere."""


@cache
def command_line() -> typer.core.TyperGroup:
    """Return the whole command line; making it out of a hundred signatures takes longer than most commands."""
    return cast("typer.core.TyperGroup", typer.main.get_command(app))  # an app with several commands is a group


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error a person can act on becomes one message on stderr."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        code = command_line().main(args=words, prog_name="shelfwise", standalone_mode=False)
        sys.stdout.flush()
        if code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C
            raise typer.Abort
    except typer.TyperException as error:
        _show_usage(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("\ninterrupted; what was not finished was not kept")
        return EXIT_INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        # The reader, like `head`, has what it wanted. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ShelfwiseError as error:
        if debug:
            raise
        say(f"shelfwise: {error}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        _report(error, words)
        return 1
    return code if isinstance(code, int) else 0


def _show_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        say(error.format_message())
        return
    say(f"shelfwise: {error.format_message()}")
    if context is not None:
        say(f"Try: {context.command_path} --help")


def _report(error: Exception, words: Sequence[str]) -> None:
    """Keep the trace of a fault of the program in a file, and say in one message where, and what to do with it.

    Too little memory is the machine's fault, not the program's: it is said, and no trace is kept.
    """
    if isinstance(error, MemoryError):
        said = OutOfMemory.during(f"`shelfwise {' '.join(words[:1])}`", error)
        say(f"shelfwise: {said}; what was not finished was not kept")
        return
    import platform
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="shelfwise-fault-", suffix=".txt", delete=False
    ) as file:
        file.write(f"shelfwise {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"command: {' '.join(words[:1])}\n\n{''.join(traceback.format_exception(error))}")
    say(
        f"shelfwise: a fault in the program ({type(error).__name__}: {error}); what was not finished was not kept.\n"
        f"The details are in {file.name}; please report it with that file. --debug shows them here."
    )
