"""Reads pickles of plain containers and numpy arrays, and executes nothing that a file asks for.

An allow-list of numpy's own names is not enough: the state of a `numpy.dtype` may declare that raw bytes are object
pointers, and reading such an array crashes or worse. So numpy's names stand for small builders here, which check what
they are given and make the array of its bytes. No unpickling code of numpy runs, nothing is imported by name, and
files written under numpy 1 or 2 load under both.
"""

from __future__ import annotations

import copyreg
import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Type, Union

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError, UnsafePickleError

Array = npt.NDArray[Any]
Order = Literal["C", "F"]
Memo = Dict[int, Tuple[Any, Any]]  # id of a container -> (the container, kept alive; what replaces it)

_PLAIN_DTYPE = re.compile(r"[<>=|]?(\?|b1|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[SU]\d+|O8?)")
_BUILTINS = (list, dict, set, frozenset, tuple, slice, complex, bytes, bytearray)
_NO_ATTRIBUTES: Mapping[str, Any] = {}
_NDARRAY = object()  # what `numpy.ndarray` loads as: an inert mark that only `_reconstruct` takes


class Record:
    """What a class that a caller allows loads as: what it was made with and the attributes it was given.

    Nothing of the class itself runs. A subclass without a body tells the classes apart.
    """

    __slots__ = ("_arguments", "_attributes")
    _arguments: Tuple[Any, ...]
    _attributes: Mapping[str, Any]

    def __new__(cls, *arguments: Any) -> Record:
        record = object.__new__(cls)
        record._arguments, record._attributes = arguments, _NO_ATTRIBUTES
        return record

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)  # (attributes, those in slots), or one of them
        self._attributes = {name: value for part in parts if part for name, value in part.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._attributes

    def attribute(self, name: str) -> Any:
        """Raises `KeyError` where there is none."""
        return _replace_builders(self._attributes[name], {})

    def arguments(self) -> Tuple[Any, ...]:
        """All that it was made with."""
        return tuple(_replace_builders(argument, {}) for argument in self._arguments)

    def argument(self, place: int) -> Any:
        """Raises `IndexError` where there is none."""
        return _replace_builders(self._arguments[place], {})


StandIns = Mapping[Tuple[str, str], Type[Record]]  # (module, name) -> what it loads as


def read_pickle(path: Path) -> object:
    """Load one pickle of plain containers, numbers, strings and numpy arrays (no fields, no dates).

    Raises `UnsafePickleError` for any other name that the file asks for, `DataError` for a missing or broken file.
    """
    return load_pickle(path, read_content(path))


def read_content(path: Path) -> bytes:
    """Bytes of a file; raises `DataError` where it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got: {error.strerror or error}") from error


def load_pickle(path: Path, content: bytes, stand_ins: Optional[StandIns] = None) -> object:
    """Load the pickle `content` of the file `path` as `read_pickle` does; `stand_ins` are further names it may use."""
    try:
        _refuse_cached_extensions(path, content)
        return _replace_builders(_Unpickler(path, content, stand_ins or {}).load(), {})
    except DataError:
        raise
    except Exception as error:  # a broken stream can raise nearly anything, even MemoryError
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{path}: not a readable pickle ({reason})") from error


class _DtypeBuilder:
    """A dtype while it is being unpickled: the code of a plain scalar type and its byte order."""

    __slots__ = ("_code", "_byte_order", "_dtype")
    __hash__ = None  # type: ignore[assignment]  # not a key: only values are replaced afterwards

    def __init__(self, code: str, align: object = False, copy: object = False) -> None:
        if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
            raise ValueError(f"expected a plain dtype, got {str(code)[:80]!r}")
        self._code = code.lstrip("<>=|")
        self._byte_order = code[0] if code[0] in "<>" else "="
        self._dtype: Optional[np.dtype[Any]] = None

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        byte_order, parts = state[1], (*state[2:5], *state[8:])
        if byte_order not in ("<", ">", "=", "|") or any(part is not None for part in parts):
            raise ValueError("expected a dtype without sub-array, fields and metadata")
        self._byte_order, self._dtype = byte_order, None

    def build(self) -> np.dtype[Any]:
        if self._dtype is None:
            self._dtype = np.dtype(self._code).newbyteorder(self._byte_order)  # type: ignore[arg-type]
        return self._dtype


class _ArrayBuilder:
    """An array while it is being unpickled; `_replace_builders` puts the array in its place."""

    __slots__ = ("_state", "_array")
    __hash__ = None  # type: ignore[assignment]  # as an array

    def __init__(self) -> None:
        self._state: Optional[Tuple[Any, ...]] = None
        self._array: Optional[Array] = None

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self._state = state

    def build(self, memo: Memo) -> Array:
        if self._array is None:
            if self._state is None:
                raise ValueError("an array without content")
            _, shape, dtype, is_fortran, content = self._state
            if isinstance(content, list):
                objects = [_replace_builders(item, memo) for item in content]
                self._array = _array_of_objects(objects, dtype.build(), shape)
            else:
                self._array = _array_of_bytes(content, dtype.build(), shape, "F" if is_fortran else "C")
        return self._array


def _array_of_bytes(
    content: Union[bytes, bytearray], dtype: np.dtype[Any], shape: Tuple[int, ...], order: Order
) -> Array:
    """A writable array that owns its memory; raises where the bytes don't fill the shape, or would be pointers."""
    if dtype.hasobject or not isinstance(content, (bytes, bytearray)):
        raise ValueError(f"expected the bytes of an array of {dtype}, got {type(content).__name__}")
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"expected bytes for {dtype} of shape {shape}, got {len(content)}")
    return np.ndarray(shape, dtype, content, order=order).copy(order=order)


