# The loop that supervisor's documentation shows, with supervisor's own module.
import sys

from supervisor import childutils

while True:
    headers, payload = childutils.listener.wait()
    sys.stderr.write(payload)
    sys.stderr.flush()
    childutils.listener.ok()
