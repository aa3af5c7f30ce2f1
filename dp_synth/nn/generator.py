"""Generators: the encoding of records, networks from latent numbers to logits, and conditions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dp_synth.domain import Domain
from dp_synth.errors import TrainingError
from dp_synth.mechanisms.dp_sgd import linear
from dp_synth.types import Floats

LATENT = 64  # numbers that a row is made from, beside its condition
# Of the usual weights at the last layer, so that rows start near the frequencies.
LAST_LAYER_SCALE = 0.3
RAKING_ROUNDS = 50  # of iterative proportional fitting
ROWS_AT_ONCE = 2048
MIN_PROBABILITY = 1e-7  # probability whose logarithm is taken


class Generator(nn.Module):
    """Two residual layers with batch normalisation, as in CTGAN, and one row of logits.

    Batch statistics are those of generated rows, which are public (Xu et al. 2019,
    arXiv:1907.00503, sect. 4.4).
    """

    def __init__(self, inputs: int, width: int, start: Tensor, coins: torch.Generator) -> None:
        super().__init__()
        self.first = linear(inputs, width, coins)
        self.second = linear(inputs + width, width, coins)
        self.last = linear(inputs + 2 * width, len(start), coins)
        self.norms = nn.ModuleList([nn.BatchNorm1d(width), nn.BatchNorm1d(width)])
        with torch.no_grad():
            self.last.weight.mul_(LAST_LAYER_SCALE)
            self.last.bias.copy_(start)

    def forward(self, latent: Tensor) -> Tensor:
        """Return logits, shape (records, codes of all attributes)."""
        rows = latent
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            rows = torch.cat([rows, torch.relu(norm(layer(rows)))], dim=1)
        logits: Tensor = self.last(rows)
        return logits


class Averaged:
    """An exponential moving average of a network's weights and statistics."""

    def __init__(self, network: nn.Module, kept: float) -> None:
        self.network = copy.deepcopy(network)
        self._kept = kept

    @torch.no_grad()
    def take(self, network: nn.Module) -> None:
        """Move the average towards the network as it is now."""
        for mean, new in zip(_state(self.network), _state(network), strict=True):
            mean.lerp_(new, 1 - self._kept)


@dataclass(frozen=True, eq=False)
class Conditions:
    """One code of each record that a generator must obey and a critic is told.

    The attribute is drawn evenly. A record's condition is its own code there, by a coin of its
    own; a generated row's is drawn from paid frequencies, so that both have one law as far as
    the frequencies go. Training-by-sampling picks records by condition instead (Xu et al. 2019,
    sect. 4.3), which makes a rare record part of many batches.
    """

    encoding: Encoding
    frequencies: Tensor  # of all attributes' codes, shape (width,), summing to 1 in each

    def of_records(self, codes: Tensor, coins: Tensor) -> Tensor:
        """Return the condition of each record as a one among the codes of all attributes."""
        chosen = coins.remainder(codes.shape[1]).unsqueeze(1)
        return self.encoding.marks((codes + self.encoding.starts).gather(1, chosen))

    def drawn(self, records: int, coins: torch.Generator) -> Tensor:
        """Return conditions of records that are still to be made."""
        places = torch.multinomial(self.frequencies, records, replacement=True, generator=coins)
        return self.encoding.marks(places.unsqueeze(1))


@torch.no_grad()
def probabilities(generator: nn.Module, latent: Tensor, encoding: Encoding) -> Floats:
    """Return the rows of probabilities that a finished generator makes of latent numbers."""
    generator.eval()
    starts = range(0, len(latent), ROWS_AT_ONCE)
    parts = [encoding.softmax(generator(latent[i : i + ROWS_AT_ONCE])) for i in starts]
    rows: Floats = torch.cat(parts).cpu().double().numpy()
    return rows


def diverged(what: str, learning_rate: float) -> TrainingError:
    """Return the error that ends a training which came to numbers that are not finite."""
    return TrainingError(
        f"{what}; lower learning_rate, {learning_rate}; what was charged stays charged"
    )


def check_rows(rows: Floats, learning_rate: float) -> None:
    """Raise TrainingError where rows of probabilities are not finite, whatever the loss said."""
    if not np.isfinite(rows).all():
        raise diverged("the generator's rows are not finite", learning_rate)


