"""What the strict readers say of a file that is not to be trusted: one kind of error, with its reason as a sentence.

A read error of the disk stays an OSError; whoever opens a bundle makes a RunError with the path of both.
"""


class Refused(ValueError):  # noqa: N818  # it is what happened to the file
    """The content is not what a bundle of ours holds; the text says what is wrong, without the path."""
