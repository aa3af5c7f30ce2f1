"""GAN training: a generator of rows against a private critic, to a mixture of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dp_synth.accounting import Plan, Reservation, SampledGaussians, compose
from dp_synth.checkpoint import CheckpointWriter, State
from dp_synth.domain import Domain
from dp_synth.errors import CheckpointError, InputError
from dp_synth.inference import Compression, estimate_total
from dp_synth.inference.mixture import MixtureModel
from dp_synth.inference.one_way import histogram
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.dp_sgd import Critic, SampledGradients, clipped_sum
from dp_synth.mechanisms.per_sample_gradients import (
    BLOCK,
    FAILURES,
    check_network,
    ghost_sum,
    knows_ghosts,
)
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.generator import (
    LATENT,
    Averaged,
    Conditions,
    Encoding,
    Generator,
    arrays_of,
    check_rows,
    diverged,
    probabilities,
    raked,
    restore,
)
from dp_synth.nn.marginal_network import BETAS as START_BETAS
from dp_synth.nn.marginal_network import EPS, learning_rate_at
from dp_synth.nn.pretraining import Likelihood, Start
from dp_synth.nn.settings import UNITS, GanSettings
from dp_synth.progress import tell_training
from dp_synth.transcript import MarginalAnswer, Measurement
from dp_synth.types import Codes, Floats

CRITIC_BETAS, GENERATOR_BETAS = (0.5, 0.99), (0.5, 0.9)  # of Adam
LAST_RATE = 0.05  # of the learning rate, at the last step
HEAT = 0.66  # of the Gumbel-softmax
AVERAGING = 0.99  # of the averaged weights, at every step of the generator
WARM_UP = 100  # steps of the generator towards the frequencies before there is a critic
START_STEPS, START_RATE = 400, 0.01  # of the generator towards made records, and its learning rate
START_ROWS = 512  # of a generator, always the same after a start: more are no better
AFTER_START = 1 / 3  # of the learning rate, of a generator that was started so
REAL, FAKE = -1.0, 1.0  # slopes of the critic's loss in its scores
MISFIT_SEED = 0  # seed of the latent numbers by which a generator is judged, always the same
START_SEED = 1  # of those that are kept all along, after a start
MIN_FREQUENCY = 1e-6  # frequency of a group, so that none is out of reach
MIN_GAIN = 0.01  # of the best misfit so far: less is none


@dataclass(frozen=True, eq=False)
class Targets:
    """What a generator is held to, all of it paid for.

    ``frequencies`` are those of all attributes' codes, side by side, ``records`` is their noisy
    number, and ``made`` are records that a model of noisy marginals makes, None without one.
    """

    frequencies: Floats
    records: float
    made: Codes | None = None


def fit_gan(
    table: PrivateTable,
    plan: Plan,
    settings: GanSettings,
    rng: np.random.Generator,
    writer: CheckpointWriter | None = None,
    *,
    start: Start | None = None,
) -> MixtureModel:
    """Return the rows of a generator, trained on what the parts "ones" and "steps" pay for.

    One-way marginals say which codes are one input of the networks (``Compression``), and how a
    group is shared out among its codes. Unless the settings give their frequencies no weight,
    the rows are raked to them at the end. Where there is a ``start``, it was paid for instead of
    the part "ones", and its records are what the generator is trained on first.
    """
    start = start or _columns(table, plan, settings, rng)
    ones, compression = start.ones, start.compression
    total = estimate_total(ones)
    frequencies = _frequencies(table.domain, ones, compression)
    coarse = table.coarsen(compression.groups)
    targets = Targets(frequencies, total, start.made)
    rows = train(coarse, targets, settings, rng=rng, writer=writer)
    weights = np.full(len(rows), 1 / len(rows))
    sizes = compression.domain.sizes
    tables = (
        raked(rows, frequencies, sizes)
        if settings.frequencies_weight
        else tuple(np.split(rows, np.cumsum(sizes)[:-1], axis=1))
    )
    model = MixtureModel(compression.domain, weights, tables, total)
    return model.refined(table.domain, compression.groups, compression.shares)


def _columns(
    table: PrivateTable, plan: Plan, settings: GanSettings, rng: np.random.Generator
) -> Start:
    """Return what one-way marginals say, which the part "ones" pays for."""
    cliques = [(attribute,) for attribute in table.domain]
    ones = _paid(table) or measure(
        table, cliques, plan.gaussians("ones"), rng, why="one-way marginals"
    )
    return Start(Compression.of(table.domain, ones, coarseness=settings.coarseness), ones)


def _paid(table: PrivateTable) -> list[Measurement]:
    """Return the one-way marginals that an earlier run of this fit has paid for, if one has."""
    return [
        Measurement(answer.clique, answer.values, answer.stddev)
        for answer in table.transcript
        if isinstance(answer, MarginalAnswer) and answer.part == "ones"
    ]


def _frequencies(domain: Domain, ones: Sequence[Measurement], compression: Compression) -> Floats:
    """Return the frequencies of all attributes' groups, side by side, summing to 1 in each."""
    total = estimate_total(ones)
    parts = []
    for one, ordered in zip(ones, domain.ordered, strict=True):
        counts = histogram(one, ordered, total)
        held = np.bincount(compression.groups[one.clique[0]], weights=counts)
        held = np.maximum(held / max(held.sum(), 1e-300), MIN_FREQUENCY)
        parts.append(held / held.sum())
    return np.concatenate(parts)


