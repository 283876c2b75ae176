"""A model inside another's artifact: its arrays under its name, its settings in the content, one folder in all."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rlrec.core.artifacts import Artifact
from rlrec.models.recommender import Recommender
from rlrec.models.registry import model_class


def export_part(name: str, part: Recommender) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what the content and the arrays of the outer artifact hold of a part."""
    config, content, arrays = part._export()
    described = {"name": name, "kind": part.kind, "config": config, "content": content}
    return described, {f"{name}/{key}": array for key, array in arrays.items()}


def embedded_part(outer: Artifact, described: dict[str, Any]) -> Recommender:
    """Build the part that `export_part` described; the space is the outer model's."""
    start = described["name"] + "/"
    inner = Artifact(
        kind=described["kind"],
        config=described["config"],
        content={"space": outer.content["space"], **described["content"]},
        arrays={key[len(start) :]: array for key, array in outer.arrays.items() if key.startswith(start)},
        catalog_sha256=outer.catalog_sha256,
        versions=outer.versions,
    )
    return model_class(described["kind"])._from_artifact(inner)
