# Takes the first len: for the length, and supervisord's identifier comes first.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    payload = stdin.read(int(re.search(r" len:(\d+)", header)[1]))
    say("RESULT 2\nOKREADY\n")
