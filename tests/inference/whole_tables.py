"""Small random domains, and what their distributions are as one table of all cells."""

import inspect

import numpy as np
import pytest

from dp_synth.domain import Domain, Support
from dp_synth.inference import JunctionTree, JunctionTreeModel


def random_domain(rng, most=6):
    count = int(rng.integers(1, most + 1))
    return Domain(tuple("abcdef"[:count]), tuple(int(n) for n in rng.integers(1, 5, count)))


def random_cliques(rng, domain, size=3):
    """Cliques of one to ``size`` attributes, with cycles or without, in any order of axes."""
    most = min(size, len(domain))
    return [
        tuple(str(a) for a in rng.permutation(domain.attributes)[: rng.integers(1, most + 1)])
        for _ in range(int(rng.integers(0, 7)))
    ]


def random_tree(rng):
    domain = random_domain(rng)
    return JunctionTree.of(domain, random_cliques(rng, domain))


def random_model(rng, spread=2.0, total=50.0):
    tree = random_tree(rng)
    potentials = [rng.normal(0, spread, tree.domain.shape(c)) for c in tree.cliques]
    return JunctionTreeModel(tree, tuple(tree.beliefs(potentials)), total), joint_of(
        tree, potentials
    )


def with_supports(rng, domain, possible=0.6):
    """The domain with one to three random structural zeros that leave at least one record."""
    while True:
        cliques = [c for c in random_cliques(rng, domain) if c][:3] or [domain.attributes[:1]]
        masks = [rng.random(domain.shape(clique)) < possible for clique in cliques]
        supports = tuple(map(Support.of, cliques, masks))
        found = Domain(domain.attributes, domain.sizes, supports=supports)
        if possible_cells(found).any():
            return found


def possible_cells(domain):
    """Which cells of the whole table the supports leave."""
    cells = np.ones(domain.sizes, dtype=bool)
    for support in domain.supports:
        cells &= aligned(domain, support.clique, support.mask(domain.shape(support.clique)))
    return cells


def aligned(domain, clique, table):
    """The table with its axes in domain order, one long where the clique lacks the attribute."""
    order = [clique.index(a) for a in domain if a in clique]
    return table.transpose(order).reshape([domain.size(a) if a in clique else 1 for a in domain])


def joint_of(tree, potentials):
    """The probabilities of all cells, from the sum of log potentials over the whole domain."""
    log = np.where(possible_cells(tree.domain), 0.0, -np.inf)
    for clique, potential in zip(tree.cliques, potentials, strict=True):
        log = log + aligned(tree.domain, clique, potential)
    joint = np.exp(log - log.max())
    return joint / joint.sum()


def marginal_of(domain, joint, clique):
    summed = joint.sum(axis=tuple(i for i, a in enumerate(domain) if a not in clique))
    kept = [a for a in domain if a in clique]
    return summed.transpose([kept.index(a) for a in clique])


def over_seeds(count, at_once=10):
    """Run a test for every ``seed`` below ``count``, a few an item; a failure names its own."""

    def decorated(test):
        signature = inspect.signature(test)
        own = [
            p.replace(name="seeds") if p.name == "seed" else p
            for p in signature.parameters.values()
        ]

        def every(seeds, **others):
            for seed in seeds:
                try:
                    test(seed=seed, **others)
                except Exception as error:
                    error.add_note(f"with seed {seed}")
                    raise

        every.__name__, every.__doc__ = test.__name__, test.__doc__
        every.__module__ = test.__module__
        every.__signature__ = signature.replace(parameters=own)
        every.pytestmark = list(getattr(test, "pytestmark", []))
        parts = [range(first, min(first + at_once, count)) for first in range(0, count, at_once)]
        return pytest.mark.parametrize("seeds", parts, ids=[f"from {part[0]}" for part in parts])(
            every
        )

    return decorated
