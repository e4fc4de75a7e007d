"""The command `latentvla`."""

from __future__ import annotations

import gzip
import json
import os
import sys
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Callable, List, Optional, Set, TypeVar

import typer

from latentvla_agent import __version__
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.outlines import OutlineStore
from latentvla_agent.data.roots import DataRoots, default_split, find_roots
from latentvla_agent.data.scene_loader import SceneIndex, index_scenes
from latentvla_agent.data.splits import Split, resolve_split
from latentvla_agent.errors import ConfigError, LatentVLAError
from latentvla_agent.evaluation.agents import build_agent, find_agents
from latentvla_agent.evaluation.benchmark import Bench, format_rows, run_benchmark
from latentvla_agent.evaluation.benchmark_sides import DevkitCommand, find_devkits
from latentvla_agent.evaluation.devkit_scoring import score_from_devkit_caches
from latentvla_agent.evaluation.doctor import Patient, examine, is_healthy
from latentvla_agent.evaluation.doctor_devkit import find_config_folders
from latentvla_agent.evaluation.file_scoring import check_tokens, score_entries
from latentvla_agent.evaluation.folders import make_folder, prepare_file, write_output
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.provenance import count_cores, hash_mapping
from latentvla_agent.evaluation.ray_workers import start_ray
from latentvla_agent.evaluation.results import format_table
from latentvla_agent.evaluation.run import EXECUTORS, Run, chunk_refs, describe_losses, evaluate, is_complete
from latentvla_agent.evaluation.stages import CacheHandler, ScoreItem, StageSetup
from latentvla_agent.evaluation.trajectory_file import read_trajectories
from latentvla_agent.evaluation.workers import run_in_workers
from latentvla_agent.scoring.metric_cache import VERSION as CACHE_VERSION
from latentvla_agent.scoring.versions import METRICS, find_metric
from latentvla_agent.scoring.warm_up import compile_kernels

DEFAULT_AGENTS = ("human", "pdm_closed", "constant_velocity", "stop")
DEFAULT_METRIC = "pdms-v1.1"
SCORERS = ("auto", "embedded", "official")
EXIT_INCOMPLETE, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130
TIME_LIMIT_S = 120.0

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="LatentVLA-Agent: evaluate driving agents on NAVSIM logs with an exact embedded PDM scorer.",
)

Data = Annotated[Optional[Path], typer.Option("--data", help="Folder with navsim_logs/, maps/ and sensor_blobs/.")]
Maps = Annotated[Optional[Path], typer.Option("--maps", help="nuPlan maps folder, if not DATA/maps.")]
SplitName = Annotated[
    Optional[str], typer.Option("--split", help="YAML file, NAVSIM split, or folder of navsim_logs/.")
]
Metric = Annotated[str, typer.Option("--metric", help=f"One of: {', '.join(METRICS)}.")]
ScorerName = Annotated[str, typer.Option("--scorer", help=f"One of: {', '.join(SCORERS)}.")]
Workers = Annotated[Optional[int], typer.Option("--workers", min=1, help="Processes; default: one per core.")]
Cache = Annotated[Optional[Path], typer.Option("--cache", help="Folder of metric caches; default: the user's cache.")]
FrameInterval = Annotated[Optional[int], typer.Option("--frame-interval", min=1, help="Frames between two scenes.")]
MaxScenes = Annotated[Optional[int], typer.Option("--max-scenes", min=1, help="Stop after so many scenes.")]
SkipBadLogs = Annotated[bool, typer.Option("--skip-bad-logs", help="List unreadable logs instead of stopping.")]
Executor = Annotated[str, typer.Option("--executor", help="Workers: processes, or ray (RAY_ADDRESS, else local).")]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds that one scene may take.")]

Command = TypeVar("Command", bound=Callable[..., None])


