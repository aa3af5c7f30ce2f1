#!/usr/bin/env bash
# dp-accounting 0.6.0: the PLD accountant leaves out how often a randomized response is given.
#
# A tenfold randomized response of two values, each of epsilon ln 3 = 1.0986, composes to ten times that where delta is
# 0. PLDAccountant.compose(event, count=10), and a SelfComposedDpEvent of ten, report the epsilon of one (1.0987 on
# the loss grid); composing the event ten times in a loop reports all ten (10.987). The counts of Gaussian events beside
# it are honoured. Seen on 2026-11-29, Python 3.11. Whoever composes by counts has a bound ten times too small.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet dp-accounting==0.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import dp_accounting
from dp_accounting.pld import pld_privacy_accountant

# Of 2 buckets with noise parameter 1/2 the true one is said with chance 3/4, the other with 1/4.
event = dp_accounting.dp_event.RandomizedResponseDpEvent(0.5, 2)


def epsilon(compose):
    accountant = pld_privacy_accountant.PLDAccountant(dp_accounting.NeighboringRelation.REPLACE_ONE)
    compose(accountant)
    return accountant.get_epsilon(0.0)


counted = epsilon(lambda a: a.compose(event, count=10))
nested = epsilon(lambda a: a.compose(dp_accounting.SelfComposedDpEvent(event, 10)))
looped = epsilon(lambda a: [a.compose(event) for _ in range(10)])
print(f"count=10: {counted:.4f}; ten at once: {nested:.4f}; in a loop of ten: {looped:.4f}")
assert abs(counted - 1.0987) < 0.001 and abs(nested - 1.0987) < 0.001, "the count is heeded now"
assert abs(looped - 10.987) < 0.01
gaussian = dp_accounting.GaussianDpEvent(5.0)
tenfold = pld_privacy_accountant.PLDAccountant().compose(gaussian, count=10).get_epsilon(1e-5)
once = pld_privacy_accountant.PLDAccountant().compose(gaussian).get_epsilon(1e-5)
assert tenfold > 2.5 * once
PYTHON
