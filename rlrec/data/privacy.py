"""Privacy of a log: ids replaced by a keyed hash, columns dropped, and how few people share the features of each.

A pseudonym is not anonymity: whoever has the key, or knows some of what a person did, can find them again. No key is
stored with the log; keep it to give the same person the same pseudonym next time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import Categorical, FeatureTable, MultiCategorical, Numeric, Text, Vectors
from rlrec.data.log import InteractionLog
from rlrec.data.vocabulary import Vocabulary

_MIN_KEY = 16
"""Bytes of the shortest key (128 bits: a shorter one can be tried out)."""
_DROPPABLE = ("value", "session", "exposed", "propensity", "position")


def pseudonymise(
    log: InteractionLog, key: bytes, *, ids: Literal["users", "items", "both"] = "users", length: int = 16
) -> InteractionLog:
    """Return the log with ids replaced by ``HMAC-SHA256(key, id)`` in hexadecimal; rows and features stay.

    The order of the ids changes to that of the pseudonyms, which tells nothing of the old one. The account of the
    cleaning is dropped, since its sentences may name ids.

    Parameters
    ----------
    key : bytes
        At least 16 secret bytes, such as ``secrets.token_bytes(32)``. The same key gives the same pseudonyms.
    ids : {"users", "items", "both"}
        Which ids.
    length : int
        Hexadecimal digits that are kept, 16 to 64: with 16, two of a million ids collide once in 37 million logs.

    Raises
    ------
    DataError
        If two ids come out equal; ask for a greater length.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> log = load_log("builtin:online_retail")
    >>> hidden = pseudonymise(log, b"only for this example")
    >>> hidden.n_users == log.n_users, hidden.users.ids[0] in log.users
    (True, False)
    """
    if len(key) < _MIN_KEY:
        raise InvalidArgumentError(f"key must have at least {_MIN_KEY} bytes, got {len(key)}; secrets.token_bytes(32)")
    if not 16 <= length <= 64:
        raise InvalidArgumentError(f"length must lie in 16..64, got {length}")
    if ids not in ("users", "items", "both"):
        raise InvalidArgumentError(f"ids must be 'users', 'items' or 'both', got {ids!r}")
    columns: dict[str, Any] = {name: getattr(log, name) for name in ("user", "item", "timestamp", "event", *_DROPPABLE)}
    users, catalog, features = log.users, log.catalog, log.user_features
    if ids != "items":
        users, old = _pseudonyms(log.users, key, length)
        columns["user"] = _inverse(old)[log.user]
        features = None if features is None else features.take(old)
    if ids != "users":
        vocabulary, old = _pseudonyms(log.catalog.vocabulary, key, length)
        columns["item"] = _inverse(old)[log.item]
        catalog = ItemCatalog(vocabulary, log.catalog.features.take(old))
    return InteractionLog.from_columns(
        name=log.name,
        users=users,
        catalog=catalog,
        event_names=log.event_names,
        user_features=features,
        notes=dict(log.notes),
        **{name: column for name, column in columns.items() if column is not None},
    )


def drop_columns(log: InteractionLog, columns: Sequence[str]) -> InteractionLog:
    """Return the log without these: ``value, session, exposed, propensity, position``, or ``users.NAME``,
    ``items.NAME`` for features, or ``users.*`` for all of them.
    """
    for name in columns:
        log = _without(log, name)
    return log


@dataclass(frozen=True)
class KAnonymity:
    """How well people hide behind one another in their features."""

    k: int
    """People in the smallest group with equal features; 1 means that someone is alone."""
    n_groups: int
    """Groups of people with equal features."""
    n_below: int
    """People in groups smaller than asked for."""
    n_people: int
    """People."""


def k_anonymity(log: InteractionLog, columns: Sequence[str] | None = None, *, k: int = 5) -> KAnonymity:
    """Count the people who share their user features with fewer than ``k`` in all.

    Only features are looked at; what a person did, which the log is for, may identify them all the same.

    Parameters
    ----------
    columns : sequence of str, optional
        Names of user features that others may know; all of them by default.
    k : int
        Size of group that is wanted.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> k_anonymity(load_log("builtin:online_retail")).k
    1
    """
    if log.user_features is None or not len(log.user_features):
        raise DataError(f"{log.name!r} has no user features, so nobody can be told by them")
    names = list(log.user_features) if columns is None else list(columns)
    for name in names:
        if name not in log.user_features:
            raise InvalidArgumentError(f"there is no user feature {name!r}; there are: {', '.join(log.user_features)}")
    groups = np.zeros(log.n_users, np.int64)
    for name in names:
        _, groups = np.unique(np.stack([groups, _codes(log.user_features, name)]), axis=1, return_inverse=True)
    sizes = np.bincount(groups.reshape(-1))
    return KAnonymity(int(sizes.min()), len(sizes), int(sizes[sizes < k].sum()), log.n_users)


def _codes(table: FeatureTable, name: str) -> NDArray[np.int64]:
    """Return a number for each row of a feature, equal where the feature is."""
    column = table[name]
    if isinstance(column, Numeric):
        return np.unique(column.values, return_inverse=True)[1].reshape(-1)
    if isinstance(column, Categorical):
        return column.codes.astype(np.int64)
    if isinstance(column, Vectors):
        return np.unique(column.values, axis=0, return_inverse=True)[1].reshape(-1)
    assert isinstance(column, Text | MultiCategorical)
    return np.unique(np.array(column.words()), return_inverse=True)[1].reshape(-1)


def _pseudonyms(vocabulary: Vocabulary, key: bytes, length: int) -> tuple[Vocabulary, NDArray[np.int64]]:
    """Return the pseudonyms, sorted, and the old index of each."""
    texts = [f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass") for value in vocabulary.ids.tolist()]
    # One HMAC for each id, a million in some seconds: no array library has it, and a faster hash would not hide ids.
    hashed = np.array([hmac.digest(key, text, hashlib.sha256).hex()[:length] for text in texts], dtype=object)
    old = np.argsort(hashed, kind="stable")
    if len(set(hashed.tolist())) < len(hashed):
        raise DataError(f"two ids have the same pseudonym of {length} digits; ask for a greater length")
    return Vocabulary(hashed[old]), old


def _inverse(old: NDArray[np.int64]) -> NDArray[np.int64]:
    new = np.empty(len(old), np.int64)
    new[old] = np.arange(len(old))
    return new


def _without(log: InteractionLog, name: str) -> InteractionLog:
    if name in _DROPPABLE:
        dropped: dict[str, Any] = {name: None}
        return replace(log, **dropped)
    table, _, feature = name.partition(".")
    if table == "users" and log.user_features is not None:
        return replace(log, user_features=_drop_feature(log.user_features, feature, name))
    if table == "items":
        return replace(
            log, catalog=ItemCatalog(log.catalog.vocabulary, _drop_feature(log.catalog.features, feature, name))
        )
    raise InvalidArgumentError(
        f"there is no column {name!r} to drop; there are: {', '.join(_DROPPABLE)}, users.NAME and items.NAME"
    )


def _drop_feature(table: FeatureTable, feature: str, name: str) -> FeatureTable:
    if feature != "*" and feature not in table:
        raise InvalidArgumentError(f"there is no column {name!r} to drop; features are: {', '.join(table)}")
    kept = {} if feature == "*" else {other: column for other, column in table.items() if other != feature}
    return FeatureTable(kept, table.n_rows)
