# Writes to a helper that has ended, with SIGPIPE as outside supervisord: dies at the second event.
import signal
import subprocess
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


signal.signal(signal.SIGPIPE, signal.SIG_DFL)
helper = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    helper.stdin.write(header.encode())
    helper.stdin.flush()
    say("RESULT 2\nOK")
    helper.wait()
    say("READY\n")
