"""Configuration: frozen dataclasses to and from TOML, unknown keys refused.

A config class is ``@dataclass(frozen=True, kw_only=True)``; each field carries a docstring with its unit and source,
which the command line prints as help. Only plain values live in configs: bool, int, float, str, Path, tuples of those,
``None`` (left out of TOML, which has no null), and nested configs.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from rlrec.core.errors import ConfigError

ConfigT = TypeVar("ConfigT")


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return the config as nested plain dicts, without the fields that are ``None``."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def config_from_dict(cls: type[ConfigT], values: Mapping[str, Any], where: str = "config") -> ConfigT:
    """Build a config from plain dicts.

    Parameters
    ----------
    cls : type
        A frozen dataclass.
    values : mapping
        Field name to value; nested configs are nested mappings. Missing fields take their defaults.
    where : str
        Name of the table, used in messages (``"config.toml: [ppo]"``).

    Raises
    ------
    ConfigError
        For an unknown key, a value of the wrong type, or one that the class itself refuses.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    kwargs: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{where}: unknown key {key!r} for {cls.__name__}{_did_you_mean(key, list(fields))}")
        kwargs[key] = _convert(hints[key], value, f"{where}: {key}")
    try:
        return cls(**kwargs)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file; a missing or malformed file is a `ConfigError` that names it."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"config file {str(path)!r} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error.strerror}") from error


def load_config(cls: type[ConfigT], path: str | Path) -> ConfigT:
    """Read one config class from a TOML file."""
    return config_from_dict(cls, read_toml(path), where=str(path))


def dump_toml(config: Any) -> str:
    """Return the config as TOML text; `load_config` reads it back to an equal object."""
    return tomli_w.dumps(config_to_dict(config))


def _did_you_mean(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known keys: {', '.join(sorted(known))}"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_to_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Check ``value`` against a type hint, turning lists to tuples and ints to floats where asked."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(args, value, where, hint)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, args))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        item_hints = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(item_hints) != len(value):
            raise ConfigError(f"{where} must have {len(item_hints)} entries, got {len(value)}")
        return tuple(_convert(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(item_hints, value, strict=True)))
    if dataclasses.is_dataclass(hint):
        if dataclasses.is_dataclass(value):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return config_from_dict(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ConfigError(f"{where} must be {hint.__name__}, got {type(value).__name__} {value!r}")
    return value


def _convert_union(args: tuple[Any, ...], value: Any, where: str, hint: Any) -> Any:
    if value is None and type(None) in args:
        return None
    options = [option for option in args if option is not type(None)]
    if len(options) == 1:
        return _convert(options[0], value, where)  # its own message says more than the union's
    for option in options:
        try:
            return _convert(option, value, where)
        except ConfigError:
            continue  # another member of the union may fit; the error below covers all of them
    raise ConfigError(f"{where} must be {hint}, got {value!r}")
