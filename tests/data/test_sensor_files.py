"""Pictures and point clouds: what is written is read, and broken files are named before anything is allocated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentvla_agent.data.sensor_files import (
    LidarIndex,
    _decode_fast,
    encode_image,
    encode_lidar,
    locate,
    read_image,
    read_lidar,
    read_reduced_image,
    write_image,
    write_lidar,
)
from latentvla_agent.errors import DataError
from tests.data.log_factory import SHARED_DATA

REAL = SHARED_DATA / "real" / "dev" / "sensor_blobs" / "dev"


def make_points(number: int = 100) -> Any:
    """Points with whole intensities."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-50.0, 50.0, (6, number)).astype(np.float32)
    points[LidarIndex.INTENSITY :] = rng.integers(0, 256, (3, number))
    return points


def make_picture() -> Any:
    """A smooth picture."""
    rows, columns = np.mgrid[0:27, 0:48]
    return np.stack([rows * 8, columns * 5, rows + columns], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_points_are_read_back_equal(tmp_path: Path, number: int) -> None:
    points = make_points(number)
    write_lidar(tmp_path / "log" / "x.pcd", points)
    found = read_lidar(tmp_path / "log" / "x.pcd")
    assert found.dtype == np.float32 and found.shape == (6, number) and np.array_equal(found, points)


def test_other_columns_and_padding_are_no_error(tmp_path: Path) -> None:
    header = (
        "# c\nVERSION 0.7\nFIELDS lidar_info time x y z ring intensity\nSIZE 1 8 4 4 4 2 1\nTYPE U F F F F U U\n"
        "COUNT 1 1 1 1 1 1 1\nWIDTH 1\nHEIGHT 2\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA binary\n"
    )
    row = np.dtype([("l", "u1"), ("t", "<f8"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("r", "<u2"), ("i", "u1")])
    table = np.array([(4, 9.0, 1, 2, 3, 300, 7), (5, 9.0, -1, -2, -3, 301, 8)], row)
    (tmp_path / "x.pcd").write_bytes(header.encode() + table.tobytes() + bytes(100))
    assert read_lidar(tmp_path / "x.pcd").T.tolist() == [[1, 2, 3, 7, 300, 4], [-1, -2, -3, 8, 301, 5]]


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("POINTS 100", "POINTS 101", "POINTS = WIDTH"),
        ("WIDTH 100\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 100", "WIDTH 101\nHEIGHT 1\nPOINTS 101", "101 points"),
        ("WIDTH 100\nHEIGHT 1", "WIDTH 999999999999\nHEIGHT 999999999999", "POINTS = WIDTH"),
        ("POINTS 100", "POINTS -1", "whole number"),
        ("POINTS 100", "POINTS " + "9" * 1000, "whole number"),
        ("POINTS 100\n", "", "lacks POINTS"),
        ("DATA binary", "DATA binary_compressed", "expected DATA binary"),
        ("DATA binary", "DATAbinary", "(ends with DATA|ascii)"),
        ("lidar_info", "lidar", "expected the fields"),
        ("lidar_info", "ring", "different FIELDS"),
        ("SIZE 4 4 4 1 1 1", "SIZE 4 4 4 1 1", "one SIZE"),
        ("SIZE 4 4 4 1 1 1", "SIZE 4 4 4 1 1 99999999999", "of SIZE"),
        ("TYPE F F F U U U", "TYPE F F F U U O", "TYPE O"),
        ("COUNT 1 1 1 1 1 1", "COUNT 1 1 1 1 1 1000000000", "of COUNT 1"),
        ("VERSION 0.7", "VERSION " + "7" * 5000, "ends with DATA"),
        ("VERSION 0.7", "VERSION \u20ac", "ascii"),
    ],
)
def test_hostile_headers_are_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    content = encode_lidar(make_points())
    assert old.encode() in content
    (tmp_path / "x.pcd").write_bytes(content.replace(old.encode(), new.encode(), 1))
    with pytest.raises(DataError, match=f"x.pcd: not a readable point cloud .*{reason}"):
        read_lidar(tmp_path / "x.pcd")


@pytest.mark.parametrize("length", [0, 10, 150, 400])
def test_truncated_files_are_named(tmp_path: Path, length: int) -> None:
    (tmp_path / "x.pcd").write_bytes(encode_lidar(make_points())[:length])
    (tmp_path / "x.jpg").write_bytes(encode_image(make_picture())[:length])
    with pytest.raises(DataError, match="x.pcd: not a readable point cloud"):
        read_lidar(tmp_path / "x.pcd")
    with pytest.raises(DataError, match="x.jpg: not a readable picture"):
        read_image(tmp_path / "x.jpg")


