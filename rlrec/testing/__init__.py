"""Checks for whoever adds a part: that it obeys the laws of its kind."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"vector_env": ["check_vector_env"]})
