"""The command `callsheet`: its commands, and what becomes of their errors."""

from __future__ import annotations

import difflib
import importlib
import os
import platform
from typing import Any

import click

from callsheet import __version__
from callsheet.cli.failures import EXIT_CODES, failure_of
from callsheet.cli.options import JSON_KEY, RESUME_KEY
from callsheet.cli.plugins import OWN, command_points, plugin_command

__all__ = ["App", "callsheet"]

_WIDTH = max(len(str(code)) for code in EXIT_CODES)
_CODES = "\n".join(f"  {code:>{_WIDTH}}  {meaning}" for code, meaning in EXIT_CODES.items())


class App(click.Group):
    """A group whose commands are imported when they are needed: our own by module, others by entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted({*OWN, *command_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name in OWN:
            own = cmd_name.replace("-", "_")
            command: click.Command = getattr(importlib.import_module(f"callsheet.cli.{own}"), own)
            return command
        return plugin_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for a mistyped one, say which it may be (click knows only those that are imported)."""
        names = self.list_commands(ctx)
        if args[0] not in names and (close := difflib.get_close_matches(args[0], names, 1)):
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a command; a broken one gets as many as its error needs, since the error is what helps."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, (command.short_help or "") if _is_broken(command) else command.get_short_help_str(96))
            for name, command in found
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what goes wrong into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("CALLSHEET_DEBUG") and not isinstance(error, KeyboardInterrupt):
                raise
            raise failure_of(error, resume=ctx.meta.get(RESUME_KEY), as_json=ctx.meta.get(JSON_KEY, False)) from None


def _is_broken(command: click.Command) -> bool:
    return (command.short_help or "").startswith("(broken)")


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"""
\b
A first video (an embedded provider, if one is installed, needs no key and no network):
  callsheet video generate "A lighthouse in a storm" --to storm.mp4

\b
A character of your own, in a video of your own:
  ID=$(callsheet character create Bunny clip.mp4 --quiet)
  callsheet video generate "Bunny walks through the snow" --character $ID --to snow.mp4

\b
An answer as it comes (callsheet chat is a conversation):
  callsheet respond "What is 12 times 34?"

\b
Every command takes --json (one document on stdout) and has examples: callsheet video generate --help
Keys come from the environment, never from the command line: callsheet doctor says which are missing.
CALLSHEET_DEBUG=1 shows where an error came from.

\b
Exit codes:
{_CODES}
""",
)
@click.version_option(__version__, message=f"callsheet {__version__} (Python {platform.python_version()})")
def callsheet() -> None:
    """Videos and the characters in them, answers and realtime calls, from any provider that is installed as a plugin."""
