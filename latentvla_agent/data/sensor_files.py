"""Pictures (JPEG) and merged point clouds (PCD) of OpenScene, read as the devkit reads them, and written."""

from __future__ import annotations

import io
import math
from enum import IntEnum
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.checks import find_path_problem
from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import DataError

Image = npt.NDArray[np.uint8]  # (H, W, 3), red, green, blue
PointCloud = npt.NDArray[np.float32]  # (6, N), rows: `LidarIndex`

JPEG_QUALITY = 92
FULL_COLOUR = 0  # chroma at full resolution: the light of a distant signal is a few pixels wide
MAX_PIXELS = 64_000_000
MAX_HEADER_BYTES = 4096
MAX_FIELDS = 32


class LidarIndex(IntEnum):
    """Rows of a merged point cloud: position [m] in the ego frame, intensity 0 to 255, ring, number of the lidar."""

    X = 0
    Y = 1
    Z = 2
    INTENSITY = 3
    RING = 4
    LIDAR = 5


FIELDS = ("x", "y", "z", "intensity", "ring", "lidar_info")  # of a file, in the order of `LidarIndex`
_WRITTEN = np.dtype({"names": FIELDS, "formats": ["<f4"] * 3 + ["u1"] * 3})
_KINDS = {"F": ("f", (2, 4, 8)), "U": ("u", (1, 2, 4, 8)), "I": ("i", (1, 2, 4, 8))}


def locate(root: Path, relative: object) -> Path:
    """The file at a log's path below the folder of sensor files; raises `DataError` for a path that leaves it."""
    problem = find_path_problem(relative)
    if problem is not None:
        raise DataError(f"{root}: {problem}")
    return root / str(relative)


def import_pillow() -> Any:
    """The module `PIL.Image`; raises `DataError` naming the extra where it is missing."""
    try:
        import PIL.Image
    except ImportError as error:
        raise DataError('pictures need Pillow: pip install "latentvla-agent[models]" or "[world]"') from error
    return PIL.Image


def read_image(path: Path) -> Image:
    """A picture (H, W, 3); raises `DataError` where it is missing, broken or larger than anything a camera takes."""
    return read_reduced_image(path, None)[0]


def read_reduced_image(path: Path, size: Optional[Tuple[int, int]]) -> Tuple[Image, int]:
    """As `read_image`, but a JPEG is decoded at a half, a quarter or an eighth: (pixels, 2, 4 or 8; 1 for the whole).

    The smallest that has at least `size` (width, height) [px]; None for the whole. Several times faster, and each pixel
    is nearly the mean of those it stands for.
    """
    pillow, content = import_pillow(), _read(path, "a picture")
    try:
        with pillow.open(io.BytesIO(content), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"{path}: expected at most {MAX_PIXELS} pixels, got {picture.size}")
            full_width = picture.width
            draft = None if size is None else picture.draft(picture.mode, size)  # None for a PNG, too
            scale = 1 if draft is None else int(round(full_width / draft[1][2]))
            pixels = _decode_fast(content) if scale == 1 and picture.format == "JPEG" else None
            if pixels is None:
                pixels = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # a broken picture can raise nearly anything
        raise DataError(f"{path}: not a readable picture ({type(error).__name__}: {error})") from error
    return pixels, scale


def _decode_fast(content: bytes) -> Optional[Image]:
    """The pixels of a JPEG as Pillow gives them, in a third of the time: Pillow makes three copies on the way to numpy.

    None where simplejpeg is missing, or refuses; Pillow then says why.
    """
    try:
        import simplejpeg
    except ImportError:
        return None
    try:
        pixels: Image = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError:
        return None
    return pixels


