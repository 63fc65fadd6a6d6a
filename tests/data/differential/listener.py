"""A listener that does what its arguments say: one script for each time it is started, the last one for all further.

What it reads goes to NAME.in, byte for byte; what it notices, a line each, to NAME.notes.
"""
import os
import signal
import sys
import time

NAME = os.environ["SUPERVISOR_PROCESS_NAME"]
seen = open(NAME + ".in", "ab", buffering=0)
log = open(NAME + ".notes", "a", buffering=1)
starts = open(NAME + ".notes").read().count("start\n")
print("start", file=log)
buffered = b""


def fill():
    global buffered
    chunk = os.read(0, 65536)
    if not chunk:
        print("eof", file=log)
        sys.exit(0)
    seen.write(chunk)
    buffered += chunk


def header():
    global buffered
    while b"\n" not in buffered:
        fill()
    line, buffered = buffered.split(b"\n", 1)
    return int(line.rsplit(b"len:", 1)[1])


def read():
    global buffered
    length = header()
    while True:
        try:
            if len(buffered.decode()) >= length:
                break
        except UnicodeDecodeError:
            pass
        fill()
    buffered = buffered.decode()[length:].encode()
    print("event", file=log)


def say(text):
    os.write(1, text.encode().decode("unicode_escape").encode("latin-1"))


def deaf(*_):
    print("term", file=log)


def perform(word):
    action, _, value = word.replace("@", NAME).partition("=")
    if action == "say":
        say(value)
    elif action == "ready":
        say(r"READY\n")
    elif action == "ok":
        say(r"RESULT 2\nOK")
    elif action == "fail":
        say(r"RESULT 4\nFAIL")
    elif action == "read":
        read()
    elif action == "header":
        header()
    elif action == "wait":
        while not os.path.exists(value):
            time.sleep(0.01)
    elif action == "close":
        os.close(int(value))
    elif action == "exit":
        sys.exit(int(value))
    elif action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "deaf":
        signal.signal(signal.SIGTERM, deaf)
    elif action == "hang":
        while True:
            signal.pause()
    elif action == "loop":
        while True:
            read()
            say(r"RESULT 2\nOKREADY\n")
    else:
        raise ValueError(word)


scripts = sys.argv[1:]
for word in scripts[min(starts, len(scripts) - 1)].split():
    perform(word.replace("\\_", " "))
while True:
    fill()
