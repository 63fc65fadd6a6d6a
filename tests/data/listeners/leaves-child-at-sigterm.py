# Ends its helper at the end of its input, but not at SIGTERM.
import subprocess
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


helper = subprocess.Popen(["sleep", "1000"])
try:
    say("READY\n")
    while header := stdin.readline():
        payload = stdin.read(int(header.rpartition(" len:")[2].split(" ")[0]))
        say("RESULT 2\nOKREADY\n")
finally:
    helper.kill()
