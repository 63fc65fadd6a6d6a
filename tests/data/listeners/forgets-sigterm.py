# Forgets a SIGTERM that comes in the middle of an event.
import os
import signal
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


busy = False


def stop(*_):
    if not busy:
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
say("READY\n")
while header := stdin.readline():
    busy = True
    payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
    busy = False
    say("RESULT 2\nOKREADY\n")
