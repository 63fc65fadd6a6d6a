# Opens something for every event and closes nothing.
import os
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


logs = []
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    logs.append(open(os.devnull))
    say("RESULT 2\nOKREADY\n")
