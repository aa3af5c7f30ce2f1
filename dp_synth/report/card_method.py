"""What a card says of each method: its name in words, and whom to cite for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How the rows were made: a synthesizer, its settings, and where it was described."""

    name: str
    title: str
    reference: str
    settings: Mapping[str, object]
    dp_synth: str


@dataclass(frozen=True)
class Description:
    """A synthesizer in a few words, and the papers that describe it."""

    title: str
    reference: str


DESCRIPTIONS = {
    "independent": Description(
        "noisy histograms of single columns, sampled independently", "a baseline without a paper"
    ),
    "mst": Description(
        "a maximum spanning tree of noisy pairs of columns",
        "McKenna, Miklau & Sheldon 2021, arXiv:2108.04978",
    ),
    "published_mst": Description(
        "a spanning tree of pairs of columns, chosen edge by edge",
        "McKenna, Miklau & Sheldon 2021, arXiv:2108.04978",
    ),
    "aim": Description(
        "an adaptive and iterative choice of marginals",
        "McKenna, Mullins, Sheldon & Miklau 2022, arXiv:2201.12677",
    ),
    "clique_tree": Description(
        "a tree of cliques, chosen at once by noisy scores of all pairs",
        "no paper of its own; in the line of MST (arXiv:2108.04978) and AIM (arXiv:2201.12677)",
    ),
    "privbayes": Description(
        "a Bayesian network of low degree with noisy conditionals",
        "Zhang, Cormode, Procopiuc, Srivastava & Xiao 2017, doi:10.1145/3134428",
    ),
    "mwem": Description(
        "the worst marginal of a workload, a fixed number of times",
        "Hardt, Ligett & McSherry 2012, arXiv:1012.4763; "
        "McKenna, Sheldon & Miklau 2019, arXiv:1901.09136",
    ),
    "marginal_generator": Description(
        "a generator network trained on noisy marginals",
        "in the line of Liu, Vietri & Wu 2021, arXiv:2106.07153",
    ),
    "dpgan": Description(
        "a generator network against a critic trained on noisy gradients",
        "Xie, Lin, Wang, Wang & Zhou 2018, arXiv:1802.06739",
    ),
    "dpctgan": Description(
        "a conditional generator network against a critic trained on noisy gradients",
        "Xu et al. 2019, arXiv:1907.00503; Rosenblatt et al. 2020, arXiv:2011.05537",
    ),
    "pategan": Description(
        "a generator network taught by noisy votes of teachers",
        "Jordon, Yoon & van der Schaar 2019, ICLR",
    ),
    "patectgan": Description(
        "a conditional generator network taught by noisy votes of teachers",
        "Rosenblatt et al. 2020, arXiv:2011.05537",
    ),
}

ELSEWHERE = Description("a method from outside dp_synth", "not known here: ask who made it")
