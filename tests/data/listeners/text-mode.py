# Text mode makes one newline of two characters, and then waits for the second.
import sys

stdin = open(0, encoding="utf-8")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    say("RESULT 2\nOKREADY\n")
