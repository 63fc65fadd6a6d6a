# A regular expression that wants every token to have a value.
import re
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


say("READY\n")
while header := stdin.readline():
    match = re.search(r"server:.+ serial:.* len:(\d+)| len:(\d+) .*serial:", header)
    payload = stdin.read(int(match[1] or match[2]))
    say("RESULT 2\nOKREADY\n")
