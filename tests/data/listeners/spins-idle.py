# Asks again and again whether there is something to read.
import re
import select
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while True:
    if not select.select([0], [], [], 0)[0]:
        continue
    if not (header := stdin.readline()):
        break
    payload = stdin.read(int(re.findall(r" len:(\d+)", header)[-1]))
    say("RESULT 2\nOKREADY\n")
