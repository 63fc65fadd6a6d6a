# Closes its standard input, as programs do that become daemons.
import signal
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
stdin.close()
signal.pause()
