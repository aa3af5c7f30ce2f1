"""The public names of schemas, each with the module that it comes from."""

from .check import Misfits as Misfits
from .check import check as check
from .check import remarks as remarks
from .columns import DiscreteColumn as DiscreteColumn
from .columns import IdColumn as IdColumn
from .constraints import Column as Column
from .draft import draft as draft
from .draft import notes_of as notes_of
from .draft import record_like as record_like
from .kinds import Kinds as Kinds
from .numeric import DatetimeColumn as DatetimeColumn
from .numeric import NumericColumn as NumericColumn
from .schema import Schema as Schema
