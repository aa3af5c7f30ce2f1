"""The public names of benchmarks, each with the module that it comes from."""

import dp_synth.records as _records

from .cell import Cell as Cell
from .cell import Limits as Limits
from .cell import Measured as Measured
from .cell import Outcome as Outcome
from .cell import records as records
from .cell_run import plan as plan
from .cell_run import run_cell as run_cell
from .diff import LiveCell as LiveCell
from .diff import combined as combined
from .diff import compare as compare
from .diff import failures as failures
from .executor import Completed as Completed
from .executor import Crew as Crew
from .executor import Ended as Ended
from .executor import Executor as Executor
from .executor import local_crew as local_crew
from .executor import local_executor as local_executor
from .grid import Grid as Grid
from .provenance import RunSummary as RunSummary
from .provenance import summarise as summarise
from .provenance import write_manifest as write_manifest
from .runner import Forecast as Forecast
from .runner import Status as Status
from .runner import Tally as Tally
from .runner import default_store as default_store
from .runner import forecast as forecast
from .runner import run as run
from .runner import run_grid as run_grid
from .runner import status as status
from .runner import unfinished as unfinished
from .store import Store as Store
from .store import gather as gather
from .store import open_store as open_store
from .store import outcomes as outcomes
from .store import read_records as read_records
from .store import store_at as store_at

Record = _records.Record
read_record_file = _records.read_record_file
write_record_file = _records.write_record_file
