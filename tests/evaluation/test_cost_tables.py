"""The table of costs shows what somebody knows, and nothing that nobody knows."""

from __future__ import annotations

from latentvla_agent.evaluation.cost_tables import explain_costs, tabulate_costs

KNOWN = {
    "features_ms": 1.0,
    "features_ms_p95": 2.5,
    "network_ms": 10.126,
    "network_ms_p95": 12.0,
    "parameters": 1234567,
}


def test_of_the_columns_those_that_one_agent_knows() -> None:
    agents = [{"agent": "a", **KNOWN, "total_ms": None}, {"agent": "b", "total_ms": None, "blank_camera_scenes": 0}]
    assert tabulate_costs(agents) == [
        ["agent", "features p50", "features p95", "network p50", "network p95", "parameters", "blank camera"],
        ["a", "1.00", "2.50", "10.13", "12.00", "1,234,567", "-"],
        ["b", "-", "-", "-", "-", "-", "0"],
    ]
    assert len(explain_costs(agents)) == 2 and len(explain_costs(agents[:1])) == 1


def test_batches_are_told() -> None:
    assert "one scene at a time (batch 1): median" in explain_costs([])[0]
    (said,) = explain_costs([], [8, 8])
    assert (
        "batch 1" not in said and "up to 8 scenes in one pass (batch 8), of which each has an equal share: med" in said
    )
    both, warning = explain_costs([], [8, 1])
    assert "(batch 1) or up to 8 scenes" in both and "not alike" in warning


def test_no_table_where_nobody_knows_anything() -> None:
    assert tabulate_costs([{"agent": "a", "total_ms": None}, {"agent": "b"}]) == []
