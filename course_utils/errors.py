"""The one exception a learner is meant to read."""


class CourseError(Exception):
    """Something the user can put right. The message is one line: what was wrong, where, what to do.

    The ``course`` command prints it without a traceback and exits with code 2.
    """
