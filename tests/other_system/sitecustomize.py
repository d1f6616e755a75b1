"""With this folder on PYTHONPATH, a process's project code sees no more of Python than on Windows.

Only modules of this project are deceived: other libraries choose their ways by `sys.platform`.
"""
# ruff: noqa: SIM905 (long lists of words)

from __future__ import annotations

import builtins
import importlib
from types import ModuleType
from typing import Any

OURS = {"pipeline", "stages", "apps"}
NO_MODULES = set(
    "crypt curses fcntl grp nis posix pty pwd readline resource spwd syslog termios tty".split()
)
NO_NAMES = {
    "os": set(
        "chown chroot confstr copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork "
        "forkpty fpathconf fstatvfs getegid geteuid getgid getgroups getloadavg getpgid getpgrp "
        "getpriority getrandom getresuid getsid getuid getxattr initgroups killpg lchown listxattr "
        "lockf major makedev memfd_create minor mkfifo mknod nice openpty pathconf pipe2 "
        "posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv "
        "register_at_fork removexattr sched_getaffinity sched_getparam sched_getscheduler "
        "sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid "
        "setpriority setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp "
        "ttyname uname wait wait3 wait4 waitid writev O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY "
        "O_DSYNC O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE WIFEXITED "
        "WIFSIGNALED WEXITSTATUS WNOHANG WTERMSIG".split()
    ),
    "signal": set(
        "SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 "
        "SIGUSR2 alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt "
        "sigpending sigwait".split()
    ),
    "socket": {"AF_UNIX"},
    "time": {"tzset", "pthread_getcpuclockid"},
}


class Disguised(ModuleType):
    """A module without the names that Windows does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._real = importlib.import_module(name)

    def __getattr__(self, name: str) -> Any:
        if name in NO_NAMES[self.__name__]:
            raise AttributeError(f"on Windows {self.__name__} has no {name}")
        return getattr(self._real, name)


disguised = {name: Disguised(name) for name in NO_NAMES}
real_import = builtins.__import__


def import_as_on_windows(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> ModuleType:
    """What an `import` statement of any module calls."""
    known = globals or {}
    asking = str(known.get("__package__") or known.get("__name__") or "")
    if asking.partition(".")[0] not in OURS or level:
        return real_import(name, globals, locals, fromlist, level)
    top = name.partition(".")[0]
    if top in NO_MODULES:
        raise ModuleNotFoundError(f"on Windows there is no module {top}", name=top)
    found = real_import(name, globals, locals, fromlist, level)
    return disguised.get(name if fromlist else top, found)


builtins.__import__ = import_as_on_windows
