"""A directive for pages that the code writes: ``written`` with the name of a part."""

from __future__ import annotations

import commands
import formats
import packages
import proofs
import theorems
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PARTS = {**commands.PARTS, **formats.PARTS, **packages.PARTS, **proofs.PARTS, **theorems.PARTS}


class Written(SphinxDirective):
    """Puts the Markdown that the code gives for a part in its place."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the part; KeyError ends the build where it has no such name."""
        return self.parse_text_to_nodes(PARTS[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("written", Written)
    return {"parallel_read_safe": True}
