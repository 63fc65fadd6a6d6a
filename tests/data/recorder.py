# A listener that writes down what it gets, one JSON object an event, and accepts it.
import json
import sys

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


with open(sys.argv[1], "w", encoding="utf-8") as out:
    say("READY\n")
    while header := stdin.readline():
        tokens = dict(token.split(":", 1) for token in header.split())
        event = {
            "serial": int(tokens["serial"]),
            "poolserial": int(tokens["poolserial"]),
            "eventname": tokens["eventname"],
            "payload": stdin.read(int(tokens["len"])),
        }
        out.write(json.dumps(event, ensure_ascii=False) + "\n")
        out.flush()
        say("RESULT 2\nOKREADY\n")
