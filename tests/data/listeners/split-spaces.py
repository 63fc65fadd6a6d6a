# Splits the header at spaces and expects a colon in each word.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    tokens = dict(word.split(":", 1) for word in header.rstrip("\n").split(" "))
    payload = stdin.read(int(tokens["len"]))
    say("RESULT 2\nOKREADY\n")
