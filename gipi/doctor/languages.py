"""In what language, or at least in what script, a text is; and whether it was read in the wrong encoding.

Scripts are told by the ranges of Unicode, languages in Latin letters by their most frequent small words.
"""

import re

SCRIPTS = (
    ("korean", re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]")),
    ("japanese", re.compile("[ぁ-ゖァ-ヺ]")),
    ("chinese", re.compile("[一-鿿]")),
    ("cyrillic", re.compile("[Ѐ-ӿ]")),
    ("greek", re.compile("[Ͱ-Ͽ]")),
    ("arabic", re.compile("[؀-ۿ]")),
    ("hebrew", re.compile("[֐-׿]")),
    ("devanagari", re.compile("[ऀ-ॿ]")),
    ("thai", re.compile("[฀-๿]")),
    ("latin", re.compile("[A-Za-zÀ-ɏ]")),
)
SMALL_WORDS = {
    "english": "the of and to in is that it was for with as his on be at by had not are but from have they which this",
    "german": "der die und das ist nicht ein eine ich zu den mit sich auf für dem des es sie auch als wie wir aber",
    "french": "le la les et est une des dans qui que pour pas sur avec ce il elle nous vous mais sont cette aux",
    "spanish": "el los las y es una por con para del como pero su más este muy esta lo al fue son también",
    "italian": "il di che è la un una per non sono con del della gli ma come più anche questo nel alla",
    "portuguese": "o os as e é um uma não com para por mais dos das como mas foi ao ele muito também",
    "dutch": "de het een en van ik te dat niet zijn op aan met als voor er maar om hem dan zou",
}
WORDS = {language: frozenset(words.split()) for language, words in SMALL_WORDS.items()}
LEAST = 3  # letters, or small words: with fewer nobody knows
CLEAR = 2  # times as many small words as of the next language
# What UTF-8 becomes when it is read as Latin-1 or Windows-1252, and what stands where a character could not be read.
DAMAGE = re.compile("�|Ã[\x80-\xbf©¨¼¤¶Ÿ±³¡­]|â€[™œ“”\x9d¦]|ì[\x80-\xbf]{2}|ë[\x80-\xbf]{2}")


def script_of(text: str) -> str:
    """The script of most letters; "" where there are hardly any."""
    counts = {name: len(letters.findall(text)) for name, letters in SCRIPTS}
    if counts["japanese"] and counts["chinese"]:  # Japanese is written with Chinese signs as well
        counts["japanese"] += counts.pop("chinese")
    name = max(counts, key=lambda one: counts[one])
    return name if counts[name] >= LEAST else ""


def language_of(text: str) -> str:
    """The script, and of Latin letters the language where it is clear; "" where nobody knows.

    >>> language_of("the cat was in the garden"), language_of("정말 재미있는 영화")
    ('english', 'korean')
    """
    script = script_of(text)
    if script != "latin":
        return script
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = sorted(((sum(word in small for word in words), name) for name, small in WORDS.items()), reverse=True)
    (most, name), (next_most, _name) = counts[0], counts[1]
    return name if most >= LEAST and most >= CLEAR * next_most else ""


def damaged(text: str) -> bool:
    """Whether characters of it could not be read, or were read in another encoding."""
    return DAMAGE.search(text) is not None
