"""What goes wrong because of what the user asked for."""


class InvalidInput(ValueError):
    """A setting, a text or a file that cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line prints
    it as it is and exits with status 2.
    """
