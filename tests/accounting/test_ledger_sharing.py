"""One ledger and several writers: other names, users, temporary folders, and no file locks."""

from __future__ import annotations

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from filelock import lock_descriptor
from spenders import BUDGET, ONE, spend_privately

from dp_synth import files
from dp_synth.accounting import Accountant, read_ledger
from dp_synth.accounting.filters import Filter
from dp_synth.accounting.ledger_file import LedgerFile
from dp_synth.cli import main
from dp_synth.errors import InputError, LedgerError

FITS = int(Filter(BUDGET, "gdp", 0.02 * BUDGET.delta).limit / ONE.cost("gdp"))
NOBODY = 65534
posix = pytest.mark.skipif(os.name == "nt", reason="this system has no such names or users")
as_root = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root can become another user"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    Accountant(BUDGET, ledger=path, adaptive=True).open()
    return path


def spend(path: Path) -> None:
    payer = Accountant(BUDGET, ledger=path, adaptive=True).admit("fit", ONE)
    payer.charge(payer.plan.gaussians("ones"), payer.plan.gaussians("ones").event(), 1, why="test")


def is_free(path: Path) -> bool:
    """Whether nobody holds the file of this name."""
    with path.open("rb") as file:
        return lock_descriptor(file.fileno(), blocking=False)


