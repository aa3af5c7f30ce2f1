"""Metadata of other programs: read into a schema, and written from one."""

from dp_synth.schema.foreign.described import questions
from dp_synth.schema.foreign.importing import EXPORTS, FORMATS, describe, detect, import_schema

__all__ = ["EXPORTS", "FORMATS", "describe", "detect", "import_schema", "questions"]
