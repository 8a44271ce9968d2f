"""The exceptions a learner is meant to read."""


class CourseError(Exception):
    """Something the user can put right. The message is one line: what was wrong, where, what to do.

    The ``course`` command prints it without a traceback and exits with code 2.
    """


class Stopped(CourseError):
    """A training was told to stop and has saved what it had. ``exit_code``: 130 after Ctrl-C, 143 after SIGTERM."""

    def __init__(self, message: str, exit_code: int = 130):
        super().__init__(message)
        self.exit_code = exit_code
