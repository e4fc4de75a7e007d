"""The embedded PDM scorer: reference plan, simulation, sub-scores and metric cache. Knows only the data room."""
