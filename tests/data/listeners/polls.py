# Asks 200 times a second whether there is something to read.
import select
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while True:
    if not select.select([0], [], [], 0.005)[0]:
        continue
    if not (header := stdin.readline()):
        break
    payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
    say("RESULT 2\nOKREADY\n")
