"""Metric caches of the devkit: the same scores as from our own, and nothing in them is executed."""

from __future__ import annotations

import lzma
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.pickles import Record
from latentvla_agent.data.scene import TrajectorySampling
from latentvla_agent.errors import DataError, UnsafePickleError
from latentvla_agent.scoring.devkit_cache import find_devkit_caches, read_devkit_cache, read_devkit_identity
from latentvla_agent.scoring.devkit_pickles import STAND_INS
from latentvla_agent.scoring.devkit_tracks import _poses_of_outlines
from latentvla_agent.scoring.metric_cache import MetricCache, read_metric_cache, write_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.state import box_corners
from tests.scoring.golden import GOLDEN, Case, Comparison

CACHES = GOLDEN / "devkit_caches"
VERSIONS = ("v1.1", "v2.2")
METRIC_OF = {"v1.1": "pdms-v1.1", "v2.2": "epdms-v2.2"}
TOKENS = ("63f9a7c95e8529c2", "cda81d1f8f086f50", "c4e35d9c0a84ec7d")
EARLIER, LATER = TOKENS[1], TOKENS[0]


def fixture_path(version: str, token: str = LATER) -> Path:
    """The shipped cache of a scene."""
    return find_devkit_caches(CACHES / version)[token]


@pytest.fixture(scope="module")
def read_caches() -> Dict[str, Dict[str, MetricCache]]:
    """All shipped caches by version and token."""
    return {
        version: {token: read_devkit_cache(path) for token, path in find_devkit_caches(CACHES / version).items()}
        for version in VERSIONS
    }


