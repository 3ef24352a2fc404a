"""Which words stand in which notes, and how much they weigh there.

The weight is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with
words in titles, tags and headings counted several times. It is reckoned here, so that a search
only has to add.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from .note import Note

# Chinese and Japanese put no spaces between words; there each character is a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")

# Letters that only colour others, as the \u02bb of Hawaiian, which keyboards lack.
_MODIFIERS = re.compile("[\u02b0-\u02ff]")
_FINAL_SIGMA, _SIGMA = "\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}"

_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
_IN_TITLE, _IN_TAG, _IN_HEADING = 5, 4, 2

Postings = dict[str, list[int]]
"""For each word: note, weight, note, weight, and so on; a weight is a hundredth of BM25's."""


def fold(text: str) -> str:
    """Write *text* as it is searched for: small letters, no accents. `page.js` does the same."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.lower())
    plain = _MODIFIERS.sub("", "".join(part for part in parts if not _is_mark(part)))
    return plain.replace("\N{LATIN SMALL LETTER SHARP S}", "ss").replace(_FINAL_SIGMA, _SIGMA)


def _is_mark(part: str) -> bool:
    return unicodedata.category(part).startswith("M")


def find_words(text: str) -> list[str]:
    """Give the words of *text*, folded, in order."""
    return _WORD.findall(fold(text))


def build_postings(
    notes: Sequence[Note], texts: Sequence[str], say: Callable[[int], None]
) -> Postings:
    """Weigh every word of *notes*, whose plain texts are *texts*; *say* hears how many are done."""
    counts: list[Counter[str]] = []
    lengths: list[int] = []
    for number, (note, text) in enumerate(zip(notes, texts, strict=True), start=1):
        words = find_words(text)
        count = Counter(words)
        for extra, times in (
            (find_words(" ".join((note.title, note.name, *note.aliases))), _IN_TITLE),
            (find_words(" ".join(note.tags)), _IN_TAG),
            (find_words(" ".join(heading.text for heading in note.headings)), _IN_HEADING),
        ):
            for word in extra:
                count[word] += times
        counts.append(count)
        lengths.append(len(words))
        say(number)
    return _weigh(counts, lengths)


def _weigh(counts: list[Counter[str]], lengths: list[int]) -> Postings:
    mean_length = sum(lengths) / max(1, len(lengths)) or 1
    notes_with = Counter(word for count in counts for word in count)
    rarity = {
        word: math.log(1 + (len(counts) - number + 0.5) / (number + 0.5))
        for word, number in notes_with.items()
    }
    postings: Postings = defaultdict(list)
    for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
        damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / mean_length)
        for word, times in count.items():
            weight = rarity[word] * times * (_SATURATION + 1) / (times + damping)
            postings[word] += (number, max(1, round(100 * weight)))
    return {word: postings[word] for word in sorted(postings)}
