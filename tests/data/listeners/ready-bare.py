# READY without its newline.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    say("RESULT 2\nOKREADY")
