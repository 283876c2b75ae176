"""GroupLens layouts: MovieLens 100K (``u.data``), 1M and 10M (``ratings.dat``, ``::``), 25M and latest (CSV).

Checked against 100K, a part of 1M, and latest-small of 2016. Event "rating", value the stars. Genres are a list.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import EVENT, ITEM_ID, TIMESTAMP, USER_ID, VALUE
from rlrec.data.readers.base import RawLog, ReadOptions
from rlrec.data.readers.delimited import read_table
from rlrec.data.readers.layout import find, layout_blocks, layout_options

_LATIN = "latin-1"  # 100K and 1M; 10M and later are UTF-8
_NO_GENRES = "(no genres listed)"
_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_USERS_100K = ("user_id", "age", "gender", "occupation", "zip_code")
_USERS_1M = ("user_id", "gender", "age_group", "occupation", "zip_code")
_ITEMS_100K = ("item_id", "title", "release_date", "video_release_date", "url")
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


def detect_movielens(path: Path) -> bool:
    """Return whether a folder holds one of the three layouts."""
    return path.is_dir() and (
        find(path, "u.data") is not None
        or _dat_ratings(path) is not None
        or (find(path, "ratings.csv") is not None and find(path, "movies.csv") is not None)
    )


def read_movielens(path: Path, options: ReadOptions) -> RawLog:
    """Read ratings, movies, and users where the layout has them."""
    if find(path, "u.data"):
        return _read_100k(path, options)
    if _dat_ratings(path) is not None:
        return _read_dat(path, options)
    return _read_csv(path, options)


def _read_100k(folder: Path, options: ReadOptions) -> RawLog:
    text = layout_options(options, delimiter="\t", header=_RATINGS, quote=None)
    raw = RawLog(name=folder.name, blocks=layout_blocks([_need(folder, "u.data")], _COLUMNS, text, prepare=_as_ratings))
    items, users = find(folder, "u.item"), find(folder, "u.user")
    if items is not None:
        header = (*_ITEMS_100K, *_GENRES_100K)
        raw.items = _genres_from_flags(read_table(items, delimiter="|", header=header, encoding=_LATIN, quote=None))
    if users is not None:
        raw.users = read_table(users, delimiter="|", header=_USERS_100K, encoding=_LATIN, quote=None)
    return raw


def _read_dat(folder: Path, options: ReadOptions) -> RawLog:
    ratings = _dat_ratings(folder)
    if ratings is None:
        raise DataError(f"{str(folder)!r} holds no single ratings*.dat; give the folder of MovieLens 1M or 10M")
    text = layout_options(options, delimiter="::", header=_RATINGS, quote=None)
    raw = RawLog(name=folder.name, blocks=layout_blocks([ratings], _COLUMNS, text, prepare=_as_ratings))
    movies, users = find(folder, "movies.dat"), find(folder, "users.dat")
    if movies is not None:
        header = ("item_id", "title", "genres")
        raw.items = _genres_from_text(read_table(movies, delimiter="::", header=header, encoding=_LATIN, quote=None))
    if users is not None:
        table = read_table(users, delimiter="::", header=_USERS_1M, encoding=_LATIN, quote=None)
        raw.users = table.with_columns(pl.col("age_group", "occupation").cast(pl.String))  # codes, not amounts
    return raw


def _read_csv(folder: Path, options: ReadOptions) -> RawLog:
    columns = {USER_ID: "userId", ITEM_ID: "movieId", VALUE: "rating", TIMESTAMP: "timestamp", EVENT: EVENT}
    raw = RawLog(
        name=folder.name, blocks=layout_blocks([_need(folder, "ratings.csv")], columns, options, prepare=_as_ratings)
    )
    raw.items = _genres_from_text(read_table(_need(folder, "movies.csv")).rename({"movieId": ITEM_ID}))
    return raw


_COLUMNS = {USER_ID: "user_id", ITEM_ID: "item_id", VALUE: "rating", TIMESTAMP: "timestamp", EVENT: EVENT}


def _as_ratings(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit("rating").alias(EVENT))


def _genres_from_text(movies: pl.DataFrame) -> pl.DataFrame:
    genres = pl.col("genres").cast(pl.String).str.split("|")
    return movies.with_columns(
        pl.when(pl.col("genres") == _NO_GENRES).then(pl.lit([], pl.List(pl.String))).otherwise(genres).alias("genres")
    )


def _genres_from_flags(movies: pl.DataFrame) -> pl.DataFrame:
    named = [pl.when(pl.col(name) == 1).then(pl.lit(name)) for name in _GENRES_100K]
    genres = pl.concat_list(named).list.drop_nulls().alias("genres")
    return movies.select("item_id", "title", "release_date", genres)


def _dat_ratings(folder: Path) -> Path | None:
    found = sorted(folder.glob("ratings*.dat*"))
    return found[0] if len(found) == 1 else None


def _need(folder: Path, name: str) -> Path:
    path = find(folder, name)
    if path is None:
        raise DataError(f"{str(folder)!r} holds no {name}; give the folder of a MovieLens data set")
    return path
