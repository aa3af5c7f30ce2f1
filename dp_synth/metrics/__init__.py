"""How good a synthetic table is: fidelity, utility, fairness, consistency.

Every metric looks at real records: what it returns is internal to the data holder, not
differentially private.

Names are loaded when they are first used; they stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
