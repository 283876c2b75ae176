"""A segment on the command line: FEATURE=VALUE."""

from __future__ import annotations


def feature_and_value(segment: str) -> tuple[str, str]:
    """Return the item feature and its value that ``--segment`` names.

    Raises
    ------
    InvalidArgumentError
        If it is not of the form FEATURE=VALUE.
    """
    from rlrec.core.errors import InvalidArgumentError

    feature, equals, value = segment.partition("=")
    if not (feature and equals and value):
        raise InvalidArgumentError(f"--segment must be FEATURE=VALUE, got {segment!r}")
    return feature, value
