"""Peers that answer, and peers that do anything else: none of which may go unsaid or stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from asking import ROWS, SCHEMA, TABLE, request, script

from dp_synth import PrivacyBudget
from dp_synth.benchmark.peers import PeerError, code_of, run, run_peer

GOOD = "answer(good)"


def refusal(tmp_path: Path, body: str, **changed: object) -> str:
    with pytest.raises(PeerError) as caught:
        run_peer(request(script(tmp_path, body), **changed))
    message = str(caught.value)
    assert message.startswith("fake/one: ")
    assert "\n" not in message
    return message.removeprefix("fake/one: ")


def test_rows_come_back_as_the_schema_decodes_them(tmp_path: Path) -> None:
    answer = run_peer(request(script(tmp_path, GOOD)))
    assert answer.rows["job"].tolist() == ["NA", "d"] * (ROWS // 2)
    assert answer.rows["age"].tolist() == [30, "?"] * (ROWS // 2)
    assert answer.rows["pay"].tolist() == [0.25, 9.5] * (ROWS // 2)
    assert list(answer.rows.columns) == list(SCHEMA.names)
    assert answer.budget == "peer-declared"
    assert (answer.versions["fake"], answer.notes, answer.ledger) == ("1", ("a note",), "")


def test_the_folder_holds_the_table_its_codes_and_the_whole_request(tmp_path: Path) -> None:
    body = """
import shutil
shutil.copytree(folder, pathlib.Path(__file__).parent / "copy")
answer(good)
"""
    asked = request(script(tmp_path, body), settings={"width": 3})
    run_peer(asked)
    copy = tmp_path / "copy"
    table = pd.read_csv(copy / "table.csv", dtype=str, keep_default_na=False)
    assert table["job"].tolist() == TABLE["job"].tolist()
    assert table["age"].tolist() == TABLE["age"].tolist()
    codes = pd.read_csv(copy / "codes.csv").to_numpy()
    assert (codes == SCHEMA.encode(TABLE)).all()
    assert type(SCHEMA).load(copy / "schema.json") == SCHEMA
    content = pd.read_json(copy / "request.json", typ="series").to_dict()
    assert content == {
        "format": 1,
        "method": "one",
        "epsilon": 1.0,
        "delta": 1e-6,
        "adjacency": "add_remove",
        "rows": ROWS,
        "seed": 3,
        "settings": {"width": 3},
        "columns": [
            {"name": "job", "size": 3, "ordered": False},
            {"name": "age", "size": 101, "ordered": True},
            {"name": "pay", "size": 4, "ordered": True},
        ],
    }


def test_codes_are_drawn_inside_their_cells(tmp_path: Path) -> None:
    body = """
answer([])
(folder / "rows.codes.csv").write_text("pay,age,job\\n" + "3,100,1\\n" * request["rows"])
"""
    rows = run_peer(request(script(tmp_path, body))).rows
    assert set(rows["job"]) == {"b, c"}
    assert set(rows["age"]) == {"?"}
    assert rows["pay"].between(7.5, 10.0).all()
    assert rows["pay"].nunique() > 1


def test_rows_beyond_those_asked_for_are_cut(tmp_path: Path) -> None:
    answer = run_peer(request(script(tmp_path, "answer(good * 3)"), rows=10))
    assert len(answer.rows) == 10


def test_columns_in_another_order_or_unknown_are_no_fault(tmp_path: Path) -> None:
    body = "answer([(0, p, a, j) for j, a, p in good], names=('', 'pay', 'age', 'job'))"
    message = refusal(tmp_path, body)
    assert "its first column has no name" in message
    body = "answer([(0, p, a, j) for j, a, p in good], names=('i', 'pay', 'age', 'job'))"
    rows = run_peer(request(script(tmp_path, body))).rows
    assert rows["pay"].tolist() == [0.25, 9.5] * (ROWS // 2)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no such luck')", "ValueError: no such luck"),
        ("sys.exit('the budget is too small\\n')", "the budget is too small"),
        ("sys.exit(7)", "ended with exit code 7"),
        ("os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("pass", "wrote no answer.json"),
        ("answer(good); (folder / 'rows.csv').unlink()", "wrote no rows.csv"),
        ("answer(good); (folder / 'rows.csv').write_bytes(os.urandom(999))", "rows.csv: "),
        ("answer(good); (folder / 'rows.csv').write_bytes(b'')", "rows.csv: is empty"),
        ("answer(good); (folder / 'answer.json').write_text('[')", "answer.json: "),
        ("answer(good); (folder / 'answer.json').write_bytes(b'\\xff')", "UTF-8"),
        ("answer(good, format=2)", "answer.json: format: "),
        ("answer(good, declared={'epsilon': 1})", "answer.json: declared.delta: "),
        ("answer(good, declared={'epsilon': float('nan'), 'delta': 0})", "declared.epsilon"),
        ("answer(good, extra=1)", "answer.json: extra: "),
        ("answer(good[:-1])", f"holds {ROWS - 1} rows where {ROWS} were asked"),
        ("answer([r[:2] for r in good], names=('job', 'age'))", "column 'pay' is missing"),
        ("answer([*good[1:], ('e', '1', '1')])", "'job' holds a category that the schema"),
        ("answer([*good[1:], ('', '1', '1')])", "'job' holds a category that the schema"),
        ("answer([*good[1:], ('d', 'old', '1')])", "'age' holds what is no number"),
        ("answer([*good[1:], ('d', '', '1')])", "'age' holds what is no number"),
        ("answer([*good[1:], ('d', '1', 'inf')])", "'pay' holds what is no number"),
        ("answer([*good[1:], ('d', '1')])", "every record must have one cell"),
    ],
)
def test_what_is_no_answer_is_one_line_that_says_why(tmp_path: Path, body: str, said: str) -> None:
    assert said in refusal(tmp_path, body)


@pytest.mark.parametrize(
    ("code", "said"),
    [("4", "must lie in [0, 4)"), ("-1", "must lie in [0, 4)"), ("0.5", "no whole number")],
)
def test_codes_outside_of_the_domain_are_refused(tmp_path: Path, code: str, said: str) -> None:
    body = f"""
