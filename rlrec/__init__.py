"""rlrec."""
