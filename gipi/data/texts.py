"""TEMPORARY stub"""

import unicodedata


def clean(text):
    return unicodedata.normalize("NFC", text).replace("\0", "�").encode("utf-8", "replace").decode()


def form_of(source):
    return ""
