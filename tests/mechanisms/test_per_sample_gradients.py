"""Per-sample gradients of any network: those of opacus, exact sums, each of its record alone."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.table import PrivateTable

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
opacus = pytest.importorskip("opacus", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd, per_sample_gradients  # noqa: E402
from dp_synth.mechanisms.dp_sgd import SampledGradients  # noqa: E402
from dp_synth.mechanisms.per_sample_gradients import (  # noqa: E402
    BLOCK,
    CLIP_BITS,
    Encoded,
    WholeSum,
    check_network,
    ghost_sum,
    knows_ghosts,
    module_sums,
    on_lattice,
)

nn = torch.nn
INPUTS = 12
FINE = 44  # bits, that show each rounding of single precision, and whose sums of 60 are exact


class Composed(nn.Module):
    """A network of layers and of what is done with them."""

    def __init__(self, forward, *layers):  # type: ignore[no-untyped-def]
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._forward = forward

    def forward(self, rows):  # type: ignore[no-untyped-def]
        return self._forward(self.layers, rows)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 40), nn.LayerNorm(40), nn.SiLU(), nn.Linear(40, 1))


def convolution() -> nn.Module:
    return Composed(
        lambda layers, rows: layers[2](
            torch.relu(layers[1](layers[0](rows.unsqueeze(1)))).flatten(1)
        ),
        *(nn.Conv1d(1, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4 * (INPUTS - 2), 1)),
    )


def attention() -> nn.Module:
    return Composed(
        lambda layers, rows: layers[1](layers[0](rows.reshape(-1, 3, 4)).mean(1)),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True),
        nn.Linear(4, 1),
    )


SLOW = pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch's vmap
NETWORKS = [perceptron, convolution, pytest.param(attention, marks=SLOW)]


def made(network) -> nn.Module:  # type: ignore[no-untyped-def]
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(3).get_state())
        return network()


def made_rows(records: int, seed: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 3, (records, INPUTS)).astype(np.float32))


def made_coins(records: int, seed: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2**62, records))


def whole(sums: list[WholeSum]) -> torch.Tensor:
    return torch.cat([total.whole.reshape(-1) for total in sums])


def norm_squared(part: torch.Tensor, bits: int = CLIP_BITS) -> Fraction:
    """The squared norm of a part in clips, in rational numbers."""
    return Fraction(sum(int(x) ** 2 for x in part), 4**bits)


def by_autograd(network: nn.Module, rows: torch.Tensor, loss) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The gradient of each row's loss, one row at a time."""
    weights = list(network.parameters())
    each = [torch.autograd.grad(loss(network(row)).sum(), weights) for row in rows.split(1)]
    return torch.stack([torch.cat([part.reshape(-1) for part in parts]) for parts in each])


@pytest.mark.parametrize("clip", [1e-3, 0.5, 1e3])
@pytest.mark.parametrize("network", NETWORKS)
def test_sums_are_those_of_autograd_scaled_down_to_the_clip(network, clip: float) -> None:  # type: ignore[no-untyped-def]
    critic, rows = made(network), made_rows(40)
    loss = torch.nn.functional.softplus
    found = torch.cat(
        [total.times(clip).reshape(-1) for total in module_sums(critic, rows, loss, clip)]
    )
    each = by_autograd(critic, rows, loss)
    factors = (clip / each.norm(dim=1)).clamp(max=1.0)
    expected = (factors[:, None] * each).sum(0).double()
    lost = math.sqrt(found.numel()) * len(rows) * 2.0**-CLIP_BITS * clip
    assert float((found - expected).norm()) < 1e-4 * float(expected.norm()) + lost
    assert bool((factors < 1).any()) == (clip < 1e3)


