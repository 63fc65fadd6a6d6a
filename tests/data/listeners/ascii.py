# Takes all text for ASCII, as with LC_ALL=C.
import sys

stdin = open(0, encoding="ascii", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    say("RESULT 2\nOKREADY\n")
