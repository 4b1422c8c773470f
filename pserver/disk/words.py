"""The words of a name, as a search takes them."""

import re
import unicodedata

_ACCENTS = re.compile("[\u0300-\u036f]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def words_of(text: str) -> list[str]:
    """The words of `text`, split as the tokenizer of the index splits names."""
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return [word for word in _BETWEEN_WORDS.split(unicodedata.normalize("NFC", bare)) if word]
