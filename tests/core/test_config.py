"""Configs go to TOML and come back equal; what a file gets wrong is said with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrec.core.config import config_from_dict, config_to_dict, dump_toml, load_config
from rlrec.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (64, 64)
    span: tuple[int, float] = (1, 2.0)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must be at least 0, got {self.rate}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str = "lstm"
    steps: int = 3
    verbose: bool = False
    kind: Literal["ppo", "dqn"] = "ppo"
    limit: int | None = None
    unit: int | str = "auto"
    folder: Path = Path("runs")
    folders: tuple[Path, ...] = ()
    inner: Inner = field(default_factory=Inner)
    other: Inner | None = None


finite = st.floats(0, 1e300)
inners = st.builds(
    Inner,
    rate=finite,
    sizes=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4).map(tuple),
    span=st.tuples(st.integers(0, 9), finite),
)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
paths = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True).map(Path)
outers = st.builds(
    Outer,
    name=text,
    steps=st.integers(-(2**63), 2**63 - 1),
    verbose=st.booleans(),
    kind=st.sampled_from(["ppo", "dqn"]),
    limit=st.none() | st.integers(0, 99),
    unit=st.integers(0, 99) | text,
    folder=paths,
    folders=st.lists(paths, max_size=2).map(tuple),
    inner=inners,
    other=st.none() | inners,
)


@given(config=outers)
def test_toml_round_trip(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(dump_toml(config), encoding="utf-8", newline="")
    assert load_config(Outer, path) == config


def test_none_is_left_out_and_nothing_else():
    assert set(config_to_dict(Outer())) == set(Outer.__dataclass_fields__) - {"limit", "other"}


def test_missing_fields_take_their_defaults():
    assert config_from_dict(Outer, {"inner": {"rate": 1}}) == Outer(inner=Inner(rate=1.0))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stepz": 1}, "run.toml: unknown key 'stepz' for Outer; did you mean 'steps'?"),
        (
            {"zzzzzzzz": 1},
            "run.toml: unknown key 'zzzzzzzz' for Outer; known keys: "
            "folder, folders, inner, kind, limit, name, other, steps, unit, verbose",
        ),
        ({"inner": {"rte": 1}}, "run.toml: inner: unknown key 'rte' for Inner; did you mean 'rate'?"),
        ({"other": {"rte": 1}}, "run.toml: other: unknown key 'rte' for Inner; did you mean 'rate'?"),
        ({"inner": 3}, "run.toml: inner must be a table, got 3"),
        ({"inner": {"rate": -1.0}}, "run.toml: inner: rate must be at least 0, got -1.0"),
        ({"steps": "3"}, "run.toml: steps must be int, got str '3'"),
        ({"steps": True}, "run.toml: steps must be int, got bool True"),
        ({"steps": 3.0}, "run.toml: steps must be int, got float 3.0"),
        ({"verbose": 1}, "run.toml: verbose must be bool, got int 1"),
        ({"inner": {"rate": True}}, "run.toml: inner: rate must be float, got bool True"),
        ({"kind": "sac"}, "run.toml: kind must be one of 'ppo', 'dqn', got 'sac'"),
        ({"limit": "many"}, "run.toml: limit must be int, got str 'many'"),
        ({"unit": 1.5}, "run.toml: unit must be int | str, got 1.5"),
        ({"inner": {"sizes": 64}}, "run.toml: inner: sizes must be a list, got 64"),
        ({"inner": {"sizes": [64, "a"]}}, "run.toml: inner: sizes[1] must be int, got str 'a'"),
        ({"inner": {"span": [1]}}, "run.toml: inner: span must have 2 entries, got 1"),
    ],
)
def test_refusals_are_whole_sentences(values, sentence):
    with pytest.raises(ConfigError) as caught:
        config_from_dict(Outer, values, where="run.toml")
    assert str(caught.value) == sentence


def test_an_int_is_taken_for_a_float_and_a_list_for_a_tuple():
    inner = config_from_dict(Inner, {"rate": 1, "sizes": [1, 2], "span": [1, 2]})
    assert inner == Inner(rate=1.0, sizes=(1, 2), span=(1, 2.0))
    assert isinstance(inner.rate, float)
    assert isinstance(inner.span[1], float)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"config file '.*none\.toml' does not exist"):
        load_config(Outer, tmp_path / "none.toml")


def test_a_folder_is_no_config_file(tmp_path):
    with pytest.raises(ConfigError, match=r"config file '.*' cannot be read: Is a directory"):
        load_config(Outer, tmp_path)


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe", b"steps = 1\nsteps = 2"])
def test_a_malformed_file_is_named(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config file '.*bad\.toml' is not valid TOML: "):
        load_config(Outer, path)
