# Takes numbers that start again for a mistake.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


newest = -1
say("READY\n")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    serial = int(re.findall(r" serial:(\d+)", header)[-1])
    if serial < newest:
        raise ValueError(serial)
    newest = serial
    say("RESULT 2\nOKREADY\n")
