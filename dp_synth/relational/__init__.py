"""Two tables: a root, and children that name it; its unit of privacy is a root with all of them."""

from dp_synth.relational.fitting import fit_tables
from dp_synth.relational.release import TablesRelease
from dp_synth.relational.schema import TablesSchema

__all__ = ["TablesRelease", "TablesSchema", "fit_tables"]
