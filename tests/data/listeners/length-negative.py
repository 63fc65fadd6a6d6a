# A negative length, as of a string that was not found.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    say("RESULT -1\nOKREADY\n")
