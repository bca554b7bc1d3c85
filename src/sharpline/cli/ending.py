"""How a command ends: whatever stopped it becomes one line on standard error and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from sharpline.cli.output import fail, say
from sharpline.errors import SharplineError, Stopped, UsageError

STOPPED = 130  # what shells give to a command that Ctrl-C ended
_Misuse: Any = typer.BadParameter.__base__  # Typer's own usage error, which it does not export

# What Ctrl-C leaves, where that is not nothing. Verbs that go on by themselves tell more (upscale, train).
_KEPT = {
    "compile": "of several targets those that were finished are kept",
    "compress": "the steps that were finished are kept, and the same command goes on from there",
    "degrade": "the pictures that were finished are kept; --overwrite makes them again",
    "reproduce": "the rows that were finished are kept, and the same command goes on from there",
    "train": "what was decoded and saved so far is kept, and the same command with --resume goes on",
    "upscale": "the pictures that were finished are kept; --skip-existing goes on with the others",
    "view": "nothing was changed",
}


class Verbs(TyperGroup):
    """The verbs, all of which answer Ctrl-C with one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say(f"stopped; {_KEPT.get(ctx.invoked_subcommand, 'nothing was written')}")
            raise typer.Exit(STOPPED) from None


def run(app: typer.Typer) -> int:
    """Run the command line and say in one line what went wrong.

    Returns:
        The exit code: 0 done, 1 something failed, 2 usage, 130 stopped by Ctrl-C.
    """
    try:
        return app(prog_name="sharpline", standalone_mode=False) or 0
    except _Misuse as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # the help has been printed
            fail(_told(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):  # outside any verb: nothing has begun, or all is done
        return STOPPED
    except UsageError as error:
        fail(str(error))
        return 2
    except Stopped as stop:
        say(str(stop))
        return STOPPED
    except SharplineError as error:
        fail(str(error))
        return 1
    except BrokenPipeError:  # whoever read our output has left
        sys.stderr.close()
        return 1
    except OSError as error:
        fail(f"{error.filename or 'output'}: {error.strerror}; look at the place, its rights and its free space")
        return 1


def _told(error: Any) -> str:
    """Typer's words as one line, with where to look."""
    words = error.format_message().replace("Value error, ", "").rstrip(".")
    help_of = "sharpline" if error.ctx is None else error.ctx.command_path
    return f"{words[:1].lower()}{words[1:]}{'' if words.endswith('?') else ';'} see {help_of} --help"