def test_processes_with_temporary_folders_of_their_own_use_all_and_not_more(
    path: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        paid = sum(pool.map(spend_privately, [path] * 4, [25] * 4, folders))
    ledger = read_ledger(path)
    assert paid == FITS == len(ledger.charges) == len(ledger.reservations)
    assert not [found for folder in folders for found in folder.iterdir()]
    assert {found.name for found in tmp_path.iterdir()} == {"ledger.jsonl", "0", "1", "2", "3"}


@posix
@pytest.mark.parametrize("link", ["hardlink_to", "symlink_to"])
def test_two_names_of_one_ledger_are_one_ledger(path: Path, tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.jsonl"
    getattr(other, link)(path)
    one, two = (Accountant(BUDGET, ledger=name, adaptive=True) for name in (path, other))
    paid = 0
    for number in range(2 * FITS):
        try:
            (one if number % 2 else two).admit(f"fit-{number}", ONE)
            paid += 1
        except Exception as error:
            assert "nothing was released" in str(error)  # noqa: PT017
    assert paid == FITS == len(read_ledger(other).reservations)
    with LedgerFile(path, one.ledger).locked():
        assert not is_free(other)
    assert is_free(other)


@posix
def test_a_ledger_that_is_moved_while_it_is_held_stays_held(path: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.jsonl"
    accountant = Accountant(BUDGET, ledger=path, adaptive=True)
    with LedgerFile(path, accountant.ledger).locked():
        path.rename(moved)
        assert not is_free(moved)
    spend(moved)
    before = moved.read_bytes()
    with pytest.raises(LedgerError, match="was changed by another process; nothing was released"):
        accountant.admit("late", ONE)
    assert moved.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["moved.jsonl"]


def test_whoever_waits_for_a_file_that_is_replaced_gets_the_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    opened, hold = threading.Event(), files.hold

    def told(handle: int) -> bool:
        opened.set()
        return hold(handle)

    def wait() -> None:
        with files.locked(path) as handle:
            assert handle is not None
            seen.append(os.pread(handle, 9, 0))

    waiting = threading.Thread(target=wait)
    with files.locked(path), files.written_whole(path) as passing:
        monkeypatch.setattr(files, "hold", told)
        waiting.start()
        assert opened.wait(60)  # of the file that is replaced
        passing.write_bytes(b"new")
    waiting.join()
    assert seen == [b"new"]


def test_a_file_that_is_made_to_be_held_is_gone_where_nothing_was_written(tmp_path: Path) -> None:
    with files.locked(tmp_path / "new"):
        assert (tmp_path / "new").exists()
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").touch()
    with files.locked(tmp_path / "mine"):
        pass
    assert [found.name for found in tmp_path.iterdir()] == ["mine"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_file(path: Path) -> None:
    reader, writer = os.pipe()
    with files.locked(path):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    is_free_meanwhile = is_free(path)
    os.close(writer)  # which ends the child
    os.waitpid(child, 0)
    os.close(reader)
    assert is_free_meanwhile


def test_another_writer_in_spite_of_the_lock_is_noticed_and_one_alone_releases(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accountant = Accountant(BUDGET, ledger=path, adaptive=True)
    truncate_none, write = len(path.read_bytes()), os.write

    def late(handle: int, data: bytes) -> int:
        with path.open("ab") as file:
            file.write(b"{}\n")
        return write(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", late)
        with pytest.raises(LedgerError, match="changed by another process; nothing was released"):
            accountant.admit("fit", ONE)
    assert path.stat().st_size > truncate_none  # what the other one wrote was not cut
    with pytest.raises(LedgerError, match="line 2: "):
        read_ledger(path)


def as_nobody(ask: Callable[[], object]) -> str:
    """What another user, of no group, is told when it asks in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            ask()
            os.write(writer, b"allowed")
        except Exception as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can enter, and its owner alone write to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "ledger.jsonl"
        Accountant(BUDGET, ledger=path, adaptive=True).open()
        spend(path)  # all that is loaded late is loaded
        yield path


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_second_user_who_may_write_the_ledger_can_spend_from_it(shared: Path) -> None:
    os.chown(shared, 0, NOBODY)
    shared.chmod(0o660)
    assert as_nobody(lambda: spend(shared)) == "allowed"
    spend(shared)  # and the first one still can
    assert len(read_ledger(shared).charges) == 3
    assert [found.name for found in shared.parent.iterdir()] == ["ledger.jsonl"]


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_user_who_may_read_alone_reads_and_is_refused_in_a_line(shared: Path) -> None:
    shared.chmod(0o644)
    before = shared.read_bytes()
    assert as_nobody(lambda: read_ledger(shared)) == "allowed"
    said = as_nobody(lambda: spend(shared))
    assert said == f"InputError: {shared}: cannot be opened to write (Permission denied)"
    assert shared.read_bytes() == before
    absent = shared.with_name("new.jsonl")
    said = as_nobody(lambda: spend(absent))
    assert said == f"InputError: {absent}: cannot be opened to write (Permission denied)"
    code = f"ledger verify {shared}".split()
    assert as_nobody(lambda: main(code) and 1 / 0) == "allowed"


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        Accountant(BUDGET, ledger=tmp_path / "folder")
    with pytest.raises(InputError, match="its folder does not exist"):
        Accountant(BUDGET, ledger=tmp_path / "absent" / "l.jsonl").admit("fit", ONE)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        for ask in (read_ledger, lambda pipe: Accountant(BUDGET, ledger=pipe)):
            with pytest.raises(InputError, match="is no regular file"):
                ask(tmp_path / "pipe")


SPEND = """
import sys
sys.modules["fcntl"] = None
sys.path.insert(0, sys.argv[1])
from spenders import spend_adaptively
print(spend_adaptively(sys.argv[2], int(sys.argv[3])))
"""


def test_without_fcntl_a_marker_beside_the_ledger_stands_for_the_lock(path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", SPEND, str(Path(__file__).parent), str(path)]
    tries = str(FITS // 2 + 9)
    running = [
        subprocess.Popen([*command, tries], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    paid = sum(int(process.communicate()[0]) for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert paid == FITS == len(read_ledger(path).charges)
    assert [found.name for found in path.parent.iterdir()] == ["ledger.jsonl"]


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(files, "PATIENCE", 0.2)


@pytest.mark.usefixtures("without_locks")
def test_where_the_file_system_has_no_locks_a_marker_stands_for_them(path: Path) -> None:
    spend(path)
    new = path.with_name("new.jsonl")
    Accountant(BUDGET, ledger=new, adaptive=True).open()
    spend(new)
    assert len(read_ledger(new).charges) == len(read_ledger(path).charges) == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.jsonl", "new.jsonl"]
    with files.locked(path):
        assert path.with_name("ledger.jsonl.lock").exists()
        before = path.read_bytes()
        with pytest.raises(InputError, match=f"made by process {os.getpid()} on .*; delete it if"):
            LedgerFile(path.resolve(), read_ledger(path)).append([])
    assert path.read_bytes() == before


@pytest.mark.usefixtures("without_locks")
def test_a_marker_that_stays_is_removed_or_named(path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    marker = path.with_name("ledger.jsonl.lock")
    marker.write_text(f"{ended.pid}\n{socket.gethostname()}\n")
    spend(path)  # its process has died on this machine
    assert not marker.exists()
    marker.write_text("7\nanother-machine\n")
    with pytest.raises(InputError) as caught:
        spend(path)
    assert str(caught.value) == (
        f"{marker}: has held ledger.jsonl for 0.2 seconds, made by process 7 on "
        "'another-machine'; delete it if that process has ended"
    )
    assert marker.exists()


@posix
@pytest.mark.usefixtures("without_locks")
def test_two_names_of_one_ledger_are_refused_where_there_are_no_locks(path: Path) -> None:
    path.with_name("other.jsonl").hardlink_to(path)
    with pytest.raises(InputError, match=r"has several names \(hard links\), which cannot be held"):
        spend(path)


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_is_replaced_as_a_whole_needs_its_folder_alone(shared: Path) -> None:
    def replace() -> None:
        with files.locked(shared, to_replace=True), files.written_whole(shared) as passing:
            passing.write_text("new")

    shared.chmod(0o644)
    assert as_nobody(replace).startswith(f"InputError: {shared}: cannot be opened to write")
    shared.parent.chmod(0o777)
    assert as_nobody(replace) == "allowed"
    assert shared.read_text() == "new"