def report_errors(command: Command) -> Command:
    """Turn errors that the user can mend into one line and an exit status."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except LatentVLAError as error:
            print(f"latentvla: error: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(EXIT_ERROR) from None
        except BrokenPipeError:  # whoever read the output has left, as `head` does: nobody to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_INCOMPLETE) from None
        except KeyboardInterrupt:
            print("latentvla: interrupted; the same command goes on where this one stopped", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return run  # type: ignore[return-value]


@app.command("eval")
@report_errors
def eval_command(
    agent: Annotated[
        Optional[List[str]], typer.Option("--agent", help="Agent by name or YAML file; repeat it.")
    ] = None,
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    scorer: ScorerName = "auto",
    workers: Workers = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="Results folder; default: runs/<split>-<hash>.")] = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    max_scenes: MaxScenes = None,
    skip_bad_logs: SkipBadLogs = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
    executor: Executor = "processes",
) -> None:
    """Evaluate agents: every scene of a split, one table, exit status 0 only if all scenes were scored.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Examples:
      latentvla eval                                    four baselines on the embedded logs
      latentvla eval --data /data/openscene --split navtest --agent constant_velocity --workers 32
      latentvla eval --data ../shared/data/real/dev --split dev --agent human --agent stop --out runs/real
    """
    check_scorer(scorer)
    check_executor(executor)
    chosen_metric = find_metric(metric)
    specs = find_agents(agent or DEFAULT_AGENTS)
    for spec in specs:
        build_agent(spec)
    roots = find_roots(data, maps)
    chosen = find_split(split, roots, frame_interval, max_scenes)
    outlines = OutlineStore(find_cache(cache).parent / "log-outlines")
    index = open_index(chosen, roots, outlines, skip_bad_logs=skip_bad_logs)
    run = Run(
        agents=specs,
        split=chosen,
        index=index,
        roots=roots,
        out=out or Path("runs"),
        cache_folder=find_cache(cache),
        metric=chosen_metric,
        scorer="embedded",
        workers=workers or count_cores(),
        time_limit=time_limit,
        executor=executor,
    )
    if out is None:
        run = replace(run, out=run.out / f"{chosen.name}-{hash_mapping(run.identity())[:8]}")
    make_folder(run.cache_folder)
    outlines.save()
    compile_kernels()
    summary = evaluate(run)
    print(format_table(summary["agents"], chosen_metric))
    print(f"{metric}, {run.scorer} scorer, split {chosen.name}, {len(index.refs)} scenes -> {run.out}")
    if not is_complete(summary):
        print(f"latentvla: incomplete: {describe_losses(summary)}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command("cache")
@report_errors
def cache_command(
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    workers: Workers = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    max_scenes: MaxScenes = None,
    skip_bad_logs: SkipBadLogs = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
) -> None:
    """Build the metric caches of a split ahead of time; what is there and fits the logs is kept.

    A cache serves every metric; --metric is checked, and makes no difference.

    \b
    Example:
      latentvla cache --data /data/openscene --split navtest --cache /fast/disk --workers 32
    """
    find_metric(metric)
    roots = find_roots(data, maps)
    chosen = find_split(split, roots, frame_interval, max_scenes)
    outlines = OutlineStore(find_cache(cache).parent / "log-outlines")
    index = open_index(chosen, roots, outlines, skip_bad_logs=skip_bad_logs)
    folder = make_folder(find_cache(cache))
    outlines.save()
    compile_kernels()
    factory = partial(CacheHandler, StageSetup(roots, index.scene_filter, folder))
    count = workers or count_cores()
    chunks = [[ScoreItem(ref) for ref in chunk] for chunk in chunk_refs(index.refs, count)]
    failures = []
    with StageProgress("cache", len(index.refs), 0) as progress:
        for outcome in run_in_workers(chunks, factory, count, time_limit):
            failures += [f"{outcome.item.ref.token}: {outcome.error}"] if outcome.error else []
            progress.advance(failed=bool(outcome.error))
    print(f"{len(index.refs) - len(failures)} of {len(index.refs)} metric caches in {folder}")
    for failure in failures:
        print(f"latentvla: failed: {failure}", file=sys.stderr)
    if failures or index.bad_logs:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command("score")
@report_errors
def score_command(
    trajectories: Annotated[Path, typer.Option("--trajectories", help="JSON list of {token, name, poses, sampling?}.")],
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    scorer: ScorerName = "auto",
    workers: Workers = None,
    out: Annotated[
        Optional[Path], typer.Option("--out", help="Result file .json or .json.gz; default: stdout.")
    ] = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    time_limit: TimeLimit = TIME_LIMIT_S,
    human_filter: Annotated[bool, typer.Option(help="EPDMS: excuse what the human fails at, too.")] = True,
    metric_cache: Annotated[
        Optional[Path], typer.Option("--metric-cache", help="Caches by the devkit, in place of logs and maps.")
    ] = None,
) -> None:
    """Score trajectories from a file. Poses are x, y [m], heading [rad] in the ego frame, the first after one interval.

    \b
    Examples:
      latentvla score --data ../shared/data/real/dev --split dev --trajectories plans.json.gz --out scores.json
      latentvla score --metric-cache /data/exp/metric_cache --metric epdms-v2.2 --trajectories plans.json.gz
    """
    check_scorer(scorer)
    chosen_metric = find_metric(metric)
    entries = read_trajectories(trajectories)
    if metric_cache is not None:
        if any(option is not None for option in (data, maps, split, cache, frame_interval)):
            raise ConfigError("--metric-cache takes the place of --data, --maps, --split, --frame-interval and --cache")
        if out is not None:
            prepare_file(out)
        compile_kernels()
        rows = score_from_devkit_caches(
            entries, metric_cache, trajectories, workers or count_cores(), time_limit, chosen_metric, human_filter
        )
    else:
        roots = find_roots(data, maps)
        chosen = find_split(split, roots, frame_interval, None)
        outlines = OutlineStore(find_cache(cache).parent / "log-outlines")
        index = open_index(chosen, roots, outlines, tokens={entry.token for entry in entries})
        check_tokens(entries, index, trajectories, chosen.name)
        if out is not None:
            prepare_file(out)
        folder = make_folder(find_cache(cache))
        outlines.save()
        compile_kernels()
        rows = score_entries(
            entries, index, roots, folder, workers or count_cores(), time_limit, chosen_metric, human_filter
        )
    text = json.dumps(rows, indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        content = text.encode()
        write_output(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
        print(f"{len(rows)} rows ({metric}, embedded scorer) -> {out}", file=sys.stderr)
    failed = [row for row in rows if not row["valid"]]
    if failed:
        print(f"latentvla: {len(failed)} trajectories could not be scored: {failed[0]['error']}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command("doctor")
@report_errors
def doctor_command(data: Data = None, maps: Maps = None, split: SplitName = None, cache: Cache = None) -> None:
    """Check numerics, devkit, data roots, maps, and whether a split, its logs and metric caches belong together.

    One line per check: ok, warning, or fault with the mend. Exit status 1 only where there is a fault.

    \b
    Examples:
      latentvla doctor
      latentvla doctor --data /data/openscene --split navtest --cache /fast/disk
    """
    findings = []
    for finding in examine(Patient(data, maps, split, find_cache(cache))):
        print(finding, flush=True)
        findings.append(finding)
    if not is_healthy(findings):
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command("bench")
@report_errors
def bench_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for bench.json and bench.svg.")],
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    trajectories: Annotated[
        Optional[Path], typer.Option("--trajectories", help="Vocabulary .npy (V, T, 3) of 4 s; default: varied humans.")
    ] = None,
    devkit_python: Annotated[
        Optional[Path], typer.Option("--devkit-python", help="Interpreter that can run the devkit.")
    ] = None,
    devkit_root: Annotated[
        Optional[List[Path]], typer.Option("--devkit-root", help="Folder that holds its navsim/; repeat it for v1, v2.")
    ] = None,
    nuplan_root: Annotated[Optional[Path], typer.Option("--nuplan-root", help="Folder that holds nuplan/.")] = None,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="Scenes that are measured.")] = 8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times that each is measured.")] = 2,
) -> None:
    """Measure caching, loading and scoring on one core; where a devkit is named, the same by it, in turns.

    \b
    Examples:
      latentvla bench --out runs/bench
      latentvla bench --out runs/bench --devkit-python /envs/navsim/bin/python \\
        --devkit-root /code/navsim-v1.1 --devkit-root /code/navsim --nuplan-root /code/nuplan-devkit
    """
    roots = find_roots(data, maps)
    chosen = find_split(split, roots, None, None)
    devkits: List[DevkitCommand] = []
    if devkit_python is not None:
        devkits = find_devkits(devkit_python, devkit_root or [], nuplan_root)
    bench = Bench(
        roots=roots,
        split=chosen,
        index=index_scenes(chosen, progress=sys.stderr.isatty()),
        out=out,
        devkits=tuple(devkits),
        vocabulary=trajectories,
        num_scenes=scenes,
        rounds=rounds,
    )
    print(format_rows(run_benchmark(bench)))
    print(f"split {chosen.name} -> {out / 'bench.json'}, {out / 'bench.svg'}")


@app.callback(invoke_without_command=True)
def show_version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options before any command."""
    if version:
        print(f"latentvla-agent {__version__}")
        raise typer.Exit()


