# Takes the first len: for the length, and supervisord's identifier comes first.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    payload = stdin.read(int(header.partition(" len:")[2].split(" ")[0]))
    say("RESULT 2\nOKREADY\n")