answer([])
(folder / "rows.codes.csv").write_text("pay,age,job\\n" + "{code},0,0\\n" * request["rows"])
"""
    assert said in refusal(tmp_path, body)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("{'epsilon': 1.1, 'delta': 1e-6}", "declares epsilon 1.1, more than the 1"),
        ("{'epsilon': 1, 'delta': 1e-5}", "declares delta 1e-05, more than the 1e-06"),
        ("{'epsilon': 1, 'delta': 0, 'adjacency': 'replace_one'}", "where add_remove was asked"),
    ],
)
def test_a_peer_that_says_it_spent_more_is_refused(
    tmp_path: Path, declared: str, said: str
) -> None:
    assert said in refusal(tmp_path, f"answer(good, declared={declared})")


def test_numbers_beyond_the_bounds_are_kept_for_the_metrics_to_see(tmp_path: Path) -> None:
    rows = run_peer(request(script(tmp_path, "answer([('d', '500', '-3')] * 50)"))).rows
    assert set(rows["age"]) == {500}
    assert set(rows["pay"]) == {-3.0}


def test_a_peer_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    body = """
child = "import os, time; os.fork(); os.fork(); time.sleep(600)"
loud = "import os, time; os.setsid(); time.sleep(600)"
children = [subprocess.Popen([sys.executable, "-c", text]) for text in (child, loud)]
pathlib.Path(__file__).with_name("pids").write_text(" ".join(str(c.pid) for c in children))
time.sleep(600)
"""
    started = time.monotonic()
    assert refusal(tmp_path, body, seconds=2.0) == "took more than 2 s"
    assert time.monotonic() - started < 60
    marker = str(tmp_path)
    left = [p for p in psutil.process_iter(["cmdline"]) if marker in str(p.info["cmdline"])]
    assert left == []
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_children_do_not_outlive_a_peer_that_ends_well(tmp_path: Path) -> None:
    body = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(__file__).with_name("pid").write_text(str(child.pid))
answer(good)
"""
    run_peer(request(script(tmp_path, body)))
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


# Starts a process twice removed, with nothing of ours in its session, its pipes or its variables.
DETACHED = """
import signal
gone = "import os, sys, time; os.fork() and os._exit(0); os.setsid();" \\
    "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
pid = pathlib.Path(__file__).with_name("pid")
subprocess.run([sys.executable, "-c", gone, pid], env={}, start_new_session=True,
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while not (pid.exists() and pid.read_text()): time.sleep(0.01)
"""


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