def check_scorer(scorer: str) -> None:
    """Raise `ConfigError` for a scorer that is not there."""
    if scorer not in SCORERS:
        raise ConfigError(f"unknown scorer {scorer!r}; there are: {', '.join(SCORERS)}")
    if scorer == "official":
        raise ConfigError("the official scorer is not connected yet; use --scorer embedded, which equals it")


def check_executor(executor: str) -> None:
    """Raise `ConfigError` for an executor that is not there or not installed."""
    if executor not in EXECUTORS:
        raise ConfigError(f"unknown executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if executor == "ray":
        start_ray()


def find_split(
    name: Optional[str], roots: DataRoots, frame_interval: Optional[int], max_scenes: Optional[int]
) -> Split:
    """The split of that name, printed with what it resolves to."""
    split = resolve_split(
        name or default_split(roots),
        roots,
        frame_interval=frame_interval,
        max_scenes=max_scenes,
        devkit_config_dirs=find_config_folders(),
    )
    window = split.scene_filter
    print(
        f"split {split.name}: {split.source}; history {window.num_history_frames}, future {window.num_future_frames}, "
        f"interval {window.interval}, has_route {str(window.has_route).lower()}, max_scenes {window.max_scenes}",
        file=sys.stderr,
    )
    return split


def open_index(
    split: Split,
    roots: DataRoots,
    outlines: OutlineStore,
    tokens: Optional[Set[str]] = None,
    skip_bad_logs: bool = False,
) -> SceneIndex:
    """Scenes of the split, after every log and every map that they need was opened once."""
    progress = sys.stderr.isatty()
    index = index_scenes(split, tokens=tokens, skip_bad_logs=skip_bad_logs, progress=progress, outlines=outlines)
    for _, reason in index.bad_logs:
        print(f"latentvla: skipped bad log: {reason}", file=sys.stderr)
    maps = MapStore(roots.maps)
    for location in sorted({ref.map_name for ref in index.refs}):
        maps.load(location).read_all_layers()
    return index


def find_cache(folder: Optional[Path]) -> Path:
    """Folder of metric caches: the one named, or the user's cache folder."""
    base = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latentvla"
    return base / f"metric-caches-{CACHE_VERSION}"


def main() -> None:
    """Entry point."""
    app()
