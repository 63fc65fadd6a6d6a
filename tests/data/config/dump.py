"""What supervisor's ServerOptions makes of each configuration named, as one line of JSON: null for one it refuses."""
import contextlib, io, json, shlex, sys

from supervisor import events, options
from supervisor.datatypes import RestartUnconditionally, RestartWhenExitUnexpected

AUTORESTART = {RestartUnconditionally: "always", RestartWhenExitUnexpected: "unexpected", False: "never"}
SAME = ("name", "command", "directory", "umask", "serverurl", "priority", "autostart", "startsecs", "startretries",
        "exitcodes", "stopwaitsecs", "stopasgroup", "killasgroup", "redirect_stderr", "stdout_events_enabled", "stderr_events_enabled",
        "stdout_capture_maxbytes", "stderr_capture_maxbytes")


def words(command):
    try:
        return shlex.split(command)
    except ValueError:
        return None


def process(config, group):
    shown = {name: getattr(config, name) for name in SAME}
    shown.update(groupname=group.name, words=words(config.command), environment=sorted(config.environment.items()),
                 uid=config.uid, stopsignal=int(config.stopsignal), autorestart=AUTORESTART[config.autorestart])
    return shown


def group(config):
    shown = {"name": config.name, "priority": config.priority,
             "processes": [process(one, config) for one in config.process_configs]}
    if isinstance(config, options.EventListenerPoolConfig):
        shown["buffer_size"] = config.buffer_size
        shown["events"] = sorted(events.getEventNameByType(event) for event in config.pool_events)
    return shown


def dump(path):
    read = options.ServerOptions()
    read.realize(["-c", path], doc="")
    groups = [(isinstance(config, options.EventListenerPoolConfig), group(config))
              for config in read.process_group_configs]
    return {"identifier": read.identifier, "serverurl": read.serverurl,
            "pools": [shown for is_pool, shown in groups if is_pool],
            "programs": [shown for is_pool, shown in groups if not is_pool]}


for path in sys.argv[1:]:
    with contextlib.redirect_stderr(io.StringIO()):
        options.Options.stderr = sys.stderr
        try:
            shown = dump(path)
        except (SystemExit, Exception):
            shown = None
    print(json.dumps(shown))
