# Tries to answer for ever, though nobody is there.
import os
import sys
import time

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def insist(text):
    while True:
        try:
            return os.write(1, text)
        except OSError:
            time.sleep(0.1)


insist(b"READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    insist(b"RESULT 2\nOKREADY\n")
