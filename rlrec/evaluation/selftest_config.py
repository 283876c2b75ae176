"""Size of the selftest of the estimators. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from rlrec.core.checks import check_at_least


@dataclass(frozen=True, kw_only=True)
class SelfTestConfig:
    """Size of the test."""

    n_logs: int = 100
    """Logs; 100 tell a coverage to 2 points."""
    n_users: int = 2_000
    """Users in each log."""
    n_truth_users: int = 200_000
    """Users on whom each target's truth is measured; its own error is in ``z``."""

    def __post_init__(self) -> None:
        """Refuse sizes that tell nothing."""
        check_at_least("n_logs", self.n_logs, 2)
        check_at_least("n_users", self.n_users, 50)
        check_at_least("n_truth_users", self.n_truth_users, 100)
