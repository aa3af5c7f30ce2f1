"""Types of arrays and cliques: one name for each, in the whole package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

Codes = NDArray[np.int32]
"""Numbers of categories or cells: of shape (records, attributes), or of one column."""

Clique = tuple[str, ...]
"""Names of attributes that stand together, in order."""
