# Answers at the header and reads the payload afterwards.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    say("RESULT 2\nOK")
    payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
    say("READY\n")
