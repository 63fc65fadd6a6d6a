# Waits for the rest of a payload, though its input has ended.
import sys
import time

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    while len(payload) < length:
        time.sleep(0.1)
        payload += stdin.read(length - len(payload))
    say("RESULT 2\nOKREADY\n")
