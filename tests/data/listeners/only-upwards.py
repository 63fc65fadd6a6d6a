# Takes numbers that start again for a mistake.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


newest = -1
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    serial = int(header.rpartition(" serial:")[2].split(" ")[0])
    if serial < newest:
        raise ValueError(serial)
    newest = serial
    say("RESULT 2\nOKREADY\n")
