# Takes the end of its input for a header.
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while True:
    header = stdin.readline()
    payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
    say("RESULT 2\nOKREADY\n")
