"""Tokenizers of CLIP: one for each model of open_clip's, and how many tokens a text has."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


def tokenizer_of(open_clip: ModuleType, model: str) -> Any:
    """Return the tokenizer of a model. One serves a process, as it takes a second; a folder's may change meanwhile."""
    if model.startswith("local-dir:"):
        return open_clip.get_tokenizer(model)
    return _tokenizer(open_clip, model, json.dumps(open_clip.get_model_config(model), sort_keys=True))


@cache
def _tokenizer(open_clip: ModuleType, model: str, config: str) -> Any:
    return open_clip.get_tokenizer(model)


def count_tokens(tokenizer: Any, text: str) -> int:
    """Return the number of tokens of a text, with start and end marks; 0 if the tokenizer cannot count."""
    if hasattr(tokenizer, "encode"):  # open_clip's own
        return len(tokenizer.encode(text)) + 2
    inner = getattr(tokenizer, "tokenizer", None)  # one of Hugging Face's
    return len(inner(text)["input_ids"]) if callable(inner) else 0
