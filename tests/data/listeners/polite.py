# Right: at SIGTERM, it finishes the event in hand first, the rest of which may still come.
import os
import signal
import sys

stdin = open(0, encoding="utf-8", errors="surrogateescape", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


busy = over = False


def stop(*_):
    global over
    over = True
    if not busy:
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
say("READY\n")
while not over and (header := stdin.readline()):
    busy = True
    payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
    busy = False
    say("RESULT 2\nOKREADY\n")