@pytest.mark.skipif(sys.platform != "linux", reason="subreapers are of Linux")
@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("answer(good)", ""),
        ("sys.exit('no more')", "no more"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("time.sleep(600)", "took more than 2 s"),
    ],
)
def test_what_has_left_a_peer_does_not_outlive_it(tmp_path: Path, end: str, said: str) -> None:
    if said:
        assert said in refusal(tmp_path, DETACHED + end, seconds=2.0)
    else:
        run_peer(request(script(tmp_path, DETACHED + end)))
    assert has_ended(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="subreapers are of Linux")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_peer_ends_with_whoever_asked_it(tmp_path: Path, number: int) -> None:
    command = script(tmp_path, DETACHED + "time.sleep(600)")
    asks = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from asking import request; from dp_synth.benchmark.peers import run_peer\n"
        "run_peer(request(tuple(sys.argv[1:])))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    made = tmp_path / "made"
    made.mkdir()
    asking = subprocess.Popen(
        [sys.executable, "-c", asks, *command],
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(made)},
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    asking.send_signal(number)
    asking.wait(60)
    while not has_ended(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    marked = [p for p in psutil.process_iter(["cmdline"]) if command[1] in str(p.info["cmdline"])]
    psutil.wait_procs(marked, timeout=60)
    left = [path.name for folder in made.iterdir() for path in folder.iterdir()]
    assert ("table.csv" in left) == (number == signal.SIGKILL)  # which the next run sweeps


@pytest.mark.parametrize("name", ["answer.json", "rows.csv", "rows.codes.csv"])
@pytest.mark.parametrize(
    "make",
    [
        "os.symlink(__file__, path)",
        "os.symlink('/dev/zero', path)",
        "os.symlink('/nowhere', path)",
        "os.mkfifo(path)",
        "os.mkdir(path)",
        "import socket; os.chdir(folder); socket.socket(socket.AF_UNIX).bind(path.name)",
    ],
)
def test_an_answer_is_a_regular_file_or_none(tmp_path: Path, name: str, make: str) -> None:
    body = f"answer(good); path = folder / {name!r}; path.unlink(missing_ok=True); {make}"
    wanted = f"{name}: must be a regular file, no link, folder, pipe or device"
    assert refusal(tmp_path, body) == wanted


def test_an_answer_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LARGEST_TEXT", 1000)
    said = "answer.json: is larger than 1,000 bytes"
    assert refusal(tmp_path, "answer(good, notes=['.' * 1000])") == said
    monkeypatch.setattr(run, "LARGEST_ANSWER", 100)
    assert refusal(tmp_path, GOOD) == "rows.csv: is larger than 100 bytes"


def test_a_peer_that_takes_too_much_memory_is_killed(tmp_path: Path) -> None:
    body = """
child = "import time; b = bytearray(200 * 2**20); b[::4096] = b'1' * len(b[::4096]); time.sleep(60)"
subprocess.run([sys.executable, "-c", child])
"""
    assert refusal(tmp_path, body, memory_mb=150.0) == "took more than 150 MB"


def test_time_and_memory_of_children_count(tmp_path: Path) -> None:
    body = """
child = '''
import sys
import time
held = bytearray(150 * 2**20); held[::4096] = b'1' * len(held[::4096])
while time.process_time() < 0.6: pass
'''
subprocess.run([sys.executable, "-c", child])
answer(good)
"""
    answer = run_peer(request(script(tmp_path, body)))
    assert answer.seconds >= 0.6
    assert answer.wall_seconds >= 0.6
    assert answer.peak_mb >= 150


def test_a_peer_may_say_as_much_as_it_likes_and_its_last_line_is_the_reason(tmp_path: Path) -> None:
    body = """
for i in range(200_000): print("progress", i); print("progress", i, file=sys.stderr)
sys.exit("\\x1b[31mthe end" + "." * 1000)
"""
    message = refusal(tmp_path, body)
    assert message.startswith(" [31mthe end...")
    assert len(message) <= 300


def test_a_peer_runs_on_one_thread(tmp_path: Path) -> None:
    names = "('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')"
    body = f"answer(good, notes=[os.environ.get(n, '') for n in {names}])"
    assert run_peer(request(script(tmp_path, body))).notes == ("1", "1", "1")


def test_no_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "made"))
    (tmp_path / "made").mkdir()
    run_peer(request(script(tmp_path, GOOD)))
    refusal(tmp_path, "sys.exit(1)")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(PeerError, match="fake/one: no-such-program: cannot be started"):
        run_peer(request(("no-such-program",)))


@pytest.mark.parametrize(
    ("peer", "method", "said"),
    [
        ("nobody", "mst", "no peer 'nobody'; there are: smartnoise, dpmm, mbi, dp_synth"),
        ("dpmm", "pategan", "no method 'pategan' of dpmm; it has mst, aim, privbayes"),
    ],
)
def test_an_unknown_peer_or_method_is_named(peer: str, method: str, said: str) -> None:
    with pytest.raises(PeerError, match=said):
        run_peer(request(peer=peer, method=method))


def test_a_peer_is_not_asked_for_what_it_cannot_know() -> None:
    with pytest.raises(PeerError, match="single records"):
        request(budget=PrivacyBudget(1.0, 1e-6, unit="household"))
    with pytest.raises(PeerError, match="rows must be at least 1"):
        request(rows=0)


def test_the_code_of_a_command_changes_with_its_files(tmp_path: Path) -> None:
    command = script(tmp_path, GOOD)
    before = code_of(command)
    assert before == code_of(command) != code_of((*command, "more"))
    script(tmp_path, "answer(good * 2)")
    assert code_of(command) != before


def test_the_driver_in_the_description_answers(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
    driver = tmp_path / "driver.py"
    driver.write_text(
        next(part for part in text.split("```python\n") if "sys.argv" in part).split("```")[0]
    )
    answer = run_peer(request((sys.executable, str(driver))))
    assert answer.notes == ("reads no data",)
    assert answer.rows["job"].nunique() == 3