def device_of(wish: str) -> torch.device:
    """Return the device for a wish, where "auto" is a GPU when there is one."""
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wish)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: sums then depend on the processor's kernels alone, not on its cores.

    Small products are no slower. Processors of other instruction sets sum in other orders, and
    a training carries that on: one seed gives one result on one kind of machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def train(
    table: PrivateTable,
    targets: Targets,
    settings: GanSettings,
    *,
    rng: np.random.Generator,
    writer: CheckpointWriter | None = None,
) -> Floats:
    """Return rows of probabilities that a generator makes after all of the plan's "steps".

    A generator is first brought to the records ``made`` of the targets, if any; without steps it
    is what that gives. TrainingError when the generator's loss, weights or rows are no longer
    finite: what was charged stays charged. The training of a ``writer`` goes on from its state,
    CheckpointError when that is of other networks.
    """
    part = table.payer.plan.sampled("steps")
    trainer = _Trainer(table.domain, targets, settings, rng)
    if not part.count:
        _begun(trainer, part, table.payer, None, None)
        return trainer.rows()
    gradients = SampledGradients(table, part, rng, clip=settings.clip, encode=trainer.encode)
    trainer.drawn_from = _drawn_from(table, targets, rng, writer)
    expected = max(1.0, part.rate * trainer.drawn_from)
    seeded = rng if table.payer.randomness == "seeded" else None
    spent = _meter(table.payer)
    for step in range(_begun(trainer, part, table.payer, seeded, writer), part.count):
        trainer.slow_down(1 - step / part.count)
        trainer.is_late = step >= (1 - settings.late_share) * part.count
        noisy = gradients.step(trainer.critic, REAL)
        trainer.move_critic([total / expected for total in noisy])
        if (step + 1) % settings.critic_steps == 0:
            trainer.move_generator(against_critic=True)
        amiss = "loss is" if not np.isfinite(trainer.loss) else ""
        if not amiss and gradients.settled and not trainer.is_finite:
            amiss = "weights are"
        if amiss:
            what = f"the generator's {amiss} not finite at step {step + 1} of {part.count}"
            raise diverged(what, settings.learning_rate)
        if gradients.settled and trainer.patience.is_over(trainer.misfit):
            break
        if gradients.settled and writer:
            writer.offer(lambda: trainer.state(seeded))
        tell_training(step + 1, part.count, trainer.loss, spent)
    return trainer.rows()


def _drawn_from(
    table: PrivateTable,
    targets: Targets,
    rng: np.random.Generator,
    writer: CheckpointWriter | None,
) -> float:
    """Return the noisy number of those that toss coins: records, or units, which is paid for.

    That of an earlier run of this fit, if one has paid for it.
    """
    if not table.payer.plan.sampled("steps").by_unit:
        return targets.records
    if writer and writer.state:
        return float(writer.state.numbers["drawn_from"])
    part = table.payer.plan.gaussians(UNITS)
    [found] = measure(table.of_units(), [()], part, rng, why="number of units")
    return max(1.0, float(found.values))


def _begun(
    trainer: _Trainer,
    part: SampledGaussians,
    payer: Reservation,
    seeded: np.random.Generator | None,
    writer: CheckpointWriter | None,
) -> int:
    """Bring the trainer to where its first step is taken, and return that step's number.

    An earlier run of this fit may have been charged for steps after its checkpoint: they are
    spent and left out, so that the rates fall as they would have.
    """
    if writer and writer.state:
        trainer.restore(writer.state, seeded)
        return part.count - int(payer.left(part))
    if trainer.start:
        trainer.pretrain(trainer.start)
    else:
        for _ in range(WARM_UP if trainer.settings.frequencies_weight else 0):
            trainer.move_generator(against_critic=False)
    if writer:
        writer.offer(lambda: trainer.state(seeded))
    return 0


