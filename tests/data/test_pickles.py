"""What a pickle may hold, and that nothing of a hostile one is executed."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
from inspect import isfunction
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest

from latentvla_agent.data.pickles import _Unpickler, read_pickle
from latentvla_agent.errors import DataError, UnsafePickleError

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.arange(6, dtype=np.float32).reshape(2, 3).T,
    np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(10)[::3],
    np.array([1.5, -2.0], dtype=">f8"),
    np.array([True, False]),
    np.array(["vehicle", "barrier"]),
    np.array([b"ab", b"c"]),
    np.array([], dtype="<U1"),
    np.zeros((0, 7), dtype=np.float32),
    np.array(3.25),
    np.array(["a", None, [1, 2], np.arange(3)], dtype=object),
    np.array([["a", 1], ["b", None]], dtype=object).T,
]


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self._reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Tuple[Any, ...]:
        return self._reduced


class Foreign:
    """A class that is no part of the format."""


def write(folder: Path, content: Any, protocol: int = 4) -> Path:
    path = folder / "hostile.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def assert_equal(actual: Any, expected: Any) -> None:
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray) and expected.dtype.hasobject:
        assert actual.shape == expected.shape
        for one, other in zip(actual.flat, expected.flat):
            assert_equal(one, other)
    elif isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype and actual.flags.writeable
        np.testing.assert_array_equal(actual, expected)
    else:
        assert actual == expected


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back(tmp_path: Path, array: Any, protocol: int) -> None:
    loaded: Any = read_pickle(write(tmp_path, {"a": [array, (1, array)]}, protocol))
    assert_equal(loaded["a"][0], array)
    assert loaded["a"][1][1] is loaded["a"][0]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(tmp_path: Path, protocol: int) -> None:
    values = [
        1,
        2.5,
        "ä",
        b"",
        b"\xff",
        None,
        True,
        {1, 2},
        frozenset("a"),
        (1, (2,)),
        1j,
        bytearray(b"x"),
        slice(1, 2),
    ]
    values += [np.float32(2.5), np.int64(-3), np.bool_(True), np.str_("abc"), np.dtype("<f4")]
    loaded: Any = read_pickle(write(tmp_path, values, protocol))
    assert loaded == values
    assert [type(item) for item in loaded] == [type(item) for item in values]


@pytest.mark.parametrize("ours, theirs", [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
@pytest.mark.parametrize("protocol", [2, 5])
def test_names_of_numpy_1_and_2_load(
    tmp_path: Path, ours: bytes, theirs: bytes, protocol: int, recwarn: pytest.WarningsRecorder
) -> None:
    content = pickle.dumps([np.arange(3.0), np.float64(2.0)], 2)  # protocol 2 writes names as text lines
    if protocol == 5:
        content = b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(C\x08" + bytes(8)
        content += b"cnumpy\ndtype\n\x8c\x02f8\x85RK\x01\x85\x8c\x01Ct\x52."
    loaded: Any = read_pickle(write(tmp_path, content.replace(ours, theirs)))
    assert np.asarray(loaded[0]).dtype == np.float64
    assert not [warning for warning in recwarn if "numpy" in str(warning.message)]


def test_shared_and_cyclic_containers_stay_so(tmp_path: Path) -> None:
    array = np.arange(2)
    values: List[Any] = [array, array, {"a": array}]
    values.append(values)
    loaded: Any = read_pickle(write(tmp_path, values))
    assert loaded[0] is loaded[1] is loaded[2]["a"]
    assert loaded[3] is loaded


def hostile_calls(marker: Path) -> List[Tuple[str, Any]]:
    touch = f"touch {marker}"
    holder = np.empty(1, dtype=object)
    holder[0] = Foreign()
    nested = np.empty(1, dtype=object)
    nested[0] = [Call(os.system, touch)]
    return [
        (f"{os.system.__module__}.system", Call(os.system, touch)),
        ("builtins.eval", Call(eval, f"open({str(marker)!r}, 'w')")),
        ("builtins.exec", Call(exec, f"open({str(marker)!r}, 'w')")),
        ("builtins.getattr", Call(getattr, "a", "upper")),
        ("io.open", Call(open, str(marker), "w")),
        ("numpy.fromfile", Call(np.fromfile, "/etc/hostname")),
        (f"{np.load.__module__}.load", Call(np.load, "/etc/hostname")),
        (f"{__name__}.Foreign", Foreign()),
        (f"{__name__}.Foreign", holder),
        (f"{os.system.__module__}.system", nested),
        ("pathlib.PosixPath", Path("/tmp")),
        ("builtins.__import__", Call(__import__, "antigravity")),
    ]


@pytest.mark.parametrize("case", range(12))
@pytest.mark.parametrize("protocol", [2, 4])
def test_hostile_calls_are_refused(tmp_path: Path, case: int, protocol: int) -> None:
    marker = tmp_path / "executed"
    name, hostile = hostile_calls(marker)[case]
    path = write(tmp_path, ["first", hostile], protocol)
    with pytest.raises(UnsafePickleError) as error:
        read_pickle(path)
    assert not marker.exists()
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    spelled = name.replace("builtins", "__builtin__") if protocol < 3 else name
    assert f"asks for {spelled};" in str(error.value)


def short_text(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


@pytest.mark.parametrize(
    "module, name",
    [
        ("numpy", "core.os.system"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "ndarray.__reduce__"),
        ("builtins", "list.__class__"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy ", "ndarray"),
        ("Builtins", "list"),
        ("builtins", "object"),
        ("builtins", "type"),
    ],
)
def test_dotted_and_near_names_are_refused(tmp_path: Path, module: str, name: str) -> None:
    content = b"\x80\x04" + short_text(module) + short_text(name) + b"\x93."
    with pytest.raises(UnsafePickleError, match="hostile.pkl"):
        read_pickle(write(tmp_path, content))


@pytest.mark.parametrize("cached", [False, True])
def test_extension_codes_are_refused(tmp_path: Path, cached: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "executed"
    path = write(tmp_path, b"\x80\x02\x82\xf0" + short_text(f"touch {marker}") + b"\x85R.")
    copyreg.add_extension("os", "system", 0xF0)
    try:
        if cached:
            monkeypatch.setitem(copyreg._extension_cache, 0xF0, os.system)  # type: ignore[attr-defined]
        with pytest.raises(UnsafePickleError, match="hostile.pkl"):
            read_pickle(path)
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
    assert not marker.exists()


def test_persistent_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafePickleError, match="persistent id"):
        read_pickle(write(tmp_path, b"\x80\x02X\x01\x00\x00\x00aQ."))


def pointer_state(code: str) -> Call:
    fields = None if code == "O8" else ("a",)
    by_name = None if code == "O8" else {"a": (np.dtype("O"), 0)}
    return Call(np.dtype, code, False, True, state=(3, "|", None, fields, by_name, 8, 1, 0))


@pytest.mark.parametrize("code", ["O8", "V8", "f8"])
def test_bytes_never_become_object_pointers(tmp_path: Path, code: str) -> None:
    reconstruct = np.zeros(1).__reduce__()[0]
    state = (1, (1,), pointer_state(code), False, b"A" * 8)
    for hostile in (Call(reconstruct, np.ndarray, (0,), b"b", state=state), Call(np.dtype, "V8")):
        with pytest.raises(DataError, match="hostile.pkl: not a readable pickle"):
            read_pickle(write(tmp_path, [hostile]))


@pytest.mark.parametrize(
    "module, name",
    [
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),
        ("builtins", "list"),
    ],
)
@pytest.mark.parametrize("is_slots", [False, True])
def test_build_cannot_change_the_reader(tmp_path: Path, module: str, name: str, is_slots: bool) -> None:
    """BUILD's state is a dict for `__dict__`, or a pair of that and a dict of attributes to set."""
    target = b"\x80\x04" + short_text(module) + short_text(name) + b"\x93"
    state = b"}" + short_text("__defaults__") + b"Ns"
    with pytest.raises(DataError):
        read_pickle(write(tmp_path, target + (b"N" + state + b"\x86" if is_slots else state) + b"b."))
    assert not any(vars(method) for method in vars(_Unpickler).values() if isfunction(method))
    assert_equal(read_pickle(write(tmp_path, np.arange(3.0), 2)), np.arange(3.0))