# --- scores


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("version", VERSIONS)
def test_scores_equal_those_of_our_own_cache(
    version: str,
    token: str,
    read_caches: Dict[str, Dict[str, MetricCache]],
    embedded_caches: Dict[str, MetricCache],
    golden_cases: Dict[str, List[Case]],
) -> None:
    scorer = Scorer(METRIC_OF[version])
    for case in golden_cases[token]:
        poses = np.array(case["poses"])[None]
        sampling = TrajectorySampling(case["sampling"]["num_poses"], case["sampling"]["interval"])
        ours = scorer.score(embedded_caches[token], poses, sampling)
        theirs = scorer.score(read_caches[version][token], poses, sampling)
        for name, values in ours.sub_scores.items():
            np.testing.assert_allclose(theirs.sub_scores[name], values, rtol=0.0, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(theirs.score, ours.score, rtol=0.0, atol=1e-9)
        assert theirs.collision_idx == ours.collision_idx and theirs.ttc_idx == ours.ttc_idx


@pytest.mark.parametrize("version", VERSIONS)
def test_scores_equal_the_official_ones(
    version: str, read_caches: Dict[str, Dict[str, MetricCache]], golden_cases: Dict[str, List[Case]]
) -> None:
    cases = [case for token in TOKENS for case in golden_cases[token]]
    known = cases if version == "v1.1" else [case for case in cases if case["v2"]["prev_token"] in (None, *TOKENS)]
    comparison = Comparison(read_caches[version], cases)
    for case in known:
        comparison.compare_v1(case) if version == "v1.1" else comparison.compare_v2(case)
    assert len(known) >= 40 and comparison.differences == []


@pytest.mark.parametrize("version, token", [(version, token) for version in VERSIONS for token in TOKENS])
def test_content(
    version: str,
    token: str,
    read_caches: Dict[str, Dict[str, MetricCache]],
    embedded_caches: Dict[str, MetricCache],
) -> None:
    theirs, ours, i = read_caches[version][token], embedded_caches[token], VERSIONS.index(version)
    for name in ("token", "log_name", "timestamp"):
        assert getattr(theirs, name) == getattr(ours, name)
    np.testing.assert_allclose(theirs.start, ours.start, atol=1e-9)
    np.testing.assert_array_equal(theirs.centerline, ours.centerline)
    np.testing.assert_allclose(theirs.references[i], ours.references[i], atol=2e-9)
    np.testing.assert_allclose(theirs.reference_values[i], ours.reference_values[i], atol=2e-9)
    for mine, own in zip(theirs.areas, ours.areas):
        np.testing.assert_array_equal(mine, own)
    assert np.isnan(theirs.references[1 - i]).all() and np.isnan(theirs.reference_values[1 - i]).all()
    if version == "v2.2":
        assert theirs.map_name == ours.map_name
        np.testing.assert_allclose(theirs.history, ours.history, atol=1e-9)
        np.testing.assert_array_equal(theirs.human_fails, ours.human_fails)
        for mine, own in zip(theirs.lights, ours.lights):
            np.testing.assert_array_equal(mine, own)


def test_the_fixtures_hold_what_is_rare(read_caches: Dict[str, Dict[str, MetricCache]]) -> None:
    assert any(cache.lights.is_red.any() for cache in read_caches["v2.2"].values())
    for caches in read_caches.values():
        assert any(not cache.tracks.detected.all() for cache in caches.values())
        assert any(not cache.tracks.types.all() and cache.tracks.types.any() for cache in caches.values())


def test_the_other_metric_is_refused(read_caches: Dict[str, Dict[str, MetricCache]]) -> None:
    stay = np.zeros((1, 8, 3))
    with pytest.raises(DataError, match=f"scene {LATER}: .* reference plan of v1.1 only, that of v2.2 is needed"):
        Scorer("epdms-v2.2").score(read_caches["v1.1"][LATER], stay)
    with pytest.raises(DataError, match=f"scene {LATER}: .* reference plan of v2.2 only, that of v1.1 is needed"):
        Scorer("pdms-v1.1").score(read_caches["v2.2"][LATER], stay)


def test_kept_in_our_own_format(tmp_path: Path, read_caches: Dict[str, Dict[str, MetricCache]]) -> None:
    cache = read_caches["v2.2"][LATER]
    kept = read_metric_cache(write_metric_cache(cache, tmp_path))
    stay = np.zeros((1, 8, 3))
    assert Scorer("epdms-v2.2").score(kept, stay).score == Scorer("epdms-v2.2").score(cache, stay).score
    with pytest.raises(DataError, match="v2.2 only"):
        Scorer("pdms-v1.1").score(kept, stay)


def test_boxes_of_outlines() -> None:
    poses = np.array([[664000.0, 3997000.0, 0.3], [1.0, 2.0, -3.0], [5.0, 6.0, 1.5], [7.0, 8.0, 2.5], [3.0, 3.0, 0.0]])
    sizes = np.array([[4.5, 1.9], [0.4, 1.2], [0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    corners = box_corners(poses[:, :2], poses[:, 2], sizes[:, 0] / 2.0, sizes[:, 1] / 2.0)
    recovered = _poses_of_outlines(shapely.polygons(corners))
    np.testing.assert_allclose(recovered, poses, rtol=0.0, atol=2e-9)
    with pytest.raises(ValueError, match="outlines of boxes"):
        _poses_of_outlines(np.array([shapely.Point(0, 0).buffer(1.0)]))


# --- finding


def test_finding(tmp_path: Path) -> None:
    found = find_devkit_caches(CACHES / "v2.2")
    assert sorted(found) == sorted(TOKENS)
    for version in VERSIONS:
        log_name, timestamp = read_devkit_identity(fixture_path(version))
        assert log_name == fixture_path(version).parts[-4]
        assert timestamp - read_devkit_identity(fixture_path(version, EARLIER))[1] == pytest.approx(500_000, abs=20_000)
    with pytest.raises(DataError, match=f"{tmp_path}: expected metric caches of the devkit"):
        find_devkit_caches(tmp_path)
    with pytest.raises(DataError, match="is cached twice"):
        find_devkit_caches(CACHES)


# --- files that are something else


def put(folder: Path, content: bytes) -> Path:
    """A file where the devkit would put a cache."""
    path = folder / "log" / "unknown" / "token" / "metric_cache.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def unpacked(version: str) -> bytes:
    """The pickle in a fixture."""
    return lzma.decompress(fixture_path(version).read_bytes())


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    """Put a name of the same length in the place of another."""
    assert len(old) == len(new)
    return lambda content: content.replace(old.encode(), new.encode())


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "content, name",
    [
        (pickle.dumps(_Call(print, "executed")), "builtins.print"),
        (pickle.dumps(_Call(Path.unlink, Path("x"))), "pathlib.Path.unlink"),
        (pickle.dumps(_Call(shapely.from_wkt, "POINT (0 0)")), "shapely.io.from_wkt"),
        (b"\x80\x04\x8c\x0bshapely.lib\x8c\x08from_wkb\x93.", "shapely.lib.from_wkb"),
        (b"cnavsim.common.dataclasses\nScene\n.", "navsim.common.dataclasses.Scene"),
        (b"\x80\x04\x8c\x07pathlib\x8c\x10PosixPath.unlink\x93.", "pathlib.PosixPath.unlink"),
        (b"\x80\x04\x8c\x0ashapely.io\x8c\x11from_wkb.__call__\x93.", "shapely.io.from_wkb.__call__"),
    ],
)
def test_foreign_names(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, name: str) -> None:
    path = put(tmp_path, lzma.compress(content))
    with pytest.raises(UnsafePickleError) as caught:
        read_devkit_cache(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and name in message and "\n" not in message
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_foreign_class_in_a_real_cache(tmp_path: Path, version: str) -> None:
    content = replaced("PDMObservation", "PDMObservatory")(unpacked(version))
    path = put(tmp_path, lzma.compress(content))
    with pytest.raises(UnsafePickleError, match=r"pdm_observation\.PDMObservatory; nothing was executed"):
        read_devkit_cache(path)


@pytest.mark.parametrize(
    "version, old, new",
    [
        ("v1.1", "_unique_objects", "_unique_objectz"),
        ("v1.1", "_rear_axle_velocity_2d", "_rear_axle_velocity_2e"),
        ("v1.1", "_occupancy_maps", "_occupancy_mops"),
        ("v2.2", "drivable_area_map", "drivable_area_mop"),
        ("v2.2", "_detections_tracks", "_detections_trucks"),
        ("v2.2", "_occupancy_maps_tl", "_occupancy_maps_tt"),
        ("v2.2", "human_trajectory", "humus_trajectory"),
    ],
)
def test_missing_attributes(tmp_path: Path, version: str, old: str, new: str) -> None:
    content = unpacked(version)
    assert old.encode() in content
    path = put(tmp_path, lzma.compress(replaced(old, new)(content)))
    with pytest.raises(DataError, match=r"not a whole metric cache of the devkit \(.*") as caught:
        read_devkit_cache(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "truncated"),
        (b"nothing", "an lzma file"),
        (pickle.dumps({}), "an lzma file"),
        (lzma.compress(pickle.dumps({"token": 1})), "expected a MetricCache of the devkit, got dict"),
        (lzma.compress(b"\x80\x04]"), "not a readable pickle"),
        (lzma.compress(b"cpathlib\nPosixPath\n)R."), "expected a MetricCache of the devkit, got PosixPath"),
        (lzma.compress(b"cnavsim.planning.metric_caching.metric_cache\nMetricCache\n)R."), "MetricCache has no"),
        (lzma.compress(b"cnavsim.planning.metric_caching.metric_cache\nMetricCache\n."), "got type"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, reason: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_devkit_cache(path)
    assert str(caught.value).startswith(f"{path}: ") and reason in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="metric_cache.pkl: expected a readable file"):
        read_devkit_cache(tmp_path / "metric_cache.pkl")


@pytest.mark.parametrize("version", VERSIONS)
def test_truncated_files(tmp_path: Path, version: str) -> None:
    whole = fixture_path(version).read_bytes()
    for length in np.linspace(1, len(whole) - 1, 12).astype(int):
        with pytest.raises(DataError):
            read_devkit_cache(put(tmp_path, whole[:length]))
    content = unpacked(version)
    for length in np.linspace(1, len(content) - 1, 12).astype(int):
        with pytest.raises(DataError):
            read_devkit_cache(put(tmp_path, lzma.compress(content[:length])))


@pytest.mark.parametrize("version", VERSIONS)
def test_flipped_bytes_never_crash(tmp_path: Path, version: str) -> None:
    content, random = unpacked(version), np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(content)
        for place in random.integers(0, len(content), 3):
            broken[place] = random.integers(0, 256)
        try:
            read_devkit_cache(put(tmp_path, lzma.compress(bytes(broken), preset=0)))
        except DataError:
            pass


def test_more_bytes_than_any_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentvla_agent.scoring.devkit_pickles.MAX_BYTES", 1000)
    with pytest.raises(DataError, match="got more than 1000 bytes"):
        read_devkit_cache(put(tmp_path, lzma.compress(bytes(100_000))))


def test_stand_ins_are_inert() -> None:
    for (_, name), stand_in in STAND_INS.items():
        assert issubclass(stand_in, Record) and stand_in.__name__ == name
        record = stand_in(1, 2)
        record.__setstate__((None, {"x": 3}))
        assert record.argument(1) == 2 and record.attribute("x") == 3 and "y" not in record
        assert not hasattr(record, "__dict__")


def test_neither_navsim_nor_nuplan_is_imported() -> None:
    paths = [str(fixture_path(version)) for version in VERSIONS]
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from latentvla_agent.scoring.devkit_cache import read_devkit_cache\n"
        f"for path in {paths!r}:\n    read_devkit_cache(Path(path))\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('navsim', 'nuplan')])\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