@pytest.mark.parametrize("network", [perceptron, convolution])
def test_gradients_are_those_of_opacus_hooks_as_well(network) -> None:  # type: ignore[no-untyped-def]
    """Which know each kind of layer, and see the whole batch at once."""
    critic, rows = made(network), made_rows(20)
    found = per_sample_gradients._PerSample(critic, -1.0).of(rows).float()
    wrapped = opacus.GradSampleModule(critic, loss_reduction="sum")
    (-wrapped(rows.clone().requires_grad_())).sum().backward()
    hooked = torch.cat([p.grad_sample.reshape(len(rows), -1) for p in critic.parameters()], dim=1)
    assert torch.allclose(found, hooked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_records_part_has_the_same_bits_whatever_else_is_in_the_batch(network) -> None:  # type: ignore[no-untyped-def]
    """For batches of many sizes and orders, where products of other shapes round otherwise."""
    critic, rows, coins = made(network), made_rows(60), made_coins(60)
    each = torch.stack(
        [
            whole(module_sums(critic, Encoded(row, coin), -1.0, 0.7, FINE))
            for row, coin in zip(rows.split(1), coins.split(1), strict=True)
        ]
    )
    assert max(norm_squared(part, FINE) for part in each[:9]) <= 1
    rng = np.random.default_rng(2)
    for size in (0, 1, 2, 7, BLOCK, BLOCK + 1, 60):
        chosen = torch.from_numpy(rng.permutation(60)[:size].astype(np.int64))
        found = whole(module_sums(critic, Encoded(rows[chosen], coins[chosen]), -1.0, 0.7, FINE))
        assert torch.equal(found, each[chosen].sum(0))


def test_a_records_place_follows_from_its_own_coin(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is taken by one record a block: many of one place make as many blocks."""
    seen: list[torch.Tensor] = []
    of = per_sample_gradients._PerSample.of

    def watched(gradients, block, into=None):  # type: ignore[no-untyped-def]
        seen.append(block.clone())
        return of(gradients, block, into)

    monkeypatch.setattr(per_sample_gradients._PerSample, "of", watched)
    rows = torch.arange(1.0, 6.0)[:, None].expand(5, INPUTS).contiguous()
    coins = torch.tensor([7, 3, 7, BLOCK + 7, 31]) << 32
    module_sums(made(perceptron), Encoded(rows, coins), -1.0, 1.0)
    places = [{int(i): int(block[i, 0]) for i in torch.nonzero(block[:, 0])} for block in seen]
    assert places == [{3: 2, 7: 1, 31: 5}, {7: 3}, {7: 4}]
    assert {tuple(block.shape) for block in seen} == {(BLOCK, INPUTS)}


def test_gradients_from_elsewhere_keep_to_the_clip_whatever_they_are() -> None:
    rng = np.random.default_rng(6)
    huge = rng.normal(size=(20, 100)) * 10.0 ** rng.uniform(-300, 300, (20, 1))
    single = np.eye(5, 100) * np.array([[1.0], [1 - 2**-53], [1 + 2**-52], [5e-324], [1.7e308]])
    broken = np.full((2, 100), [[np.nan], [np.inf]])
    each = torch.from_numpy(np.concatenate([huge, single, broken]))
    kept = each.clone()
    for clip in (1e-300, 1e-3, 1.0, 1e300):
        parts = on_lattice(each, clip)
        assert max(norm_squared(part) for part in parts) <= 1
        assert not parts[-2:].any()
    assert torch.equal(each[:-2], kept[:-2])


def test_parameters_that_are_not_trained_have_no_sum() -> None:
    critic = made(perceptron)
    critic[0].weight.requires_grad_(False)
    sums = module_sums(critic, made_rows(3), -1.0, 1.0)
    trained = [one.shape for one in critic.parameters() if one.requires_grad]
    assert [total.whole.shape for total in sums] == trained


class Borrowed(nn.Module):
    """A network that uses a layer's weights and not the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(INPUTS, 1)

    def forward(self, rows):  # type: ignore[no-untyped-def]
        return rows @ self.layer.weight.T


@pytest.mark.parametrize("network", [perceptron, convolution])
def test_ghost_clipping_of_public_rows_gives_the_same_sum_and_leaves_no_trace(network) -> None:  # type: ignore[no-untyped-def]
    critic, rows = made(network), made_rows(50)
    assert knows_ghosts(critic, rows[:4])
    found = torch.cat([one.flatten() for one in ghost_sum(critic, rows, -1.0, 0.3)])
    slow = module_sums(critic, rows, -1.0, 0.3)
    expected = torch.cat([one.times(0.3).flatten() for one in slow])
    assert float((found - expected).norm()) < 1e-3 * float(expected.norm())
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in critic.modules())
    assert all(one.grad is None for one in critic.parameters())


@pytest.mark.parametrize("network", [pytest.param(attention, marks=SLOW), Borrowed])
def test_layers_that_ghost_clipping_does_not_know_are_left_to_the_slower_sum(network) -> None:  # type: ignore[no-untyped-def]
    assert not knows_ghosts(made(network), made_rows(4))


class Centred(nn.Linear):
    """A layer that looks at the whole batch, with no buffer that would show it."""

    def forward(self, rows):  # type: ignore[no-untyped-def]
        return super().forward(rows - rows.mean(0))


class Recurrent(nn.GRU):
    def forward(self, rows):  # type: ignore[no-untyped-def]
        return super().forward(rows.unsqueeze(1))[0][:, 0, :1]


REFUSED = {
    "BatchNorm1d '1' of the critic has buffers": lambda: nn.Sequential(
        nn.Linear(INPUTS, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)
    ),
    "opacus cannot take .* Expected more than 1 value per channel": lambda: nn.Sequential(
        nn.Linear(INPUTS, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1)
    ),
    "depends on the others in its batch": lambda: Centred(INPUTS, 1),
    "opacus cannot take .* random operation": lambda: nn.Sequential(
        nn.Linear(INPUTS, 4), nn.Dropout(0.5), nn.Linear(4, 1)
    ),
    "opacus cannot take .*Recurrent": lambda: Recurrent(INPUTS, 3, batch_first=True),
    r"gives one score a record, got shape \(32, 2\)": lambda: nn.Linear(INPUTS, 2),
    "has no parameter to train": nn.Flatten,
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_network_whose_records_cannot_be_told_apart_is_refused_in_one_line(said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        check_network(made(REFUSED[said]), made_rows(BLOCK))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_that_score_each_record_alone_are_taken(network) -> None:  # type: ignore[no-untyped-def]
    check_network(made(network), made_rows(BLOCK))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda each: each + each.mean(0) * 2.0**-24, "depends on the others of its block"),
        (lambda each: each * 1.01, "is not that of autograd"),
    ],
)
def test_gradients_that_are_not_the_records_own_are_found(
    fault,
    said: str,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    of = per_sample_gradients._PerSample.of
    monkeypatch.setattr(
        per_sample_gradients._PerSample, "of", lambda own, block, into=None: fault(of(own, block))
    )
    with pytest.raises(InputError, match=said):
        check_network(made(perceptron), made_rows(BLOCK))


def test_without_opacus_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(per_sample_gradients, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install '\.\[deep\]'"):
        check_network(made(perceptron), made_rows(BLOCK))


DOMAIN = Domain(tuple("abcdefghijkl"), (3,) * INPUTS)


def made_gradients(coins: list[torch.Tensor], records: int = 90) -> SampledGradients:
    """Steps on a table whose records all take part, which note their records' coins."""
    plan = Plan({"steps": SampledGaussians(60, 1.0, noise_multiplier=2.0)})
    payer = Accountant(PrivacyBudget(1e4, 1e-6)).admit("test", plan, randomness="seeded")
    codes = made_rows(records).numpy().astype(np.int32)

    def encode(codes: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        coins.append(own)
        return codes.float()

    table = PrivateTable(codes, DOMAIN, payer)
    rng = np.random.default_rng(0)
    return SampledGradients(table, plan.sampled("steps"), rng, clip=1.0, encode=encode)


def test_a_step_is_the_sum_of_the_parts_of_records_at_the_places_of_their_coins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        dp_sgd, "rounded_gaussian", lambda _scale, shape, _bits: np.zeros(shape, int)
    )
    coins: list[torch.Tensor] = []
    gradients, critic = made_gradients(coins), made(perceptron)
    released = gradients.step(critic, -1.0)
    records, counts = gradients._table.exact_records()
    rows = torch.from_numpy(np.repeat(records, counts, axis=0)).float()
    expected = module_sums(critic, Encoded(rows, coins[-1]), -1.0, 1.0)
    for one, total in zip(released, expected, strict=True):
        assert torch.equal(one, total.times(1.0).float())


def test_a_network_that_is_refused_costs_nothing_and_reads_nothing() -> None:
    gradients = made_gradients([])
    with pytest.raises(InputError, match="depends on the others in its batch"):
        gradients.step(Centred(INPUTS, 1), -1.0)
    assert not gradients._table.payer.accountant.ledger.charges
    assert gradients._table.reads == 0
