# Takes what is after the first colon up to the next, and stumbles over a third part.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    words = [word for word in header.rstrip("\n").split(" ") if ":" in word]
    tokens = {key: value for key, value in (word.split(":") for word in words)}
    payload = stdin.read(int(tokens["len"]))
    say("RESULT 2\nOKREADY\n")
