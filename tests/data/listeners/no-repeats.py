# Does not answer what it has seen.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


seen = set()
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    serial = header.rpartition(" serial:")[2].split(" ")[0]
    if serial not in seen:
        seen.add(serial)
        say("RESULT 2\nOKREADY\n")
