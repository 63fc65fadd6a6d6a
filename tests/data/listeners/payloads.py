# Takes payloads apart: the tokens of a log event and of a program's message, the type of a remote one.
import sys

stdin = open(0, encoding="utf-8", errors="surrogateescape", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def tokens(line):
    return dict(token.split(":", 1) for token in line.split(" "))


say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    if len(payload) < length:
        break
    name = header.rpartition(" eventname:")[2].split(" ")[0]
    line, newline, data = payload.partition("\n")
    if name.startswith("PROCESS_LOG"):
        assert tokens(line)["channel"] in ("stdout", "stderr")
    elif name.startswith("PROCESS_COMMUNICATION"):
        assert tokens(line)["pid"]
    elif name == "REMOTE_COMMUNICATION":
        assert newline and line.startswith("type:")
    say("RESULT 2\nOKREADY\n")
