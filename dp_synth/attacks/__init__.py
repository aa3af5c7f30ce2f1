"""Attacks: what an attacker who sees a release can tell of people, and games that measure it.

Names are loaded when they are first used; they stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
