"""Bytes become text: which character encoding a text file is in.

UTF-8 and byte-order marks are recognised for certain. Beyond that an encoding can only be inferred: every
candidate is judged by the words it makes of the bytes (one script a word, a possible pattern of capitals,
letters rather than box-drawing), then by how usual their letters are, and `charset-normalizer` has the last
word between those that remain. Where the evidence does not decide, nothing is guessed.
"""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from functools import cache

from clv.errors import DataError

#: encodings in which business software exports text.
CANDIDATES = ("cp1252", "cp1251", "cp1250", "iso8859_15", "iso8859_2", "koi8_r", "cp866", "cp850", "mac_roman")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "Name it .xlsx, or save it as CSV."),
    (b"PAR1", "a Parquet file", "Name it .parquet."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save it as .xlsx or CSV."),
    (b"%PDF", "a PDF", "Export the table as CSV."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
)
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_SYMBOLS = frozenset("\u00a0€£¥–—“”„«»’‘…°²³№§®™©½¼×·•´")
#: share of each letter in Russian text, per mille (public frequency counts), the base of the tie-break.
_PER_MILLE = (110, 85, 80, 74, 67, 63, 55, 47, 45, 44, 35, 32, 30, 28, 26, 20, 19, 17, 17, 16, 16, 14, 12, 10, 9, 7, 6)
_RUSSIAN = dict(zip("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", (*_PER_MILLE, 5, 4, 3, 3, 1, 1), strict=True))
#: letters beyond a-z of the languages that these encodings serve.
_ALPHABETS = [
    frozenset(letters)
    for letters in (
        "äöüß", "àâçèéêëîïôùûüœæÿ", "áéíñóúü", "ãõáâàçéêíóôú", "àèéìòù", "éëïóöü", "æøåé", "åäöé", "ąćęłńóśźż",
        "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "çğıöşüâ", "õäöüšž", "áðéíóúýþæö",
        "àçèéíïòóúü",
    )
]  # fmt: skip


def decode(data: bytes, *, encoding: str | None, name: str, table: str | None = None) -> str:
    """Decode a text file.

    Parameters
    ----------
    data : bytes
        The whole file.
    encoding : str or None
        The encoding as told; None: a byte-order mark, else UTF-8, else inferred.
    name, table : str
        For messages.

    Raises
    ------
    DataError
        The bytes are no text, do not fit the encoding told, or do not show which encoding they are in.
    """
    for magic, kind, mend in _NOT_TEXT:
        if data.startswith(magic):
            raise DataError(f"{name} is {kind}, not a text file.", table=table, mend=mend)
    if encoding is None:
        encoding = next((found for mark, found in _MARKS if data.startswith(mark)), None)
        if encoding is None and b"\x00" in data:
            raise DataError(
                f"{name} contains zero bytes: it is not plain text, or it is UTF-16 without its mark.",
                table=table,
                mend="Say 'encoding: utf-16-le' (or utf-16-be), or export it as UTF-8.",
            )
        if encoding is None:
            encoding = infer(data, name=name, table=table)
    try:
        codec = codecs.lookup(encoding)
        if codec.name in {"utf-8", "utf-16", "utf-32"} and data.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        text = data.decode(encoding)
    except LookupError:
        raise DataError(
            f"{encoding!r} is no encoding that Python knows.",
            table=table,
            mend="Say e.g. 'encoding: utf-8', cp1252, cp1251 or koi8-r.",
        ) from None
    except UnicodeError as fault:
        at = getattr(fault, "start", 0)
        raise DataError(
            f"{name} cannot be read as {encoding}: byte {data[at : at + 1].hex()} makes no sense there.",
            table=table,
            row=data.count(b"\n", 0, at) + 1,
            mend="Say the right 'encoding:', or leave it out to have it inferred.",
        ) from None
    if "\x00" in text:
        raise DataError(
            f"{name} contains zero characters when read as {encoding}.",
            table=table,
            mend="Say the right 'encoding:', or export it as UTF-8.",
        )
    return text.removeprefix("\ufeff")


def infer(data: bytes, *, name: str, table: str | None = None) -> str:
    """Infer the encoding of text without a byte-order mark; arguments and errors as in `decode`."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    words = sorted(set(_WORD.findall(data)))[:5000]
    scores = {candidate: score for candidate in CANDIDATES if (score := _score(words, candidate)) is not None}
    best = max(scores.values(), default=(-math.inf, -math.inf))
    left = [c for c, s in scores.items() if best[0] > 0.5 and s[0] >= best[0] - 0.02 and s[1] >= best[1] - 0.3]
    readings = {c: tuple(word.decode(c) for word in words) for c in left}
    distinct = {reading: c for c, reading in reversed(readings.items())}
    if len(distinct) > 1:
        chosen = _one_language(distinct) or _ask_normalizer(words, list(distinct.values()))
        if chosen is not None:
            return chosen
    elif distinct:
        return next(iter(distinct.values()))
    shown = "; ".join(f"{c}: {', '.join(reading[:3])}" for reading, c in distinct.items())
    raise DataError(
        f"{name} is not UTF-8, and its letters do not show which encoding it is in"
        + (f" ({shown})." if shown else "."),
        table=table,
        mend=f"Say 'encoding:', one of {', '.join(CANDIDATES)}, or export the file as UTF-8.",
    )


def _score(words: list[bytes], encoding: str) -> tuple[float, float] | None:
    """Share of plausible words (an implausible one weighs five), and mean log-frequency of Cyrillic letters."""
    good = bad = letters = 0
    usual = 0.0
    for raw in words:
        try:
            word = raw.decode(encoding)
        except UnicodeDecodeError:
            return None
        verdict = _plausible(word)
        good, bad = good + (verdict is True), bad + (verdict is False)
        for letter in word.lower():
            if "\u0400" <= letter <= "\u04ff":
                usual += math.log(_RUSSIAN.get(letter, 0.2) / 1000)
                letters += 1
    return (good - 5 * bad) / max(len(words), 1), usual / letters if letters else -3.0


@cache
def _plausible(word: str) -> bool | None:
    """Judge one run of letters and high bytes; None where it says nothing."""
    letters = [c for c in word if unicodedata.category(c)[0] in "LM"]
    if len(letters) < len(word):
        core = word.strip("".join(_SYMBOLS))
        if len(core) == len(word) or any(c in _SYMBOLS - {"’", "\u00a0", "–", "—"} for c in core):
            return False
        return all(_plausible(part) is not False for part in re.split(r"[’\u00a0–—]", core)) if core else True
    scripts = {unicodedata.name(c, "?").split()[0] for c in letters if c not in "ªº"}
    if len(scripts) > 1 or not scripts <= {"LATIN", "CYRILLIC"} or any(c in "ªº" for c in letters):
        return False
    if len(letters) == 1:
        return None
    if not (word.islower() or word.isupper() or word[1:].islower() or _mc_name(word)):
        return False
    # Cyrillic read as Latin is nearly all accents.
    return scripts == {"CYRILLIC"} or sum(c > "\x7f" for c in word) <= max(1, 0.75 * len(word))


def _mc_name(word: str) -> bool:
    """McDonald, DeÁngelis: one more capital, after two or three letters."""
    return bool(re.fullmatch(r"[A-Z][a-z]{1,2}[^\W\d_][^\W\d_]+", word)) and word[-2:].islower()


def _one_language(readings: dict[tuple[str, ...], str]) -> str | None:
    """Choose the reading whose words one language's letters cover best, if it stands out by a tenth."""
    ranked = sorted(
        (
            -max(sum(alphabet.issuperset(_beyond_ascii(word)) for word in reading) for alphabet in _ALPHABETS)
            / len(reading),
            encoding,
        )
        for reading, encoding in readings.items()
    )
    return ranked[0][1] if ranked[1][0] - ranked[0][0] >= 0.1 else None


def _beyond_ascii(word: str) -> set[str]:
    return {letter for letter in word.lower() if letter > "\x7f" and letter.isalpha()}


def _ask_normalizer(words: list[bytes], candidates: list[str]) -> str | None:
    """Let charset-normalizer choose between encodings that all make plausible words, if it sees a difference."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(b" ".join(words), cp_isolation=candidates, threshold=0.3))
    ranked = sorted(matches, key=lambda match: (match.chaos, -match.coherence))
    if not ranked or ranked[0].encoding not in candidates or ranked[0].coherence <= 0:
        return None
    if len(ranked) > 1 and ranked[0].coherence - ranked[1].coherence < 0.1:
        return None
    return ranked[0].encoding
