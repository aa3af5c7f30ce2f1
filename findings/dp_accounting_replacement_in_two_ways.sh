#!/usr/bin/env bash
# dp-accounting 0.6.0: under REPLACE_ONE its two accountants mean different things by one Gaussian event.
#
# GaussianDpEvent(5.0) at delta 1e-5: PLDAccountant with NeighboringRelation.REPLACE_ONE reports epsilon 1.555, as if the
# noise multiplier were stated for adding a record and the sensitivity doubled; RdpAccountant with the same relation
# reports 0.795, as if it were stated for replacing one. An RDP bound is never below the PLD of the same mechanism, so
# that the two cannot be of one. Under ADD_OR_REMOVE_ONE they agree (0.726 and 0.795). Seen on 2026-11-29, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet dp-accounting==0.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import dp_accounting
from dp_accounting.pld import pld_privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant

event = dp_accounting.GaussianDpEvent(5.0)
found = {}
for relation in ("ADD_OR_REMOVE_ONE", "REPLACE_ONE"):
    one = getattr(dp_accounting.NeighboringRelation, relation)
    pld = pld_privacy_accountant.PLDAccountant(one).compose(event).get_epsilon(1e-5)
    rdp = rdp_privacy_accountant.RdpAccountant(neighboring_relation=one).compose(event).get_epsilon(1e-5)
    found[relation] = pld, rdp
    print(f"{relation}: PLD {pld:.3f}, RDP {rdp:.3f}")
assert found["ADD_OR_REMOVE_ONE"][0] < found["ADD_OR_REMOVE_ONE"][1]
assert abs(found["REPLACE_ONE"][0] - 1.555) < 0.01, "the PLD accountant reads replacement otherwise now"
assert abs(found["REPLACE_ONE"][1] - 0.795) < 0.01, "the RDP accountant reads replacement otherwise now"
PYTHON
