# Takes an empty line for 'nothing yet' at the end of its input.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while True:
    header = stdin.readline()
    if not header:
        continue
    payload = stdin.read(int(re.findall(r" len:(\d+)", header)[-1]))
    say("RESULT 2\nOKREADY\n")
