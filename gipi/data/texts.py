"""TEMPORARY stub"""

from gipi.data.marks import composed


def clean(text):
    return composed(text).replace("\0", "�").encode("utf-8", "replace").decode()


def form_of(source):
    return ""
