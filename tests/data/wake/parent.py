"""Stands in supervisord's place: the parent of a listener and of as many idle processes as asked for.

usage: parent.py SERVER_URL NUMBER LISTENER...

Appends each idle process's pid to the file 'pids', after that of the listener. SIGUSR1: reap whoever has ended.
SIGUSR2: start one more.
"""

import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def idle():
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            signal.pause()
    print(pid, file=PIDS, flush=True)


def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


url, number, listener = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
PIDS = open("pids", "a")
signal.signal(signal.SIGUSR1, reap)
signal.signal(signal.SIGUSR2, lambda *_: idle())
pid = os.fork()
if pid == 0:
    os.environ.update(SUPERVISOR_ENABLED="1", SUPERVISOR_SERVER_URL=url)
    os.execvp(listener[0], listener)
for inherited in (0, 1, 2):
    os.close(inherited)
print(pid, file=PIDS, flush=True)
for _ in range(number):
    idle()
# For as long as the listener runs, which may have been reaped with others.
try:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
except ChildProcessError:
    pass
