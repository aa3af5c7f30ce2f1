"""Weights, moments and coins as arrays that a file can hold without pickle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
