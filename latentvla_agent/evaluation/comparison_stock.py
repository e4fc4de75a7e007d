"""The CSVs that NAVSIM's own scripts write, as results to compare.

One (v1.1 run_pdm_score, v2.2 run_pdm_score_one_stage and run_pdm_score) has one row per scene and ends with rows of
means. It knows neither agent, split, logs nor version: the columns tell the metric, the path tells the agent.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Tuple

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison_results import STAGES, Result, is_close
from latentvla_agent.evaluation.comparison_tables import MAY_BE_EMPTY, Line, Table, check_tokens, read_row, read_score
from latentvla_agent.evaluation.results import ResultRow, summarise_agent
from latentvla_agent.scoring.versions import METRICS, Metric

MARKS = {  # columns that only one kind of CSV has: its metric, and whether it is of two stages
    "comfort": ("pdms-v1.1", False),
    "lane_keeping": ("epdms-v2.2", False),
    "lane_keeping_stage_one": ("epdms-v2.2", True),
}
COMBINED = "extended_pdm_score_combined"  # the row with the score of both stages
MEANS = re.compile(r"average(_\w+)?|extended_pdm_score_\w+")


def read_stock(table: Table, agent: str, metric: Optional[Metric]) -> Result:
    """The result of a CSV of NAVSIM; raises `DataError` for one that is broken or incomplete."""
    told, two_stage = tell_metric(table, metric)
    columns = [name + stage for name in told.columns for stage in STAGES] if two_stage else list(told.columns)
    table.require(["token", "valid", *columns, "score"])
    footer = {line.cells["token"]: line for line in table.lines if MEANS.fullmatch(line.cells["token"])}
    lines = [line for line in table.lines if line.cells["token"] not in footer]
    optional = columns if two_stage else [MAY_BE_EMPTY]
    rows = tuple(read_row(line, agent, columns, optional) for line in lines)
    check_tokens(table.path, agent, rows)
    facts = {"metric": told.name, "scorer": "official", "stages": "2" if two_stage else "1"}
    if two_stage:
        means = _read_combined(table, footer.get(COMBINED), rows, columns)
        return Result(agent, table.path, table.sha256, told, rows, means, facts, two_stage=True, is_stock=True)
    means = summarise_agent(agent, rows, len(rows), told)
    notes = _check_footer(table, footer, means["score_valid_only"])
    means = {name: means[name] for name in ("score", *columns)}
    return Result(agent, table.path, table.sha256, told, rows, means, facts, is_stock=True, notes=notes)


def tell_metric(table: Table, metric: Optional[Metric]) -> Tuple[Metric, bool]:
    """The metric, and whether the columns are of two stages; `metric` where it has the same columns, as both
    conventions of the human filter have."""
    marked = [MARKS[name] for name in table.columns if name in MARKS]
    if len(marked) == 1:
        told = METRICS[marked[0][0]]
        return metric if metric is not None and metric.columns == told.columns else told, marked[0][1]
    raise DataError(
        f"{table.path}: expected a CSV of latentvla eval (column agent) or of NAVSIM (column comfort in v1.1, "
        f"lane_keeping in v2.2), got columns {', '.join(table.columns)[:200]}"
    )


def _check_footer(table: Table, footer: Mapping[str, Line], mean: Optional[float]) -> Tuple[str, ...]:
    """Compare the row of means, which leaves failed scenes out, with the rows: they differ where a file was cut."""
    line = next((footer[token] for token in ("average", "average_all_frames") if token in footer), None)
    if line is None:
        return (f"{table.path} has no row of means at its end, so nobody can see whether it is complete",)
    stored = read_score(line, "score", may_be_empty=True)
    if not is_close(stored, mean):
        raise DataError(
            f"{line.place}: expected a mean score of {mean}, as the rows give, got {stored}; rows are missing"
        )
    return ()


def _read_combined(
    table: Table, line: Optional[Line], rows: Tuple[ResultRow, ...], columns: List[str]
) -> Dict[str, Optional[float]]:
    """Means over groups of scenes, which only the devkit can form: the CSV holds neither groups nor weights."""
    if line is None or line.cells["valid"] != "True":
        raise DataError(
            f"{table.path}: expected a valid row {COMBINED}, got {'none' if line is None else 'a failed one'}"
        )
    failed = sum(not row.valid for row in rows)
    if failed:
        raise DataError(f"{table.path}: {failed} scenes failed, and {COMBINED} leaves their groups out, not 0")
    return {name: read_score(line, name, may_be_empty=name != "score") for name in ("score", *columns)}
