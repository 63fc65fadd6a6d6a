# Handles one event and is done.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
header = stdin.readline()
payload = stdin.read(int(re.findall(r" len:(\d+)", header)[-1]))
say("RESULT 2\nOKREADY\n")
