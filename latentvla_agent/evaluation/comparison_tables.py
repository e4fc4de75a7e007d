"""A CSV of scores as text, checked cell by cell: what is wrong is named with its line."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.config import NUM_STEPS

MAY_BE_EMPTY = "two_frame_extended_comfort"  # the first scene of a log has none
TOLERANCE = 1e-9  # by which rounding may carry a score out of 0…1
STEPS = ("collision_idx", "ttc_idx", "off_road_idx")  # which only our own runs have
TRUTH = {"True": True, "False": False}


class Line(NamedTuple):
    """Cells by column name; `place` is file and line, for messages."""

    place: str
    cells: Dict[str, str]


class Table(NamedTuple):
    """Content of a CSV. `sha256` is that of the file."""

    path: Path
    columns: Tuple[str, ...]
    lines: List[Line]
    sha256: str

    def require(self, columns: Sequence[str]) -> None:
        """Raise `DataError` where columns are missing."""
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError(f"{self.path}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}")


def read_table(path: Path) -> Table:
    """Every line of a CSV in UTF-8, with or without byte order mark, with either kind of line end."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV in UTF-8 ({error})") from error
    if not lines:
        raise DataError(f"{path}: expected a line of column names, got an empty file")
    columns = lines[0][1]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}")
    for number, cells in lines:
        if len(cells) != len(columns):
            raise DataError(f"{path}: line {number}: expected {len(columns)} cells, got {len(cells)}")
    rows = [Line(f"{path}: line {number}", dict(zip(columns, cells))) for number, cells in lines[1:]]
    return Table(path, tuple(columns), rows, hashlib.sha256(content).hexdigest())


def read_row(line: Line, agent: str, columns: Sequence[str], optional: Sequence[str] = (MAY_BE_EMPTY,)) -> ResultRow:
    """One scene. A failed one has score 0 and no sub-scores; only `optional` columns may be empty in a valid one."""
    cells = line.cells
    token, log = cells["token"], cells.get("log", "")
    if not token:
        raise DataError(f"{line.place}: expected a token, got an empty cell")
    if cells["valid"] not in TRUTH:
        raise DataError(f"{line.place}: valid: expected True or False, got {cells['valid']!r}")
    if not TRUTH[cells["valid"]]:
        return ResultRow(token, log, agent, error=cells.get("error", ""))
    sub_scores = {name: read_score(line, name, name in optional) for name in columns}
    score = read_score(line, "score")
    assert score is not None, "it may not be empty"
    collision, ttc, off_road = (read_step(line, name) for name in STEPS)
    return ResultRow(token, log, agent, score, True, "", sub_scores, None, collision, ttc, off_road)


def read_score(line: Line, name: str, may_be_empty: bool = False) -> Optional[float]:
    """A number of 0…1, or None for an empty cell that may be so."""
    cell = line.cells[name]
    if may_be_empty and not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not -TOLERANCE <= value <= 1.0 + TOLERANCE:
        raise DataError(f"{line.place}: {name}: expected a score between 0 and 1, got {cell!r}")
    return value


def read_step(line: Line, name: str) -> Optional[int]:
    """A 10 Hz step of the scored horizon, or None for an empty cell or a table without that column."""
    cell = line.cells.get(name, "")
    if not cell:
        return None
    if not cell.isdecimal() or len(cell) > 3 or int(cell) > NUM_STEPS:
        raise DataError(f"{line.place}: {name}: expected a step from 0 to {NUM_STEPS}, got {cell!r}")
    return int(cell)


def check_tokens(path: Path, agent: str, rows: Sequence[ResultRow]) -> None:
    """Raise `DataError` for no scene at all, or for one that is there twice."""
    if not rows:
        raise DataError(f"{path}: expected scenes of {agent}, got none")
    seen = set()
    for row in rows:
        if row.token in seen:
            raise DataError(f"{path}: token {row.token} is there twice for {agent}")
        seen.add(row.token)
