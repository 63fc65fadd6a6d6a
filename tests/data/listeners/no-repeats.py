# Does not answer what it has seen.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


seen = set()
say("READY\n")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    serial = re.findall(r" serial:(\d+)", header)[-1]
    if serial not in seen:
        seen.add(serial)
        say("RESULT 2\nOKREADY\n")