@pytest.mark.parametrize("encoding", ["rot13", "utf-8", "zlib"])
def test_codecs_encode_writes_latin1_only(tmp_path: Path, encoding: str) -> None:
    import _codecs

    with pytest.raises(DataError, match="latin1"):
        read_pickle(write(tmp_path, Call(_codecs.encode, "abc", encoding)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"not a pickle",
        b"\x80\x04.",
        b"\x80\x05\x97.",
        b"\x80\x63N.",
        pickle.dumps([np.arange(100)])[:-40],
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"hostile\.pkl: not a readable pickle \(") as error:
        read_pickle(write(tmp_path, content))
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, UnsafePickleError)


def test_every_truncation_is_a_data_error(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(3.0), "b": ["x", np.array(["u"], dtype=object)]})
    for length in range(len(whole)):
        with pytest.raises(DataError, match="hostile.pkl"):
            read_pickle(write(tmp_path, whole[:length]))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing.pkl: expected a readable file"):
        read_pickle(tmp_path / "nothing.pkl")
    with pytest.raises(DataError, match="expected a readable file"):
        read_pickle(tmp_path)


def test_deep_nesting_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RecursionError"):
        read_pickle(write(tmp_path, b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b"."))


def test_array_of_wrong_length_is_a_data_error(tmp_path: Path) -> None:
    stream = io.BytesIO(pickle.dumps(np.arange(3.0), 4))
    path = write(tmp_path, stream.getvalue().replace(b"K\x03\x85", b"K\x09\x85"))
    with pytest.raises(DataError, match="hostile.pkl"):
        read_pickle(path)
