# Knows the events of its day and crashes at any other.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


KNOWN = ("PROCESS_", "REMOTE_COMMUNICATION", "SUPERVISOR_STATE_CHANGE_", "TICK_")
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    name = header.rpartition(" eventname:")[2].split(" ")[0]
    if not name.startswith(KNOWN) or "MEMORY" in name:
        raise KeyError(name)
    say("RESULT 2\nOKREADY\n")
