# Knows the events of its day and crashes at any other.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


KNOWN = ("PROCESS_", "REMOTE_COMMUNICATION", "SUPERVISOR_STATE_CHANGE_", "TICK_")
say("READY\n")
while header := stdin.readline():
    length = int(re.findall(r" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    name = re.findall(r" eventname:(\S+)", header)[-1]
    if not name.startswith(KNOWN) or "MEMORY" in name:
        raise KeyError(name)
    say("RESULT 2\nOKREADY\n")
