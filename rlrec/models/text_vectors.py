"""Sentence embeddings that need no network: the static word vectors inside the package ``wordllama`` (extra ``text``).

A text is the mean of its tokens' vectors, which were distilled from a large language model: "scarlet gown" lies near
"red dress", where TF-IDF sees two pairs of strangers. Checked with sockets closed and an empty home
(``tests/models/test_content.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import MissingExtraError

_SIZE = 256  # of the vectors in the package


def embed_texts(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return a vector of length 1 for each text, (n, 256); zeros where there is no word.

    Nothing is downloaded: a file that the package lacks is an error.

    Raises
    ------
    MissingExtraError
        If ``wordllama`` is not installed.
    """
    try:
        import wordllama
    except ImportError as error:
        raise MissingExtraError("wordllama", "text", "embedding text") from error
    # Its own search for the tokenizer looks in a folder that the package calls otherwise; as its cache it is found.
    here = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=here, disable_download=True, dim=_SIZE)
    said = [index for index, text in enumerate(texts) if text.strip()]
    vectors = np.zeros((len(texts), _SIZE))
    if said:
        vectors[said] = model.embed([texts[index].strip() for index in said], norm=True)
    return vectors