def raked(rows: Floats, frequencies: Floats, sizes: tuple[int, ...]) -> tuple[Floats, ...]:
    """Return the rows, a table an attribute, scaled so that their means are the frequencies.

    Iterative proportional fitting (Deming & Stephan 1940): what attributes have to do with each
    other is left as it is.
    """
    ends = np.cumsum(sizes)[:-1]
    tables = []
    for table, wanted in zip(
        np.split(rows, ends, axis=1), np.split(frequencies, ends), strict=True
    ):
        for _ in range(RAKING_ROUNDS):
            table = table * (wanted / np.maximum(table.mean(axis=0), np.finfo(float).tiny))
            table = table / table.sum(axis=1, keepdims=True)
        tables.append(table)
    return tuple(tables)


def _state(network: nn.Module) -> list[Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


class Encoding:
    """Blocks of one-hot inputs for the codes of a domain, side by side.

    Networks' outputs in the same places are logits; a softmax is one of each block.
    """

    def __init__(self, domain: Domain, device: torch.device | str = "cpu") -> None:
        self.sizes = domain.sizes
        self.width = sum(domain.sizes)
        self.starts = torch.tensor(
            list(accumulate(domain.sizes, initial=0))[:-1], device=device, dtype=torch.int64
        )
        # Blocks padded to one width make a softmax of all of them one call.
        self._widest = max(domain.sizes)
        places = [
            torch.arange(size) + number * self._widest for number, size in enumerate(domain.sizes)
        ]
        self._places = torch.cat(places).to(device)

    def one_hot(self, codes: Tensor) -> Tensor:
        """Return a one in the place of each code: (records, attributes) to (records, width)."""
        return self.marks(codes + self.starts)

    def marks(self, places: Tensor) -> Tensor:
        """Return a one in each of the places: shape (records, any) to (records, width)."""
        empty = torch.zeros(len(places), self.width, device=places.device)
        return empty.scatter_(1, places, 1.0)

    def softmax(self, logits: Tensor) -> Tensor:
        """Return the probabilities of each block's codes, shape (records, width)."""
        blocks = torch.softmax(self._padded(logits), dim=2)
        return blocks.reshape(len(logits), -1)[:, self._places]

    def straight_through(self, logits: Tensor, coins: torch.Generator, heat: float) -> Tensor:
        """Return one-hot draws of each block, with the gradient of a softmax at ``heat``.

        Gumbel-softmax, straight through (Jang, Gu & Poole 2017, arXiv:1611.01144).
        """
        waits = torch.empty_like(logits).exponential_(generator=coins)
        noisy = logits - torch.log(waits.clamp(min=1e-30))
        drawn = self.one_hot(self._padded(noisy.detach()).argmax(dim=2))
        soft = self.softmax(noisy / heat)
        return drawn + soft - soft.detach()

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Return the logarithms of `softmax`, bounded from below."""
        return torch.log(self.softmax(logits).clamp(min=MIN_PROBABILITY))

    def _padded(self, logits: Tensor) -> Tensor:
        empty = logits.new_full((len(logits), len(self.sizes) * self._widest), -torch.inf)
        return empty.index_copy(1, self._places, logits).reshape(len(logits), -1, self._widest)


Arrays = dict[str, NDArray[np.generic]]


def arrays_of(parts: Mapping[str, nn.Module | torch.optim.Optimizer | torch.Generator]) -> Arrays:
    """Return copies of all that the parts would need to go on from here, by name."""
    return {
        f"{name}.{key}": tensor.detach().cpu().numpy().copy()
        for name, part in parts.items()
        for key, tensor in _tensors_of(part).items()
    }


def restore(
    parts: Mapping[str, nn.Module | torch.optim.Optimizer | torch.Generator],
    arrays: Mapping[str, NDArray[np.generic]],
) -> None:
    """Put the parts where those stood that ``arrays_of`` took ``arrays`` from.

    KeyError, RuntimeError or ValueError for arrays of other parts.
    """
    for name, part in parts.items():
        own = {
            key.removeprefix(f"{name}."): torch.tensor(array)
            for key, array in arrays.items()
            if key.startswith(f"{name}.")
        }
        if isinstance(part, torch.Generator):
            part.set_state(own["state"])
        elif isinstance(part, nn.Module):
            part.load_state_dict(own)
        else:
            _restore_optimizer(part, own)


def _tensors_of(part: nn.Module | torch.optim.Optimizer | torch.Generator) -> dict[str, Tensor]:
    if isinstance(part, torch.Generator):
        return {"state": part.get_state()}
    if isinstance(part, nn.Module):
        return dict(part.state_dict())
    return {
        f"{number}.{key}": tensor
        for number, moments in part.state_dict()["state"].items()
        for key, tensor in moments.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, own: Mapping[str, Tensor]) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for place, tensor in own.items():
        number, _, key = place.partition(".")
        moments.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
