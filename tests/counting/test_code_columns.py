"""Columns on disk: small, nameless, gone with their last reader."""

from __future__ import annotations

import gc
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from made_counts import halved, made_table, some_cliques

from dp_synth.counting import CodeCounts
from dp_synth.counting.columns import DiskColumns
from dp_synth.domain import Domain
from dp_synth.types import Codes


def _on_disk(codes: Codes, domain: Domain, folder: Path) -> DiskColumns:
    columns = DiskColumns(domain.sizes, folder)
    for part in np.array_split(codes, 3):
        columns.append(list(part.T))
    return columns


@pytest.mark.parametrize("seed", range(20))
def test_counts_on_disk_are_those_in_memory(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = made_table(rng, int(rng.integers(0, 200)), largest=400)
    memory = CodeCounts.of(codes, domain)
    groups = {"a": halved(domain, "a"), "c": halved(domain, "c")}
    with CodeCounts(_on_disk(codes, domain, tmp_path), domain) as disk:
        for one, other in ((disk, memory), (disk.coarsened(groups), memory.coarsened(groups))):
            again = {"a": halved(one.domain, "a"), "b": halved(one.domain, "b")}
            for this, that in ((one, other), (one.coarsened(again), other.coarsened(again))):
                assert len(this) == len(that) == len(codes)
                assert this.domain == that.domain
                cliques = [c for c in some_cliques(rng) if this.domain.cells(c) < 1e6]
                found, expected = this.marginals(cliques), that.marginals(cliques)
                assert all(map(np.array_equal, found, expected))
                assert np.array_equal(this.occupied(("e", "a"))[0], that.occupied(("e", "a"))[0])


def test_a_code_takes_the_bytes_that_its_attribute_needs(tmp_path: Path) -> None:
    columns = DiskColumns((256, 257, 65_537), tmp_path)
    columns.append([np.array([code]) for code in (255, 256, 65_536)])
    read = columns.read([2, 0, 1], 0, 10)
    assert [column.dtype.itemsize for column in read] == [4, 1, 2]
    assert [column.tolist() for column in read] == [[65_536], [255], [256]]
    assert [os.fstat(file.fileno()).st_size for file in columns._files] == [1, 2, 4]
    columns.close()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the file has a name until it is closed")
def test_nobody_else_can_open_the_files(tmp_path: Path) -> None:
    columns = DiskColumns((5, 5), tmp_path)
    columns.append([np.zeros(1000, dtype=np.int32)] * 2)
    assert list(tmp_path.iterdir()) == []
    for file in columns._files:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        assert os.fstat(file.fileno()).st_nlink == 0
    columns.close()


def test_the_files_go_with_the_last_store_that_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes, domain = made_table(rng, 100, largest=300)
    columns = _on_disk(codes, domain, tmp_path)
    files = columns._files
    coarse = CodeCounts(columns, domain).coarsened({"a": halved(domain, "a")})
    del columns
    gc.collect()
    assert coarse.marginal(("a",)).sum() == 100
    assert not any(file.closed for file in files)
    del coarse
    gc.collect()
    assert all(file.closed for file in files)


def test_a_closed_store_counts_nothing(tmp_path: Path) -> None:
    codes, domain = made_table(np.random.default_rng(0), 100, largest=300)
    with CodeCounts(_on_disk(codes, domain, tmp_path), domain) as disk:
        coarse = disk.coarsened({"a": halved(domain, "a")})
    for store in (disk, coarse):
        with pytest.raises(ValueError, match="closed file"):
            store.marginal(("a",))
