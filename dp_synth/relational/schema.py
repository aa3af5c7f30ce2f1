"""What is public of two tables: a schema of each, the key that joins them, and how many children.

Fits see two tables that are made of them: the roots, each with the number of its children, and the
children, each beside its root, that number, and the child before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

from dp_synth.errors import InputError, SchemaError
from dp_synth.readers import read_json
from dp_synth.schema import IdColumn, Schema
from dp_synth.settings import checked

NUMBER = "number of children"
FIRST = "(none before)"  # the mark of a child that is the first
MOST_CHILDREN = 1000
FIELDS = {"tables": dict, "foreign_key": dict, "max_children": int}
KEY_FIELDS = {"table": str, "column": str, "references": str, "key": str}


@dataclass(frozen=True)
class TablesSchema:
    """Two schemas and the foreign key of the second.

    Of each root at most ``max_children`` children are used, a public number. ``key`` is a column
    of type "id" of the root, which the column ``foreign_key`` of the children, of that type too,
    repeats. SchemaError where they are not such columns.
    """

    root_name: str
    root: Schema
    child_name: str
    child: Schema
    key: str
    foreign_key: str
    max_children: int

    def __post_init__(self) -> None:
        for table, schema, column in (
            (self.root_name, self.root, self.key),
            (self.child_name, self.child, self.foreign_key),
        ):
            if column not in {one.name for one in schema.columns if isinstance(one, IdColumn)}:
                raise SchemaError(f"table {table!r}: column {column!r} must be one of type 'id'")
            if schema.open or schema.fine:
                found = (*schema.open, *schema.fine)[0]
                raise SchemaError(
                    f"table {table!r}: column {found!r} needs listed categories, or bins: cells of "
                    "two tables are not found by a fit"
                )
            if not self._columns(schema):
                raise SchemaError(f"table {table!r} has no column beside its keys")
        if self.root_name == self.child_name:
            raise SchemaError(f"two tables must have two names, got {self.root_name!r} twice")
        if not 1 <= self.max_children <= MOST_CHILDREN:
            raise SchemaError(
                f"max_children must be from 1 to {MOST_CHILDREN:,}, got {self.max_children}"
            )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str = "the schema") -> TablesSchema:
        """Return the schema of a file's content; SchemaError, which names ``source``, for none.

        ``tables`` has the two schemas by name, ``foreign_key`` the ``table`` and ``column`` of the
        children, and the table that it ``references`` with its ``key``.
        """
        try:
            fields = checked(dict(content), FIELDS)
            link = checked(fields["foreign_key"], KEY_FIELDS)
        except (InputError, ValueError, KeyError) as error:
            raise SchemaError(f"{source}: {error}") from None
        tables = fields["tables"]
        names = {link["table"], link["references"]}
        if set(tables) != names or len(names) != 2:
            raise SchemaError(
                f"{source}: 'tables' must be the two of 'foreign_key', {sorted(names)}, got "
                f"{sorted(tables)}"
            )
        root, child = link["references"], link["table"]
        return cls(
            root,
            Schema.from_dict(tables[root], source=f"{source}: {root}"),
            child,
            Schema.from_dict(tables[child], source=f"{source}: {child}"),
            link["key"],
            link["column"],
            fields["max_children"],
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TablesSchema:
        """Return the schema in a JSON file; SchemaError where it is none."""
        content = read_json(path, SchemaError)
        if not isinstance(content, dict):
            raise SchemaError(f"{path}: a schema of two tables is an object")
        return cls.from_dict(content, str(path))

    def to_dict(self) -> dict[str, object]:
        """Return the content of a file."""
        return {
            "tables": {self.root_name: self.root.to_dict(), self.child_name: self.child.to_dict()},
            "foreign_key": {
                "table": self.child_name,
                "column": self.foreign_key,
                "references": self.root_name,
                "key": self.key,
            },
            "max_children": self.max_children,
        }

    @cached_property
    def own_root(self) -> Schema:
        """The root's schema without its keys."""
        return _without_ids(self.root)

    @cached_property
    def own_child(self) -> Schema:
        """The children's schema without their keys."""
        return _without_ids(self.child)

    @cached_property
    def roots(self) -> Schema:
        """The schema of roots with the number of their children."""
        columns = [*self._columns(self.root), self._number(0)]
        return self._made(self.root_name, columns, self.root)

    @cached_property
    def children(self) -> Schema:
        """The schema of children beside their root and the child before them."""
        before = []
        for column in self._columns(self.child):
            missing = [*column.get("missing", ()), FIRST]
            before.append({**column, "name": self.before(column["name"]), "missing": missing})
        root = [{**c, "name": self.above(c["name"])} for c in self._columns(self.root)]
        own = self._columns(self.child)
        columns = [*root, self._number(1), *before, *own]
        return self._made(self.child_name, columns, self.child)

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The columns of `children` that stand before a child is drawn: all but its own."""
        return self.children.domain.attributes[: -len(self.own_child.domain)]

    def above(self, column: str) -> str:
        """Return what a column of the root is called beside children."""
        return f"{self.root_name}.{column}"

    def before(self, column: str) -> str:
        """Return what a column of the child before is called."""
        return f"{column} before"

    def _number(self, least: int) -> dict[str, Any]:
        counts = [str(count) for count in range(least, self.max_children + 1)]
        return {"name": NUMBER, "type": "ordinal", "categories": counts}

    @staticmethod
    def _columns(schema: Schema) -> list[dict[str, Any]]:
        columns: Any = schema.to_dict()["columns"]
        return [dict(one) for one in columns if one["type"] != "id"]

    @staticmethod
    def _made(name: str, columns: list[dict[str, Any]], own: Schema) -> Schema:
        known = own.to_dict()
        kept: dict[str, Any] = {
            key: known[key] for key in ("label", "positive", "constraints") if key in known
        }
        why = known.get("bounds_from") or "as in the table's own schema"
        return Schema.from_dict({"name": name, "bounds_from": why, "columns": columns, **kept})


def _without_ids(schema: Schema) -> Schema:
    return schema.select([one.name for one in schema.columns if not isinstance(one, IdColumn)])
