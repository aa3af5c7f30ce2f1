"""One changed file through the entry of the command line, and what must hold of every one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

from corpus import REFUSED, SLOW, TARGETS, Target
from mutations import changed

from dp_synth.cli import main

SECONDS = 60  # on the clock, of one file on a busy machine
MOST_MB = 1500


class Fault(AssertionError):
    """What a command did with a file that it must not do."""


def trial(name: str, seed: int, corpus: Path, folder: Path) -> int:
    """Change a file as the seed says, have it read, and return the exit code; Fault if amiss."""
    target = {**TARGETS, **SLOW}[name]
    file = sorted(corpus.glob(target.file))
    source = Random(seed).choice(file)
    content = changed(source.read_bytes(), target.kind, seed)
    return read(target, source.relative_to(corpus), content, corpus, folder)


def read(target: Target, file: Path, content: bytes, corpus: Path, folder: Path) -> int:
    """Put ``content`` at ``file`` among the valid files and run the command there.

    They lie in ``folder``, copied where it is new, and are again as they were at the end.
    """
    if not folder.exists():
        shutil.copytree(corpus, folder)
    (folder / file).write_bytes(content)
    before = _stats(folder)

    def _is_as_it_was(name: str) -> bool:
        known = content if name == str(file) else (corpus / name).read_bytes()
        return name in after and (folder / name).read_bytes() == known

    _forget_peak()
    held = peak_mb()  # by what ran in this process before
    try:
        code, said = _run(target.arguments, folder)
        after = _stats(folder)
        _check(target, code, said)
        wrote = [name for name, stat in before.items() if after.get(name) != stat]
        lost = [name for name in wrote if not _is_as_it_was(name)]
        made = [name for name in after if name not in before]
        if lost:
            raise Fault(f"changed or removed {lost}")
        if any(name.endswith(".part") for name in made) or (code == 2 and made):
            raise Fault(f"ended with {code} and left {made}")
        if (taken := peak_mb() - held) > MOST_MB:
            raise Fault(f"took {taken:.0f} MB")
    except BaseException:
        shutil.rmtree(folder)
        raise
    (folder / file).write_bytes((corpus / file).read_bytes())
    for name in made:
        (folder / name).unlink()
    return code


def _check(target: Target, code: int, said: str) -> None:
    command = target.arguments[0]
    if code not in (0, 2, REFUSED.get(command)):
        raise Fault(f"exit code {code}: {said[-2000:]}")
    if "Traceback" in said:
        raise Fault(said[-2000:])
    is_a_report = target.arguments[:2] == ("schema", "check")
    if code == 2 and not is_a_report:
        lines = [line for line in said.splitlines() if line.startswith("dp-synth: ")]
        if len(lines) != 1 or said.splitlines()[-1] != lines[0] or len(lines[0]) > 5000:
            raise Fault(f"no single line: {said[-2000:]!r}")


def _run(arguments: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Return the exit code of a command in a folder and what it said on standard error."""
    out, said, here = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), Path.cwd()
    with _within(SECONDS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        os.chdir(folder)
        try:
            code = main(list(arguments))
        except Exception:
            raise Fault(traceback.format_exc(limit=-6)[-3000:]) from None
        finally:
            os.chdir(here)
    return code, said.getvalue()


@contextlib.contextmanager
def _within(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Fault(f"did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _stats(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each file: what is read is compared where one of them changed."""
    files = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in files}


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the most memory that this process held since its peak was forgotten; 0 if unknown."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0
