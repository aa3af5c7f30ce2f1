"""Networks of one's own: trained as the built-in ones are, and refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN
from dp_synth.table import PrivateTable

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
pytest.importorskip("opacus", reason="the extra deep is not installed")

from dp_synth.nn import gan  # noqa: E402

nn = torch.nn
DOMAIN = Domain(("a", "b"), (3, 2))
FREQUENCIES = np.array([0.5, 0.25, 0.25, 0.5, 0.5])
SCHEMA = Schema.from_dict({"name": "t", "columns": [{"name": "a", "type": "ordinal", "size": 3}]})
SMALL = {"steps": 4, "fakes": 32, "components": 16}


def critic(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 1))


def generator(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs))


def normalised(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))


def broken(inputs: int) -> nn.Module:
    raise ValueError(f"no network\nof {inputs} inputs")


def no_module(inputs: int) -> int:
    return inputs


def narrow(inputs: int, _outputs: int) -> nn.Module:
    return nn.Linear(inputs, 2)


@pytest.fixture(autouse=True)
def few_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan, "WARM_UP", 2)


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
def test_they_are_trained_and_one_seed_gives_the_same_rows(kind: type[DPGAN | DPCTGAN]) -> None:
    settings = kind(critic=critic, generator=generator, **SMALL)
    made, before = [], torch.random.get_rng_state()
    for seed in (1, 1, 2):
        plan = Plan({"steps": SampledGaussians(4, 0.5, noise_multiplier=3.0)})
        payer = Accountant(PrivacyBudget(1e3, 1e-6)).admit("test", plan, randomness="seeded")
        codes = np.random.default_rng(0).integers(0, DOMAIN.sizes, (60, 2), dtype=np.int32)
        table, rng = PrivateTable(codes, DOMAIN, payer), np.random.default_rng(seed)
        made.append(gan.train(table, gan.Targets(FREQUENCIES, 60.0), settings, rng=rng))
        assert [entry.count for entry in payer.accountant.ledger.charges] == [4]
    assert np.allclose(made[0][:, :3].sum(axis=1), 1)
    assert made[0].tobytes() == made[1].tobytes() != made[2].tobytes()
    assert torch.equal(before, torch.random.get_rng_state())


def test_both_are_those_that_were_given() -> None:
    settings = DPGAN(critic=critic, generator=generator, **SMALL)
    trainer = gan._Trainer(
        DOMAIN, gan.Targets(FREQUENCIES, 100.0), settings, np.random.default_rng(0)
    )
    assert isinstance(trainer.critic[1], nn.LayerNorm)
    assert isinstance(trainer.generator[1], nn.BatchNorm1d)
    other = gan._Trainer(
        DOMAIN, gan.Targets(FREQUENCIES, 100.0), settings, np.random.default_rng(1)
    )
    assert not torch.equal(trainer.critic[0].weight, other.critic[0].weight)


def test_a_setting_holds_the_name_of_a_function_and_takes_one() -> None:
    by_function = DPGAN(critic=critic)
    assert by_function.critic == f"{__name__}:critic"
    assert by_function == DPGAN(critic=by_function.critic)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"critic": normalised}, "BatchNorm1d '1' of the critic has buffers"),
        ({"critic": broken}, r"failed for sizes \(3,\): ValueError: no network of 3 inputs"),
        ({"critic": no_module}, "must return a torch.nn.Module, got int"),
        ({"critic": f"{__name__}:nothing"}, "has no attribute 'nothing'"),
        ({"generator": narrow}, r"must give logits of shape \(32, 3\), got \(32, 2\)"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line_before_a_record_is_read(
    settings: dict[str, object], said: str, tmp_path: Path
) -> None:
    payer = Accountant(PrivacyBudget(1.0, 1e-6), ledger=tmp_path / "ledger.jsonl")
    with pytest.raises(InputError, match=said) as refusal:
        DPGAN(**settings).fit("absent.csv", SCHEMA, payer)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_function_that_its_name_does_not_find_again_is_refused() -> None:
    with pytest.raises(InputError, match="critic must be a function of a module by its name"):
        DPGAN(critic=lambda inputs: critic(inputs))
    with pytest.raises(InputError, match="critic must be"):
        DPGAN(critic=3)  # type: ignore[arg-type]