def encode_image(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG of a picture (H, W, 3) uint8: the same bytes for the same pixels and version of Pillow."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"expected a picture (H, W, 3) of uint8, got {image.shape} of {image.dtype}")
    file = io.BytesIO()
    import_pillow().fromarray(np.ascontiguousarray(image)).save(
        file, "JPEG", quality=quality, subsampling=FULL_COLOUR, optimize=False
    )
    return file.getvalue()


def write_image(path: Path, image: Image, quality: int = JPEG_QUALITY, durable: bool = False) -> None:
    """Write a JPEG whole or not at all; raises `DataError` for anything but (H, W, 3) uint8."""
    write_atomically(path, encode_image(image, quality), durable)


def read_lidar(path: Path) -> PointCloud:
    """Points (6, N), rows: `LidarIndex`; raises `DataError` naming what is missing or wrong in the file."""
    content = _read(path, "a point cloud")
    try:
        count, dtype, start = _read_header(content)
        if count * dtype.itemsize > len(content) - start:  # more may follow: real files are padded
            raise ValueError(f"expected {count} points of {dtype.itemsize} bytes, got {len(content) - start} bytes")
        table = np.frombuffer(content, dtype, count, start)
        return np.array([table[name].astype(np.float32) for name in FIELDS])
    except ValueError as error:
        raise DataError(f"{path}: not a readable point cloud ({error})") from error


def _read_header(content: bytes) -> Tuple[int, np.dtype[Any], int]:
    """Number of points, type of one, and where they begin; raises `ValueError`."""
    header: Dict[str, List[str]] = {}
    start = 0
    while "DATA" not in header:
        end = content.find(b"\n", start, MAX_HEADER_BYTES)
        if end < 0:
            raise ValueError("expected a PCD header that ends with DATA")
        key, *values = content[start:end].decode("ascii").split() or ["#"]
        if not key.startswith("#"):
            header[key.upper()] = values
        start = end + 1
    missing = [key for key in ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "POINTS") if key not in header]
    if missing:
        raise ValueError(f"the header lacks {', '.join(missing)}")
    if header["DATA"] != ["binary"]:
        raise ValueError(f"expected DATA binary, got {' '.join(header['DATA'])[:80]}")
    count, *sides = (_read_number(header[key]) for key in ("POINTS", "WIDTH", "HEIGHT"))
    if count != math.prod(sides):
        raise ValueError(f"expected POINTS = WIDTH * HEIGHT, got {count} and {sides}")
    return count, _read_dtype(header), start


def _read_number(values: List[str]) -> int:
    if len(values) != 1 or not values[0].isdigit() or len(values[0]) > 12:
        raise ValueError(f"expected a whole number, got {' '.join(values)[:80]!r}")
    return int(values[0])


def _read_dtype(header: Dict[str, List[str]]) -> np.dtype[Any]:
    names, sizes, kinds = header["FIELDS"], header["SIZE"], header["TYPE"]
    counts = header.get("COUNT", ["1"] * len(names))
    if not len(names) == len(sizes) == len(kinds) == len(counts) <= MAX_FIELDS or len(set(names)) != len(names):
        raise ValueError(f"expected one SIZE, TYPE and COUNT for each of different FIELDS, got {names}"[:200])
    missing = [name for name in FIELDS if name not in names]
    if missing or any(count != "1" for count in counts):
        raise ValueError(f"expected the fields {', '.join(FIELDS)}, each of COUNT 1, got {', '.join(names)}"[:200])
    return np.dtype({"names": names, "formats": [_read_format(*pair) for pair in zip(kinds, sizes)]})


def _read_format(kind: str, size: str) -> str:
    code, sizes = _KINDS.get(kind, ("", ()))
    if not size.isdigit() or int(size[:4]) not in sizes:
        raise ValueError(f"expected numbers of 1 to 8 bytes, got TYPE {kind[:8]} of SIZE {size[:8]}")
    return f"<{code}{int(size)}"


def encode_lidar(points: PointCloud) -> bytes:
    """PCD of points (6, N), rows: `LidarIndex`; intensity, ring and number of the lidar are whole numbers up to 255."""
    if points.ndim != 2 or len(points) != len(LidarIndex) or not np.isfinite(points).all():
        raise DataError(f"expected finite points of shape ({len(LidarIndex)}, N), got {points.shape}")
    whole = points[LidarIndex.INTENSITY :]
    if np.any((whole < 0) | (whole > 255) | (whole != np.round(whole))):
        raise DataError("expected intensity, ring and number of the lidar among 0, 1 … 255, got others")
    table = np.empty(points.shape[1], _WRITTEN)
    for name, row in zip(FIELDS, points):
        table[name] = row
    header = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n"
        f"FIELDS {' '.join(FIELDS)}\nSIZE 4 4 4 1 1 1\nTYPE F F F U U U\nCOUNT 1 1 1 1 1 1\n"
        f"WIDTH {len(table)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(table)}\nDATA binary\n"
    )
    return header.encode() + table.tobytes()


def write_lidar(path: Path, points: PointCloud, durable: bool = False) -> None:
    """Write a PCD whole or not at all; raises `DataError` for what `encode_lidar` refuses."""
    write_atomically(path, encode_lidar(points), durable)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected {what}, got: {error.strerror or error}") from error
