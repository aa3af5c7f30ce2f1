"""The command line's reference, read from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

from typer.main import get_command

from dp_synth.cli import app


def command_line() -> str:
    """Return every command with its arguments and options, as Markdown."""
    return "\n\n".join(_command(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, object]]:
    """Yield each command that does something, by all words that call it."""
    yield from _walk("dp-synth", get_command(app))


def options(command: object) -> set[str]:
    """Return every spelling of every option of a command."""
    named = [p for p in command.params if p.param_type_name == "option"]  # type: ignore[attr-defined]
    spelt = {text for p in named for text in (*p.opts, *p.secondary_opts)}
    return spelt | {"--help", "-h"}


def _walk(path: str, command: object) -> Iterator[tuple[str, object]]:
    inside = getattr(command, "commands", None)
    if inside is None:
        yield path, command
        return
    for name, child in sorted(inside.items()):
        yield from _walk(f"{path} {name}", child)


def _command(path: str, command: object) -> str:
    parameters = [p for p in command.params if not p.hidden]  # type: ignore[attr-defined]
    rows = [_row(one) for one in parameters]
    said = " ".join((command.help or "").split("\n\n", 1)[0].split())  # type: ignore[attr-defined]
    more = "\n\n".join(
        " ".join(text.split())
        for text in (command.help or "").split("\n\n")[1:]  # type: ignore[attr-defined]
    )
    parts = [f"## `{path}`", said, more]
    if rows:
        parts.append("\n".join(["| argument | what it is | default |", "|---|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part)


def _row(parameter: object) -> str:
    """Return the table row of an argument or an option."""
    is_option = parameter.param_type_name == "option"  # type: ignore[attr-defined]
    spelt = ", ".join(f"`{text}`" for text in (*parameter.opts, *parameter.secondary_opts))  # type: ignore[attr-defined]
    called = parameter.metavar or parameter.name.upper()  # type: ignore[attr-defined]
    name = spelt if is_option else "`{}`".format(called.replace("|", "\\|"))
    default = parameter.default  # type: ignore[attr-defined]
    if parameter.required:  # type: ignore[attr-defined]
        shown = "must be given"
    elif default is None or default is False or default in ((), []):
        shown = ""
    elif default is True:
        shown = f"`{parameter.opts[0]}`"  # type: ignore[attr-defined]
    else:
        shown = f"`{default}`"
    return f"| {name} | {_cell(parameter.help or '')} | {shown} |"  # type: ignore[attr-defined]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PARTS = {"commands": command_line}