def _array_of_objects(objects: List[Any], dtype: np.dtype[Any], shape: Tuple[int, ...]) -> Array:
    """Objects come in row order, even where the array was stored by columns."""
    if not dtype.hasobject or len(objects) != math.prod(shape):
        raise ValueError(f"expected objects for an array of shape {shape}, got {len(objects)} of {dtype}")
    flat = np.empty(len(objects), dtype=object)
    for index, item in enumerate(objects):  # one by one: a slice assignment would spread nested lists
        flat[index] = item
    return flat.reshape(shape)


def _replace_builders(value: Any, memo: Memo) -> Any:
    """Replace builders by what they build, in place in lists and dicts. Shared and cyclic containers stay so.

    A record does that itself, when it is asked for one of its parts.
    """
    kind = type(value)
    if kind is _ArrayBuilder:
        return value.build(memo)
    if kind is _DtypeBuilder:
        return value.build()
    if kind not in (list, dict, tuple):
        return value
    if id(value) not in memo:
        memo[id(value)] = (value, value)
        if kind is tuple:
            items = [_replace_builders(item, memo) for item in value]
            if any(new is not old for new, old in zip(items, value)):
                memo[id(value)] = (value, tuple(items))
        else:
            for key in list(value) if kind is dict else range(len(value)):
                value[key] = _replace_builders(value[key], memo)
    return memo[id(value)][1]


class _Function:
    """What a name of a function loads as.

    A pickle's BUILD would set attributes of a bare function, and even of a bound method, whose `__dict__` is that of
    the function below it; they would outlive the file. Here is neither a `__dict__` nor a state to set.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ValueError("expected a function without state")


class _Unpickler(pickle.Unpickler):
    """Finds the allowed names only."""

    def __init__(self, path: Path, content: bytes, stand_ins: StandIns) -> None:
        super().__init__(io.BytesIO(content))
        self._path = path
        self._names: Dict[Tuple[str, str], Any] = {
            **stand_ins,
            ("numpy", "ndarray"): _NDARRAY,
            ("numpy", "dtype"): _DtypeBuilder,
            ("_codecs", "encode"): _Function(self._encode),
        }
        for core in ("numpy.core", "numpy._core"):
            self._names[f"{core}.multiarray", "_reconstruct"] = _Function(self._reconstruct)
            self._names[f"{core}.multiarray", "scalar"] = _Function(self._build_scalar)
            self._names[f"{core}.numeric", "_frombuffer"] = _Function(self._build_from_buffer)
        for module in ("builtins", "__builtin__"):
            self._names.update({(module, kind.__name__): kind for kind in _BUILTINS})

    def find_class(self, module: str, name: str) -> Any:
        found = self._names.get((module, name))
        if found is None:
            raise _refusal(self._path, f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise _refusal(self._path, "a persistent id")

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":  # how protocol 2 writes bytes
            raise ValueError(f"expected encoding latin1, got {str(encoding)[:80]!r}")
        return text.encode("latin1")

    def _reconstruct(self, kind: object, shape: object, code: object) -> _ArrayBuilder:
        if kind is not _NDARRAY:
            raise ValueError("expected numpy.ndarray as the type of an array")
        return _ArrayBuilder()

    def _build_scalar(self, dtype: _DtypeBuilder, content: bytes = b"") -> Any:
        return _array_of_bytes(content, dtype.build(), (), "C")[()]

    def _build_from_buffer(
        self, content: bytes, dtype: _DtypeBuilder, shape: Tuple[int, ...], order: Order, axes: Any = None
    ) -> Array:
        if axes is None:
            return _array_of_bytes(content, dtype.build(), shape, order)
        return _array_of_bytes(content, dtype.build(), shape, "C").transpose(axes)


def _refusal(path: Path, name: str) -> UnsafePickleError:
    return UnsafePickleError(
        f"{path}: expected a pickle of plain containers and numpy arrays, but it asks for {name}; nothing was executed"
    )


def _refuse_cached_extensions(path: Path, content: bytes) -> None:
    """The unpickler takes extension codes that this process used before from a cache, without asking `find_class`."""
    if getattr(copyreg, "_extension_cache", None):
        for opcode, code, _ in pickletools.genops(content):
            if opcode.name in ("EXT1", "EXT2", "EXT4"):
                raise _refusal(path, f"extension code {code}")
