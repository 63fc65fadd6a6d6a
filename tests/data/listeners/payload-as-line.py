# Reads the payload as a line, which supervisord does not end.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    payload = stdin.readline()
    say("RESULT 2\nOKREADY\n")
