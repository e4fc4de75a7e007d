"""Pickles of plain containers and numpy arrays that load anywhere, always of the same bytes.

numpy 2 writes names (`numpy._core`) that numpy 1 does not know; the names written here are numpy 1's, under which
both load. Equal texts and equal arrays are stored once. So the bytes depend on the content alone: not on the version
of numpy, nor on which of the equal objects happen to be one.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, Dict, Hashable, Tuple

import numpy as np

from latentvla_agent.data.checks import describe
from latentvla_agent.errors import DataError

PROTOCOL = 4
_PLAIN = (bool, int, float, bytes, type(None))
_KINDS = "biufcSU"  # of arrays: numbers and texts; objects and dates are refused
_PythonPickler: Any = pickle._Pickler  # the stubs know it by halves


class _Name:
    """Stands for a name of numpy, whatever module it has moved to."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __call__(self) -> None:
        """Pickle wants what it writes a call of to look callable; nothing calls it."""
        raise NotImplementedError


class _Dtype:
    """A dtype, written as the call of its code; numpy's own way differs between its versions."""

    def __init__(self, code: str) -> None:
        self.code = code


_RECONSTRUCT = _Name("numpy.core.multiarray", "_reconstruct")
_DTYPE = _Name("numpy", "dtype")
_EMPTY_ARRAY = (_Name("numpy", "ndarray"), (0,), b"b")


class PortablePickler(_PythonPickler):
    """Writes arrays under numpy 1's names. In Python, because pickle in C takes names only of what it can import."""

    def __init__(self, file: Any, protocol: int = PROTOCOL) -> None:
        super().__init__(file, protocol)
        self._dtypes: Dict[str, _Dtype] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Arrays and dtypes as calls of numpy's names."""
        if isinstance(obj, np.ndarray):
            code = obj.dtype.newbyteorder("<").str
            content = obj.astype(code, order="C", copy=False).tobytes()
            return (
                _RECONSTRUCT,
                _EMPTY_ARRAY,
                (1, obj.shape, self._dtypes.setdefault(code, _Dtype(code)), False, content),
            )
        if isinstance(obj, _Dtype):
            return _DTYPE, (obj.code,)
        return NotImplemented

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Names need no object behind them."""
        if not isinstance(obj, _Name):
            super().save(obj, save_persistent_id)
        elif id(obj) in self.memo:
            self.write(self.get(self.memo[id(obj)][0]))
        else:
            super().save(obj.module)
            super().save(obj.name)
            self.write(pickle.STACK_GLOBAL)
            self.memoize(obj)


def dump_pickle(value: Any) -> bytes:
    """Pickle of plain containers, numbers, texts and arrays; numpy's scalars become Python's.

    Raises `DataError` naming the place of anything else.
    """
    file = io.BytesIO()
    PortablePickler(file).dump(_Canon().rebuild(value, ""))
    return file.getvalue()


class _Canon:
    """Rebuilds containers with equal texts and arrays shared, and nothing else."""

    def __init__(self) -> None:
        self._texts: Dict[str, str] = {}
        self._arrays: Dict[Hashable, np.ndarray[Any, Any]] = {}

    def rebuild(self, value: Any, place: str) -> Any:
        kind = type(value)
        if kind is str:
            return self._texts.setdefault(value, value)
        if kind in _PLAIN:
            return value
        if kind is dict:
            return {self._key(key, place): self.rebuild(item, f"{place}.{key}") for key, item in value.items()}
        if kind is list:
            return [self.rebuild(item, f"{place}[{index}]") for index, item in enumerate(value)]
        if kind is tuple:
            return tuple(self.rebuild(item, f"{place}[{index}]") for index, item in enumerate(value))
        if isinstance(value, np.generic):
            return self.rebuild(value.item(), place)
        if kind is np.ndarray and value.dtype.kind in _KINDS:
            return self._arrays.setdefault(_content_key(value), value)
        raise DataError(
            f"{place.lstrip('.')}: expected plain containers, numbers, texts or arrays, got {describe(value)}"
        )

    def _key(self, key: Any, place: str) -> Any:
        if type(key) not in (str, int):
            raise DataError(f"{place.lstrip('.')}: expected keys of text or whole numbers, got {describe(key)}")
        return self.rebuild(key, place)


def _content_key(array: np.ndarray[Any, Any]) -> Tuple[str, Tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()
