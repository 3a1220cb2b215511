"""Errors outside the networks themselves."""


class InvalidInput(ValueError):
    """A setting, a text or a file that cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line prints
    it as it is and exits with status 2.
    """


class WrongArguments(InvalidInput, TypeError):
    """Keyword arguments that nothing takes, or that are missing.

    It is the TypeError that Python raises for them, since clients that try an argument (TorchRL's
    ``frameskip``) wait for that.
    """


class ProcessUnusable(Exception):
    """An evaluator cannot go on in this process, though a fresh process may: a GPU was lost."""


def first_line(error: BaseException) -> str:
    """Names an error of foreign code and its message, for use within a sentence."""
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".")
