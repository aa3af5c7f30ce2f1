"""The site: Sphinx, MyST for Markdown, myst-nb for notebooks, docstrings by Sphinx's own readers.

Sphinx and what it needs here were released within the last year by several maintainers each. Of
the other stack that was considered, MkDocs had no stable release since August 2024 and its theme
Material calls itself inactive in its package's metadata.

    python -m sphinx -W --keep-going -b html docs docs/_build/html
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "site"), str(HERE.parent)]

from copies import copy_in  # noqa: E402  # it stands beside this file

from dp_synth import __version__  # noqa: E402

copy_in(HERE)

project = "dp_synth"
author = "The dp_synth developers"
copyright = "the dp_synth developers, Apache License 2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "docstrings",
    "proofs",
    "theorems",
    "written",
]
exclude_patterns = ["_build", "site", "**/.ipynb_checkpoints"]
suppress_warnings = ["mystnb.unknown_mime_type"]
nitpicky = False  # signatures name types of numpy and pandas, whose pages are elsewhere

# Notebooks keep the outputs that they were committed with; a test runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # commands are copied from pages

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["torch", "opacus"]
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = "dp_synth"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_domain_indices = False  # the reference is by package, and has a search
html_show_sphinx = False
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
