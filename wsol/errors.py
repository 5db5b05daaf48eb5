"""What a user can mend, apart from what we must mend."""


class WsolError(Exception):
    """A mistake the user can correct; the text says what was expected, what came, and what to do."""


class BrokenPicture(WsolError):
    """One file that cannot be decoded; callers with many files report it and go on."""


class NoGroundTruth(WsolError):
    """A data set without boxes or masks; nothing is wrong with it, and it can be trained on."""
