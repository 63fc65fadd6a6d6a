# A listener that does everything right, in as few lines as that takes.
import sys

stdin = open(0, encoding="utf-8", errors="surrogateescape", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    # The last len: is the length; the identifier before it may hold anything.
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    if len(payload) < length:
        break
    say("RESULT 2\nOKREADY\n")
