"""Pictures made smaller, and brought into the order of torch: channels first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.sensor_files import Image, import_pillow

Planes = npt.NDArray[np.uint8]  # (3, H, W), red, green, blue


def average_into(out: Planes, picture: Image) -> None:
    """Write `picture` (H, W, 3) into `out` (3, h, w), each cell the mean of the pixels that it covers.

    Sizes that are no multiples: the whole parts of their ratio by means of blocks, the rest bilinear.
    """
    height, width = out.shape[1:]
    if picture.shape[:2] != (height, width):
        pillow = import_pillow()
        whole = pillow.fromarray(np.ascontiguousarray(picture))
        picture = np.asarray(whole.resize((width, height), pillow.BILINEAR, reducing_gap=1.0))
    out[:] = picture.transpose(2, 0, 1)


def sample_into(out: Planes, picture: Image) -> None:
    """Write `picture` (H, W, 3) into `out` (3, h, w) by what lies at the middle of each cell.

    Equal to OpenCV's bilinear `resize` where the size is a multiple: the middle pixel, or the mean of the middle four,
    halves rounded up. Other sizes: `average_into`.
    """
    factor, rest = divmod(picture.shape[0], out.shape[1])
    if rest or picture.shape[1] != factor * out.shape[2] or factor == 0:
        average_into(out, picture)
    elif factor % 2:
        out[:] = picture[factor // 2 :: factor, factor // 2 :: factor].transpose(2, 0, 1)
    else:
        first, second = (slice(start, None, factor) for start in (factor // 2 - 1, factor // 2))
        for plane, channel in zip(out, (picture[..., index] for index in range(3))):
            total = channel[first, first].astype(np.uint16)
            for rows, columns in ((first, second), (second, first), (second, second)):
                total += channel[rows, columns]
            total += 2
            total >>= 2
            plane[:] = total
