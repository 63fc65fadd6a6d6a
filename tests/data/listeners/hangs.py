# Reads on for the end of input instead of for len.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    payload = stdin.read()
    say("RESULT 2\nOKREADY\n")