def _meter(payer: Reservation) -> Callable[[], float]:
    """Return what tells the epsilon of all charges so far, composed anew after further ones."""
    known: dict[int, float] = {}

    def spent() -> float:
        charges = payer.accountant.ledger.charges
        if len(charges) not in known:
            curve = compose((entry.event, entry.count) for entry in charges)
            known[len(charges)] = curve.epsilon(payer.budget.delta)
        return known[len(charges)]

    return spent


def check_networks(settings: GanSettings, domain: Domain) -> None:
    """Raise InputError for networks of one's own that cannot be trained over ``domain``.

    Reads public facts alone: what is tried are rows that a public seed draws.
    """
    coins, device = torch.Generator().manual_seed(0), device_of(settings.device)
    codes = sum(domain.sizes)
    told = codes if settings.conditional else 0
    generator, critic = _networks(settings, torch.zeros(codes), coins, device)
    rows = torch.rand(BLOCK, codes + told, generator=coins).round().to(device)
    if settings.critic:
        check_network(critic, rows)
    latent = torch.randn(BLOCK, LATENT + told, generator=coins).to(device)
    try:
        shape = tuple(generator(latent).shape)
    except FAILURES as error:
        raise InputError(f"generator {settings.generator!r} failed: {_line(error)}") from error
    if shape != (BLOCK, codes):
        raise InputError(
            f"generator {settings.generator!r} must give logits of shape {(BLOCK, codes)}, "
            f"got {shape}"
        )


def _networks(
    settings: GanSettings, start: Tensor, coins: torch.Generator, device: torch.device
) -> tuple[nn.Module, nn.Module]:
    """Return a generator, whose rows begin at the logits ``start``, and a critic."""
    codes = len(start)
    told = codes if settings.conditional else 0
    own = torch.Generator().manual_seed(coins.initial_seed() ^ 1)
    generator = _own(settings, "generator", (LATENT + told, codes), own)
    if generator is None:
        generator = Generator(LATENT + told, settings.generator_width, start, coins)
    critic = _own(settings, "critic", (codes + told,), own)
    if critic is None:
        critic = Critic(codes + told, [settings.critic_width], coins)
    return generator.to(device), critic.to(device)


def _own(
    settings: GanSettings,
    network: Literal["critic", "generator"],
    sizes: tuple[int, ...],
    coins: torch.Generator,
) -> nn.Module | None:
    """Return a network of one's own, whose weights torch draws from ``coins``; None for none."""
    make, name = settings.made(network), f"{network} {getattr(settings, network)!r}"
    if make is None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(coins.get_state())
        try:
            made = make(*sizes)
        except FAILURES as error:
            raise InputError(f"{name} failed for sizes {sizes}: {_line(error)}") from error
        coins.set_state(torch.get_rng_state())
    if not isinstance(made, nn.Module):
        raise InputError(f"{name} must return a torch.nn.Module, got {type(made).__name__}")
    return made


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@dataclass
class EarlyStopping:
    """Counts blocks of steps without a gain; ``blocks`` says after how many it ends, 0 for never.

    >>> patience = EarlyStopping(blocks=2)
    >>> [patience.is_over(lambda: misfit) for misfit in (0.5, 0.4, 0.4, 0.41)]
    [False, False, False, True]
    """

    blocks: int
    best: float = math.inf
    since: int = 0

    def is_over(self, misfit: Callable[[], float]) -> bool:
        """Whether no block of the last few was better; ``misfit`` is asked only where it counts."""
        if not self.blocks:
            return False
        found = misfit()
        self.since = 0 if found < self.best * (1 - MIN_GAIN) else self.since + 1
        self.best = min(self.best, found)
        return self.since >= self.blocks


