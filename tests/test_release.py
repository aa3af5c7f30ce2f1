"""Release files: they come back as they were, and nothing else is taken for one."""

import errno
import json
import os
import pickle
import warnings
import zipfile
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from dp_synth import release as releases
from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError, ReleaseError
from dp_synth.inference import MixtureModel
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent
from dp_synth.transcript import ChoiceAnswer

SCHEMA = Schema.from_dict(
    {
        "name": "small",
        "label": "job",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 9, "missing": ["?"]},
            {"name": "job", "type": "categorical", "categories": ["ä", "b,c"]},
            {"name": "rank", "type": "ordinal", "size": 3},
        ],
    }
)


@pytest.fixture(scope="module")
def release():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(0, 10, 200),
            "job": rng.choice(["ä", "b,c"], 200),
            "rank": rng.integers(0, 3, 200),
        }
    )
    return MST().fit(frame, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)


@pytest.fixture
def saved(release, tmp_path):
    path = tmp_path / "release.npz"
    release.save(path)
    return path


def rewritten(path, *, header=None, arrays=None, without=()):
    """Write the release again with some fields of its header and some arrays exchanged."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files if name not in without}
    if header is not None:
        content["header"] = np.array(json.dumps({**json.loads(str(content["header"])), **header}))
    np.savez(path, **{**content, **(arrays or {})})


def test_a_loaded_release_gives_the_same_rows_and_the_same_promise(release, saved):
    loaded = Release.load(saved)
    assert loaded.sample(100, seed=1).equals(release.sample(100, seed=1))
    assert loaded.sample(seed=2).equals(release.sample(seed=2))
    assert loaded.epsilon == release.epsilon
    assert loaded.ledger == release.ledger
    assert loaded.schema == release.schema
    assert (loaded.synthesizer, loaded.settings) == ("mst", asdict(MST()))
    assert loaded.largest_auc() == release.largest_auc()


def test_what_could_not_be_loaded_is_not_saved(release, tmp_path):
    """Of trees and of a mixture: no file is left that nobody can read."""
    tree = replace(release.model.coarse, total=float("nan"))
    refined = replace(release.model, coarse=tree)
    tables = tuple(np.full((1, size), np.nan) for size in SCHEMA.domain.sizes)
    mixture = MixtureModel(SCHEMA.domain, np.ones(1), tables, 200.0)
    for model in (tree, refined, mixture):
        with pytest.raises(ReleaseError, match="not written, as it could not be read") as told:
            replace(release, model=model).save(tmp_path / "release.npz")
        assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_a_number_of_records_below_zero_is_refused(release):
    with pytest.raises(ValueError, match="must be 0 or more, got -1"):
        release.sample(-1)
    assert release.sample(0).dtypes.equals(release.sample(5).dtypes)


def check_refused(path, *, match="cannot be read as a release"):
    with pytest.raises(ReleaseError, match=match) as raised:
        Release.load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("kept", [0, 1, 40, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    check_refused(saved)


@pytest.mark.parametrize("seed", range(50))
def test_a_file_with_flipped_bytes_is_refused_or_harmless(saved, release, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(saved.read_bytes())
    for place in rng.integers(0, len(content), 3):
        content[place] ^= int(rng.integers(1, 256))
    saved.write_bytes(bytes(content))
    try:
        loaded = Release.load(saved)
    except ReleaseError:
        return
    assert loaded.sample(20, seed=0).equals(release.sample(20, seed=0))  # padding and dates only


def test_files_of_other_kinds_are_refused(tmp_path):
    others = {
        "text.npz": b"age,job\n1,b\n",
        "pickle.npz": pickle.dumps({"a": 1}),
        "numbers.npz": None,
        "array.npz": None,
        "zip.npz": None,
    }
    for name, content in others.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "numbers.npz", weights=np.zeros(3))
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as file:
        file.writestr("header.npy", "not an array")
    for name in others:
        check_refused(tmp_path / name)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Release.load(tmp_path / "absent.npz")


def test_a_future_version_and_a_foreign_format_are_named(saved):
    rewritten(saved, header={"version": 7})
    check_refused(
        saved, match="of version 7, not 'dp_synth.release' of version 1 or 2 or 3 or 4 or 5 or 6"
    )
    rewritten(saved, header={"version": 2, "format": "other"})
    check_refused(saved, match="'other'")


@pytest.mark.parametrize("header", [[1, 2], "text", 3, None])
def test_a_head_that_is_no_object_is_refused(saved, header):
    rewritten(saved, arrays={"header": np.array(json.dumps(header))})
    check_refused(saved)


@pytest.mark.parametrize(
    "header",
    [
        {"total": "many"},
        {"total": float("nan")},
        {"total": -3},
        {"cliques": [["age", "absent"]]},
        {"cliques": 5},
        {"schema": {"name": "t", "columns": []}},
        {"ledger": {}},
        {"ledger": None},
    ],
)
def test_fields_that_do_not_fit_together_are_refused(saved, header):
    rewritten(saved, header=header)
    check_refused(saved)


@pytest.mark.parametrize(
    "table", [np.zeros((2, 2)), np.full(3, np.nan), np.array(["x"]), np.array(0.5)]
)
def test_tables_of_wrong_shape_or_content_are_refused(saved, table):
    rewritten(saved, arrays={"clique_0": table})
    check_refused(saved)


def test_a_missing_array_and_a_missing_head_are_refused(saved):
    content = saved.read_bytes()
    rewritten(saved, without=("clique_1",))
    check_refused(saved)
    saved.write_bytes(content)
    rewritten(saved, without=("header",))
    check_refused(saved)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


@pytest.mark.parametrize("name", ["header", "clique_0", "more"])
def test_loading_never_unpickles(saved, name):
    mark = saved.with_name("unpickled")
    rewritten(saved, arrays={name: np.array([Bomb(mark)], dtype=object)})
    check_refused(saved)
    assert not mark.exists()
    with np.load(saved, allow_pickle=True) as file:
        file[name]
    assert mark.exists()  # the bomb is a live one


@pytest.mark.parametrize("step", ["os.replace", "numpy.savez_compressed"])
def test_a_failed_save_leaves_the_file_before_it_and_nothing_else(
    release, saved, step, monkeypatch
):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = saved.read_bytes()
    monkeypatch.setattr(step, full)
    with pytest.raises(OSError, match="No space left"):
        release.save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
    with pytest.raises(OSError, match="No space left"):
        release.save(saved.with_name("new.npz"))
    assert os.listdir(saved.parent) == [saved.name]


def test_a_file_holds_the_noisy_total_and_no_number_of_private_records(saved):
    with np.load(saved) as file:
        header = json.loads(str(file["header"]))
        tables = {name: file[name] for name in file.files if name != "header"}
    assert header["total"] not in (0, 200)
    cliques = [table for name, table in tables.items() if name.startswith("clique_")]
    assert all(table.sum() == pytest.approx(1) for table in cliques)  # probabilities, no counts
    kinds = {name.rstrip("0123456789") for name in tables}
    assert kinds <= {"clique_", "group_", "share_", "answer_", "answer_groups_"}
    assert set(header) == {
        *("format", "version", "dp_synth", "synthesizer", "settings"),
        *("schema", "ledger", "kind", "cliques", "total", "transcript"),
    }


def test_a_loaded_release_has_the_transcript_of_the_fit(release, saved):
    loaded = Release.load(saved)
    assert len(loaded.transcript) == len(release.transcript) > 0
    for one, other in zip(loaded.transcript, release.transcript, strict=True):
        assert (type(one), one.part, one.why) == (type(other), other.part, other.why)
        if not isinstance(one, ChoiceAnswer):
            assert one.values.tobytes() == other.values.tobytes()
    assert loaded.marginal(["age"]).counts.tolist() == release.marginal(["age"]).counts.tolist()


@pytest.mark.parametrize("kind", [Independent, MST])
def test_models_come_back_as_what_they_were(kind, tmp_path):
    frame = pd.DataFrame(
        {"age": np.arange(90) % 10, "job": ["ä", "b,c", "ä"] * 30, "rank": [1] * 90}
    )
    release = kind().fit(frame, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)
    release.save(tmp_path / "kept.npz")
    assert type(Release.load(tmp_path / "kept.npz").model) is type(release.model)


def test_a_file_of_version_1_gives_the_same_rows_and_knows_no_answers(tmp_path):
    frame = pd.DataFrame(
        {"age": np.arange(90) % 10, "job": ["ä", "b,c", "ä"] * 30, "rank": [1] * 90}
    )
    release = Independent().fit(frame, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)
    path = tmp_path / "old.npz"
    release.save(path)
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
        tables = {name: file[name] for name in file.files if name.startswith("clique_")}
    header["version"] = 1
    del header["transcript"]
    np.savez_compressed(path, header=np.array(json.dumps(header)), **tables)
    loaded = Release.load(path)
    assert loaded.transcript == ()
    assert loaded.sample(50, seed=1).equals(release.sample(50, seed=1))
    estimate = loaded.marginal(["job"])
    assert np.array_equal(estimate.counts, release.marginal(["job"]).counts)
    assert np.isnan(estimate.stderr).all()


def test_a_file_of_version_2_is_read_as_one_without_votes(saved):
    release = Release.load(saved)
    rewritten(saved, header={"version": 2})
    again = Release.load(saved)
    assert len(again.transcript) == len(release.transcript) > 0
    assert again.sample(20, seed=1).equals(release.sample(20, seed=1))


@pytest.mark.parametrize(
    "transcript", [None, 3, [{"kind": "marginal"}], [{"kind": "other", "part": "a", "why": "b"}]]
)
def test_a_transcript_that_is_none_is_refused(saved, transcript):
    rewritten(saved, header={"transcript": transcript})
    check_refused(saved)


ONES = pd.DataFrame({"age": ["1"] * 20, "job": ["ä"] * 20, "rank": ["0"] * 20})


def test_no_more_rows_are_drawn_unasked_than_a_bound_whatever_the_noise_says(monkeypatch):
    monkeypatch.setattr(releases, "MOST_BY_DEFAULT", 50)
    fitted = Independent().fit(ONES, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)
    large, small = (
        replace(fitted, model=replace(fitted.model, total=total)) for total in (68_000_000.4, 49.6)
    )
    with pytest.warns(UserWarning, match="records is 68,000,000; 50 are drawn"):
        assert len(large.sample(seed=0)) == 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(large.sample(60, seed=0)) == 60
        assert len(small.sample(seed=0)) == 50


def test_the_default_at_a_tiny_epsilon_is_bounded_though_its_noise_is_not():
    budget = PrivacyBudget(1e-8, 1e-9)
    released = [Independent().fit(ONES, SCHEMA, budget, seed=seed) for seed in range(2)]
    largest = max(released, key=lambda one: one.model.total)
    assert largest.model.total > releases.MOST_BY_DEFAULT
    with pytest.warns(UserWarning, match="1,000,000 are drawn"):
        assert len(largest.sample(seed=0)) == releases.MOST_BY_DEFAULT


@pytest.mark.parametrize("number", ["10", 2.5, 2.0, True, [3], np.float64(2)])
def test_a_number_of_records_that_is_no_whole_number_is_refused_in_one_line(release, number):
    with pytest.raises(InputError, match="number of records must be a whole number from 0, got"):
        release.sample(number)
    with pytest.raises(InputError, match="the seed must be a whole number from 0, got"):
        release.sample(3, seed=number)
    assert len(release.sample(np.int64(3), seed=np.int64(1))) == 3


@pytest.mark.parametrize("given", [["age"], "age=3", 3])
def test_what_is_given_as_no_mapping_is_refused_in_one_line(release, given):
    with pytest.raises(InputError, match="given is no mapping of columns to values"):
        release.sample(3, given=given)


def test_the_kinds_of_rows_can_be_declared(release):
    kinds = {"age": "float32", "job": "string", "rank": "int8"}
    rows = release.sample(50, seed=0, kinds=kinds)
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == kinds
    written = release.sample(50, seed=0, kinds="written")
    assert (SCHEMA.encode(rows) == SCHEMA.encode(written)).all()
    assert release.sample(50, seed=0, kinds=written.head(0)).dtypes.equals(written.dtypes)
