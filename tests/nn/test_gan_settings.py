"""Settings of a training: what is out of range is said in one line, before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dp_synth.accounting import Accountant, Gaussians, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain, Support
from dp_synth.errors import InputError
from dp_synth.nn import settings
from dp_synth.schema import Schema
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN

DOMAIN = Domain(("a", "b"), (3, 2))


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("rate", 1.5, r"rate must lie in \(0, 1\]"),
        ("rate", 0.0, r"rate must lie in \(0, 1\]"),
        ("steps", 0, "steps must be a whole number from 1"),
        ("critic_steps", 2.5, "critic_steps must be a whole number, got 2.5"),
        ("fakes", 1, "fakes must be 2 or more"),
        ("clip", 0.0, "clip must be above 0"),
        ("learning_rate", -1.0, "learning_rate must be a finite number"),
        ("weight_limit", float("inf"), "weight_limit must be a finite number"),
        ("weight_limit", 16.5, "weight_limit must be at most 16, got 16.5"),
        ("critic_width", 2**17, "critic_width must be at most 65536, got 131072"),
        ("columns_share", 1.0, r"columns_share must lie in \(0, 1\)"),
        ("coarseness", -1.0, "coarseness must be a finite number"),
        ("late_share", 1.5, r"late_share must lie in \[0, 1\]"),
        ("late_share", -0.5, "late_share must be a finite number from 0"),
        ("device", "abacus", "device must be one of auto, cpu, cuda"),
    ],
)
def test_a_setting_out_of_range_is_an_input_error(
    kind: type, setting: str, value: object, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        kind(**{setting: value})


def made_plan(domain: Domain):  # type: ignore[no-untyped-def]
    return DPCTGAN(steps=7, rate=0.5).plan(domain)


def test_constraints_are_refused_by_name() -> None:
    support = Support(("a", "b"), bytes([1, 1, 1, 1, 1, 0]))
    with pytest.raises(InputError, match="dpctgan cannot keep the schema's constraints"):
        made_plan(Domain(("a", "b"), (3, 2), supports=(support,)))


def test_without_torch_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install '\.\[deep\]'"):
        made_plan(DOMAIN)


def test_a_plan_is_one_marginal_an_attribute_and_then_all_steps() -> None:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    plan = made_plan(DOMAIN)
    assert plan.gaussians("ones") == Gaussians(2, 0.15, name="ones")
    assert plan.sampled("steps") == SampledGaussians(7, 0.5, 0.85, name="steps")


def test_settings_need_no_torch() -> None:
    assert "torch" not in vars(settings)


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
def test_a_device_that_is_not_there_is_refused_before_a_record_is_read_or_a_budget_spent(
    kind: type[DPGAN | DPCTGAN], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="the extra deep is not installed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    schema = Schema.from_dict(
        {"name": "t", "columns": [{"name": "a", "type": "ordinal", "size": 2}]}
    )
    payer = Accountant(PrivacyBudget(1.0, 1e-6), ledger=tmp_path / "ledger.jsonl")
    for refused in (
        lambda: kind(device="cuda").check(schema),
        lambda: kind(device="cuda").fit("absent.csv", schema, payer),
    ):
        with pytest.raises(InputError, match="device 'cuda' is not there; use cpu or auto"):
            refused()
    assert not list(tmp_path.iterdir())
    for there in ("cpu", "auto"):
        kind(device=there).check(schema)
