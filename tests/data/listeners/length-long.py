# Counts a newline that it does not write.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    say("RESULT 3\nOKREADY\n")
