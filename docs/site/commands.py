"""The command line's reference, read from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from dp_synth.cli import app
from paper.documents import markdown


def command_line() -> str:
    """Return every command with its arguments and options, as Markdown."""
    return "\n\n".join(_command(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, by all words that call it."""
    yield from _walk("dp-synth", get_command(app))


def options(command: Any) -> set[str]:
    """Return every spelling of every option of a command."""
    named = [p for p in command.params if p.param_type_name == "option"]
    spelt = {text for p in named for text in (*p.opts, *p.secondary_opts)}
    return spelt | {"--help", "-h"}


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inside = getattr(command, "commands", None)
    if inside is None:
        yield path, command
        return
    for name, child in sorted(inside.items()):
        yield from _walk(f"{path} {name}", child)


def _command(path: str, command: Any) -> str:
    said = [" ".join(text.split()) for text in (command.help or "").split("\n\n")]
    rows = [_row(one) for one in command.params if not one.hidden]
    table = markdown(["argument", "what it is", "default"], rows) if rows else ""
    return "\n\n".join(part for part in (f"## `{path}`", *said, table) if part)


def _row(parameter: Any) -> list[str]:
    """Return the table row of an argument or an option."""
    spelt = ", ".join(f"`{text}`" for text in (*parameter.opts, *parameter.secondary_opts))
    called = parameter.metavar or parameter.name.upper()
    is_option = parameter.param_type_name == "option"
    name = spelt if is_option else "`{}`".format(called.replace("|", "\\|"))
    default = parameter.default
    if parameter.required:
        shown = "must be given"
    elif default is None or default is False or default in ((), []):
        shown = ""
    else:
        shown = f"`{parameter.opts[0] if default is True else default}`"
    return [name, cell(parameter.help or "").replace("<", "&lt;"), shown]


def cell(text: str) -> str:
    """Return a text as one line of a table's cell, its code as Markdown has it."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def first_line(kind: object) -> str:
    """Return the first paragraph of a docstring as a table's cell."""
    return cell((kind.__doc__ or "").split("\n\n", 1)[0])


PARTS = {"commands": command_line}