def test_points_that_do_not_fit_the_format_are_refused(tmp_path: Path) -> None:
    for row, value in ((0, np.nan), (3, 256.0), (4, -1.0), (5, 0.5)):
        points = make_points()
        points[row, 3] = value
        with pytest.raises(DataError, match="expected"):
            write_lidar(tmp_path / "x.pcd", points)
    with pytest.raises(DataError, match="shape"):
        write_lidar(tmp_path / "x.pcd", make_points().T)
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_read_back_nearly_equal(tmp_path: Path) -> None:
    picture = make_picture()
    write_image(tmp_path / "log" / "x.jpg", picture)
    found = read_image(tmp_path / "log" / "x.jpg")
    assert found.shape == (27, 48, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - picture).mean() < 2.0
    assert encode_image(picture) == encode_image(picture.copy()) == (tmp_path / "log" / "x.jpg").read_bytes()
    for wrong in (picture.astype(float), picture[..., 0]):
        with pytest.raises(DataError, match="expected a picture"):
            write_image(tmp_path / "y.jpg", wrong)


def test_a_reduced_picture_is_the_mean_of_blocks(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    smooth = np.add.outer(np.arange(64), 2 * np.arange(96))[..., None].repeat(3, axis=2).astype(np.uint8) // 2
    write_image(tmp_path / "x.jpg", smooth, quality=100)
    for size, scale in ((None, 1), ((96, 64), 1), ((48, 32), 2), ((47, 33), 1), ((24, 16), 4), ((1, 1), 8)):
        found, got = read_reduced_image(tmp_path / "x.jpg", size)
        means = smooth.reshape(64 // scale, scale, 96 // scale, scale, 3).mean(axis=(1, 3))
        assert got == scale and np.abs(found - means).max() <= 2.0
    image.fromarray(smooth).save(tmp_path / "x.png")
    assert read_reduced_image(tmp_path / "x.png", (1, 1))[1] == 1
    image.fromarray(smooth[..., 0]).save(tmp_path / "grey.jpg")
    assert read_reduced_image(tmp_path / "grey.jpg", (48, 32))[0].shape == (32, 48, 3)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_the_faster_decoder_gives_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subsampling: int
) -> None:
    image, _ = pytest.importorskip("PIL.Image"), pytest.importorskip("simplejpeg")
    noise = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    picture = image.fromarray(noise).resize((333, 187), image.BICUBIC)
    picture.save(tmp_path / "x.jpg", quality=90, subsampling=subsampling)
    picture.convert("L").save(tmp_path / "grey.jpg")
    content = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:-100])
    fast = [read_image(tmp_path / name) for name in ("x.jpg", "grey.jpg")]
    assert _decode_fast(content) is not None
    with pytest.raises(DataError, match="cut.jpg: not a readable picture"):
        read_image(tmp_path / "cut.jpg")
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert _decode_fast(content) is None
    for found, name in zip(fast, ("x.jpg", "grey.jpg")):
        assert found.flags.c_contiguous and found.flags.writeable
        assert np.array_equal(found, read_image(tmp_path / name))


def test_grey_pictures_have_three_channels(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(make_picture()[..., 0]).save(tmp_path / "x.jpg")
    assert read_image(tmp_path / "x.jpg").shape == (27, 48, 3)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    content = bytearray(encode_image(make_picture()))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(DataError, match="x.jpg: "):
        read_image(tmp_path / "x.jpg")


def test_missing_files_and_a_missing_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="x.jpg: expected a picture, got: No such file"):
        read_image(tmp_path / "x.jpg")
    with pytest.raises(DataError, match="x.pcd: expected a point cloud, got: No such file"):
        read_lidar(tmp_path / "x.pcd")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(DataError, match=r'pip install "latentvla-agent\[models\]"'):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.jpg", "a/../../x.jpg", "a\\b.jpg", "c:x.jpg", "", ".", "a\0", None, 7]
)
def test_paths_stay_in_their_folder(tmp_path: Path, path: object) -> None:
    with pytest.raises(DataError, match="expected a path"):
        locate(tmp_path, path)


def test_a_path_of_a_log(tmp_path: Path) -> None:
    assert locate(tmp_path, "log/CAM_F0/x.jpg") == tmp_path / "log" / "CAM_F0" / "x.jpg"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is absent")
def test_the_real_frame() -> None:
    (cloud,) = REAL.glob("*/MergedPointCloud/*.pcd")
    points = read_lidar(cloud)
    assert points.shape == (6, 34688) and np.isfinite(points).all()
    body = cloud.read_bytes().partition(b"DATA binary\n")[2]
    assert encode_lidar(points).partition(b"DATA binary\n")[2] == body[: 34688 * 15]
    for path in REAL.glob("*/CAM_*/*.jpg"):
        assert read_image(path).shape == (900, 1600, 3)
