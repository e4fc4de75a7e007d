"""`latentvla submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from latentvla_agent.cli.options import (
    EXIT_INCOMPLETE,
    TIME_LIMIT_S,
    Cache,
    Data,
    DevkitPython,
    DevkitRoot,
    Maps,
    NuplanRoot,
    OptionalMetric,
    ScorerName,
    SplitName,
    SyntheticScenes,
    TimeLimit,
    Workers,
    results_folder,
)
from latentvla_agent.cli.world_sensors import find_sensor_source
from latentvla_agent.data.roots import find_roots
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import build_agent, find_agents
from latentvla_agent.evaluation.folders import prepare_file
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.results import format_table
from latentvla_agent.evaluation.run import Run, evaluate, plan
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.scorer_choice import ScorerRequest, choose_scorer
from latentvla_agent.evaluation.submission import (
    Submission,
    Team,
    check_scenes,
    check_submission,
    collect_plans,
    write_submission,
)
from latentvla_agent.evaluation.summary import describe_losses, is_complete
from latentvla_agent.evaluation.two_stage import list_table_rows


def submit_command(
    agent: Annotated[str, typer.Option("--agent", help="Agent by name or YAML file.")],
    team: Annotated[str, typer.Option("--team", help="Team name.")],
    authors: Annotated[str, typer.Option("--authors", help="Names of the authors.")],
    email: Annotated[str, typer.Option("--email", help="Address for questions.")],
    institution: Annotated[str, typer.Option("--institution", help="Affiliation.")],
    country: Annotated[str, typer.Option("--country", help="Country or region.")],
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: OptionalMetric = None,
    scorer: ScorerName = "auto",
    score: Annotated[bool, typer.Option(help="Score the plans too; not possible for logs without annotations.")] = True,
    workers: Workers = None,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("submission.pkl"),
    cache: Cache = None,
    time_limit: TimeLimit = TIME_LIMIT_S,
    devkit_python: DevkitPython = None,
    devkit_root: DevkitRoot = None,
    nuplan_root: NuplanRoot = None,
    synthetic_scenes: SyntheticScenes = None,
) -> None:
    """Write a leaderboard submission: v1.1 for --metric pdms-v1.1, v2.2 with its two stages for epdms-v2.2.

    Plans in every scene, scores the plans, writes the pickle and reads it back as the leaderboard does. Nothing is
    written where the data lack a scene of the split, or the agent failed in one.

    \b
    Example:
      latentvla submit --agent ego_status_mlp --data /data/openscene --split navtest --metric pdms-v1.1 \\
        --team "Lane Keepers" --authors "A. Author" --email a@b.org --institution Lab --country Germany
    """
    roots = find_roots(data, maps, split=split)
    choice = choose_scorer(ScorerRequest(scorer, metric, devkit_python, devkit_root, nuplan_root), roots)
    (spec,) = find_agents([agent])
    if build_agent(spec).requires_scene:
        raise ConfigError(f"agent {spec.name} is privileged: it sees the future, which a submission must not")
    request = SplitRequest(data, maps, split, cache=cache, synthetic_scenes=synthetic_scenes)
    source = open_source(
        request, two_stages=choice.metric.rules.generation == 2 and (choice.has_two_stages or not score)
    )
    check_scenes(source.split, source.index)
    prepare_file(out)
    run = Run(
        agents=(spec,),
        split=source.split,
        index=source.index,
        roots=source.roots,
        out=results_folder(choice.devkit is not None) / "submissions",
        cache_folder=source.cache_folder,
        metric=choice.metric,
        devkit=choice.devkit,
        workers=workers or count_cores(),
        time_limit=time_limit,
        sensor_source=find_sensor_source(source.roots),
        hashes=source.hashes,
    )
    run = run.into(None)
    source.prepare()
    if score:
        summary = evaluate(run)
        lines = list_table_rows(summary["agents"], run.metric) if run.is_two_stage else summary["agents"]
        print(format_table(lines, run.metric))
        if not is_complete(summary):
            print(f"latentvla: incomplete, no submission written: {describe_losses(summary)}", file=sys.stderr)
            raise typer.Exit(EXIT_INCOMPLETE)
    predictions, index = plan(run), run.index
    parts = (index.refs,) if run.metric.rules.generation == 1 else (index.refs, index.synthetic_refs)
    stages = tuple(collect_plans([ref.token for ref in part], spec.name, predictions) for part in parts)
    submission = Submission(Team(team, authors, email, institution, country), stages)
    write_submission(submission, out)
    check_submission(out, submission)
    if not all(stages):  # as the devkit's script does for such a split; its leaderboards ask for two stages
        print(f"latentvla: split {source.split.name} has one stage, the second is empty", file=sys.stderr)
    counts = " and ".join(str(len(stage)) for stage in stages)
    print(f"submission for NAVSIM {run.metric.rules.name} of {counts} plans, read back and found equal -> {out}")
