# Takes the last token of the header for the length.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    payload = stdin.read(int(header.rpartition("len:")[2]))
    say("RESULT 2\nOKREADY\n")
