"""What attack scores prove: ROC curves, bounds on epsilon, audits against the ledger.

Names are loaded when they are first used; they stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