class _Trainer:
    """Both networks, their optimizers, and the coins of all that is public."""

    def __init__(
        self,
        domain: Domain,
        targets: Targets,
        settings: GanSettings,
        rng: np.random.Generator,
    ) -> None:
        device = device_of(settings.device)
        seeds = [int(seed) for seed in rng.integers(2**63, size=2)]
        first = torch.Generator().manual_seed(seeds[0])
        self.coins = torch.Generator(device).manual_seed(seeds[1])
        self.settings = settings
        self.encoding = Encoding(domain, device)
        self.frequencies = torch.as_tensor(targets.frequencies, dtype=torch.float32, device=device)
        self.conditions = Conditions(self.encoding, self.frequencies)
        codes = self.encoding.width
        start = torch.log(self.frequencies.cpu()) * bool(settings.frequencies_weight)
        self.generator, self.critic = _networks(settings, start, first, device)
        self._trained = [one for one in self.critic.parameters() if one.requires_grad]
        inputs = codes + codes * settings.conditional
        public = torch.ones(2, inputs, device=device).triu()
        by_ghosts = settings.critic and knows_ghosts(self.critic, public)
        self._public_sum = ghost_sum if by_ghosts else clipped_sum
        self.averaged = Averaged(self.generator, AVERAGING)
        rate = settings.learning_rate
        self._down = torch.optim.Adam(self._trained, lr=rate, betas=CRITIC_BETAS)
        self._up = torch.optim.Adam(self.generator.parameters(), lr=rate, betas=GENERATOR_BETAS)
        self.start: Likelihood | None = None
        if targets.made is not None:
            self.start = Likelihood.of(targets.made, domain.sizes, device)
            kept = torch.Generator(device).manual_seed(START_SEED)
            self.kept = self._latent(min(settings.fakes, START_ROWS), kept)
        self.loss = 0.0
        self.drawn_from = 0.0  # records, or units, that toss coins: a noisy number
        self.patience = EarlyStopping(settings.patience)
        self.is_late = False
        self.late = [torch.empty(0, codes)]

    def encode(self, codes: Tensor, coins: Tensor) -> Tensor:
        """Return records as the critic takes them, each with a condition by its own coin."""
        rows = self.encoding.one_hot(codes)
        if not self.settings.conditional:
            return rows
        return torch.cat([rows, self.conditions.of_records(codes, coins)], dim=1)

    def slow_down(self, left: float) -> None:
        """Set the learning rates for the part of the training that is left."""
        rate = self.settings.learning_rate * max(left, LAST_RATE)
        for optimizer in (self._down, self._up):
            slower = AFTER_START if self.start and optimizer is self._up else 1.0
            for group in optimizer.param_groups:
                group["lr"] = rate * slower

    def move_critic(self, real: list[Tensor]) -> None:
        """Take one step with a noisy mean gradient on records, and one on generated rows.

        The latter needs no noise; it is clipped as the former is, so that they balance.
        """
        with torch.no_grad():
            fakes = self._fakes()[0]
        made = self._public_sum(self.critic, fakes, FAKE, self.settings.clip)
        for parameter, ours, other in zip(self._trained, real, made, strict=True):
            parameter.grad = ours + other.float() / len(fakes)
        self._down.step()
        limit = self.settings.weight_limit
        with torch.no_grad():
            for parameter in self._trained:
                parameter.clamp_(-limit, limit)

    def pretrain(self, start: Likelihood) -> None:
        """Bring the generator to rows under which made records are likely; no record has a part.

        TrainingError when its weights are no longer finite.
        """
        rate, weights = START_RATE, self.generator.parameters()
        optimizer = torch.optim.Adam(weights, lr=rate, betas=START_BETAS, eps=EPS)
        for step in range(START_STEPS):
            for group in optimizer.param_groups:
                group["lr"] = rate * learning_rate_at(step, START_STEPS)
            latent, condition = self.kept
            logits = self.generator(latent)
            loss = self._disobedience(logits, condition)
            loss = loss + start.loss(self.encoding.softmax(logits), self.coins)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.averaged.take(self.generator)
        if not self.is_finite:
            raise diverged("the generator's weights are not finite", rate)

    def move_generator(self, *, against_critic: bool) -> None:
        """Take one step towards the frequencies, its conditions, and higher scores."""
        fakes, logits, condition = self._fakes()
        if self.is_late:  # of each so many rows that all of them make the components
            steps = int(self.settings.late_share * self.settings.steps)
            few = math.ceil(self.settings.components / max(1, steps // self.settings.critic_steps))
            self.late.append(self.encoding.softmax(logits[:few].detach()).cpu())
        loss = -self.critic(fakes).mean() * against_critic
        if self.settings.frequencies_weight:
            # How far the mean row is from the frequencies: Kullback-Leibler, all attributes.
            mean = self.encoding.softmax(logits).mean(dim=0).clamp(min=1e-7)
            ours = self.frequencies
            apart = (ours * (torch.log(ours.clamp(min=1e-7)) - torch.log(mean))).sum()
            loss = loss + self.settings.frequencies_weight * apart
        if self.start:
            loss = loss + self.start.loss(self.encoding.softmax(logits), self.coins)
        loss = loss + self._disobedience(logits, condition)
        self._up.zero_grad()
        loss.backward()
        self._up.step()
        self.averaged.take(self.generator)
        self.loss = float(loss.detach())

    def _disobedience(self, logits: Tensor, condition: Tensor | None) -> Tensor:
        """Return how unlikely conditions are, minus the mean log-probability; 0 without any."""
        if condition is None:
            return logits.new_zeros(())
        return -(condition * self.encoding.log_softmax(logits)).sum(dim=1).mean()

    def rows(self) -> Floats:
        """Return rows of probabilities, those of late generators where any were kept.

        TrainingError where they are not finite. A generator and a critic that answer each other
        go round in circles, which the mixture of a circle's generators does not: single ones,
        and averages of their weights, do.
        """
        late = torch.cat(self.late)
        if len(late):
            components = min(self.settings.components, len(late))
            rows: Floats = late[torch.arange(components) * len(late) // components].double().numpy()
        else:
            drawn = self.kept if self.start else self._latent(self.settings.components, self.coins)
            rows = probabilities(self.averaged.network, drawn[0], self.encoding)
        check_rows(rows, self.settings.learning_rate)
        return rows

    @property
    def is_finite(self) -> bool:
        """Whether all of the generator's weights and statistics are, and their averages."""
        networks = (self.generator, self.averaged.network)
        states = (value for network in networks for value in network.state_dict().values())
        return all(bool(torch.isfinite(value).all()) for value in states)

    def misfit(self) -> float:
        """Return how far generated rows are from what is paid for; no record has a part in it.

        The mean total variation of their one-way marginals from the frequencies and, where they
        have conditions, the mean probability that a row does not obey its own.
        """
        coins = torch.Generator(self.frequencies.device).manual_seed(MISFIT_SEED)
        latent, condition = self._latent(self.settings.components, coins)
        rows = probabilities(self.averaged.network, latent, self.encoding)
        away = np.abs(rows.mean(axis=0) - self.frequencies.cpu().numpy()).sum()
        apart = float(away) / 2 / len(self.encoding.sizes)
        if condition is None:
            return apart
        obeyed = (rows * condition.cpu().numpy()).sum(axis=1).mean()
        return apart + 1 - float(obeyed)

    def state(self, seeded: np.random.Generator | None) -> State:
        """Return all that the training goes on from; ``seeded`` is what a seed repeats."""
        numbers: dict[str, object] = {"patience": asdict(self.patience)}
        numbers["drawn_from"] = self.drawn_from
        if seeded:
            numbers["rng"] = seeded.bit_generator.state
        return State(numbers, {**arrays_of(self._parts()), "late": torch.cat(self.late).numpy()})

    def restore(self, state: State, seeded: np.random.Generator | None) -> None:
        """Put the trainer where ``state`` was taken; CheckpointError where that is of another."""
        try:
            restore(self._parts(), state.arrays)
            self.late = [torch.tensor(state.arrays["late"])]
            self.patience = EarlyStopping(**state.numbers["patience"])
            if seeded:
                seeded.bit_generator.state = state.numbers["rng"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                "the checkpoint is of other networks, or of another device, than this fit has; "
                "nothing was released"
            ) from error

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer | torch.Generator]:
        return {
            "generator": self.generator,
            "averaged": self.averaged.network,
            "critic": self.critic,
            "up": self._up,
            "down": self._down,
            "coins": self.coins,
        }

    def _fakes(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return generated rows as the critic takes them, their logits and conditions."""
        drawn = self.kept if self.start else self._latent(self.settings.fakes, self.coins)
        latent, condition = drawn
        logits = self.generator(latent)
        rows = self.encoding.straight_through(logits, self.coins, HEAT)
        return rows if condition is None else torch.cat([rows, condition], 1), logits, condition

    def _latent(self, records: int, coins: torch.Generator) -> tuple[Tensor, Tensor | None]:
        device = self.frequencies.device
        latent = torch.randn(records, LATENT, generator=coins, device=device)
        if not self.settings.conditional:
            return latent, None
        condition = self.conditions.drawn(records, coins)
        return torch.cat([latent, condition], dim=1), condition
