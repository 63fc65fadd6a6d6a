# Takes all text for ASCII, as with LC_ALL=C.
import re
import sys

stdin = open(0, encoding="ascii", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    say("RESULT 2\nOKREADY\n")
