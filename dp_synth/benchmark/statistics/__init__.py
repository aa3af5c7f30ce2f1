"""Statistics over cells: intervals over seeds, pairs, ranks over tables, and what failed.

All take the table of records; none looks at data, and none pools what has not the same budget.

Names are loaded when they are first used; they stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

from dp_synth.records import method_names, t_interval

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
__all__ += ["method_names", "t_interval"]
