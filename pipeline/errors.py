"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input: its message is one line that names file, row or key, the value, what is allowed.

    The stage launcher prints the message alone and exits with status 1; any other exception is a
    defect of ours and keeps its traceback.
    """


class OwnError(UserError):
    """One that this process alone has met, of several that do the same."""
