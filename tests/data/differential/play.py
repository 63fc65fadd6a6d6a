"""supd-mock play's commands, for real supervisord: over XML-RPC."""
import os
import shlex
import signal
import sys
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

server = xmlrpc.client.ServerProxy(
    "http://localhost", transport=SupervisorTransport(None, None, "unix://" + os.path.abspath("supervisor.sock"))
).supervisor
print("ready", flush=True)
for line in sys.stdin:
    command, *words = shlex.split(line)
    if command == "remote":
        server.sendRemoteCommEvent(words[0], words[1])
    elif command == "start":
        server.startProcess(words[0], False)
    elif command == "stop":
        server.stopProcess(words[0], False)
    elif command == "kill":
        os.kill(server.getProcessInfo(words[0])["pid"], getattr(signal, "SIG" + words[1]))
    elif command == "quit":
        server.shutdown()
    else:
        raise ValueError(line)
