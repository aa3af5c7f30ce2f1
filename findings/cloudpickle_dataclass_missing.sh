#!/usr/bin/env bash
# cloudpickle 3.1.2 with pydantic 2.14.3, Python 3.11: a plain dataclass of a session (a class of
# __main__, as in a notebook) that was sent to another process by value still makes objects there,
# but nothing that reads its fields can use it.
# Behaviour: the field's `default_factory` is a copy of the sentinel `dataclasses.MISSING`, so that
# `field.default_factory is MISSING` is False for a field that has a plain default. pydantic's
# TypeAdapter then ends in "TypeError: cannot specify both default and default_factory". That
# cloudpickle keeps the identity of `dataclasses._FIELD` lets one expect that it keeps this too.
# Output seen:
#   made 1
#   default_factory is MISSING: False
#   TypeError: cannot specify both default and default_factory
# Exits with 0 while this holds, and with another code once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet cloudpickle==3.1.2 pydantic==2.14.3
cd "$folder"
cat > send.py <<'PY'
from dataclasses import dataclass

import cloudpickle


@dataclass(frozen=True)
class Settings:
    rounds: int = 1


with open("class.pkl", "wb") as file:
    cloudpickle.dump(Settings, file)
PY
cat > receive.py <<'PY'
import dataclasses
import pickle

from pydantic import TypeAdapter

with open("class.pkl", "rb") as file:
    Settings = pickle.load(file)
print("made", Settings().rounds)
(field,) = dataclasses.fields(Settings)
print("default_factory is MISSING:", field.default_factory is dataclasses.MISSING)
try:
    print(TypeAdapter(Settings).validate_python({"rounds": 2}))
except TypeError as error:
    print(f"TypeError: {error}")
PY
"$folder/venv/bin/python" send.py
"$folder/venv/bin/python" receive.py | tee said.txt
printf '%s\n' "made 1" "default_factory is MISSING: False" \
  "TypeError: cannot specify both default and default_factory" | diff - said.txt
