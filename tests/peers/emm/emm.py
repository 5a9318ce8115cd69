"""An EMM that manages its fleet through the Android Management API, with Google's own libraries: `emm.py`, settings as JSON on
standard input, or in the file that is named. One line of JSON on standard output says that it is ready; README.md has the settings. It ends on SIGTERM."""

import json
import os
import signal
import sys
import threading
import time
import warnings

# Google's libraries warn of every Python that is not the newest, as soon as they are imported.
warnings.simplefilter("ignore")

import document  # noqa: E402
import notifications  # noqa: E402
import signup  # noqa: E402
from admin import Admin, Listener  # noqa: E402
from calls import Calls  # noqa: E402
from faults import Faults  # noqa: E402
from fleet import Fleet  # noqa: E402
from watch import Watch  # noqa: E402
from work import Work  # noqa: E402

SETTINGS = {
    "google": None,            # URL of the Google that is played, and the service account's key file
    "key": None,
    "ready_file": None,        # in place of both: what `droves run --ready-file` writes, waited for
    "ready_within": 60,
    "port": 0,
    "bearer": "emm",           # what the administrator shows
    "push": False,             # else streaming pull
    "audience": "emm",         # of the tokens of pushes
    "quota_wait": 60,          # seconds that nobody calls after a refusal by the quota, and up to so many more
    "quota_jitter": 15,
    "report_within": 120,      # seconds in which a device has to report what is to be reported; null: it may be away
    "notify_within": 30,       # seconds in which a notification has to come once something has happened
    "list_every": 20,          # seconds
    "asked_again": 10,         # commands whose end is asked for, too
    "loud": False,             # faults also on standard error
}


class App:
    def __init__(self, settings):
        self.bearer = settings["bearer"]
        self.faults, self.document, self.push = Faults(settings["loud"]), document.shipped(), None
        self.ready = threading.Event()
        self.fleet = Fleet(self.document, self.faults, settings["report_within"], settings["notify_within"])
        self.listener = Listener(settings["port"], Admin(self))
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def start(self, settings):
        google, key = where(settings)
        project = json.load(open(key))["project_id"]
        self.calls = Calls(google, key, self.faults, self.document, settings["quota_wait"], settings["quota_jitter"])
        messages = signup.Messages(google, project, self.faults)
        here = f"http://127.0.0.1:{self.listener.server_port}/push"
        if settings["push"]:
            self.push = notifications.Push(self.fleet, self.faults, google, settings["audience"], messages.subscription)
        messages.prepare((here, settings["audience"]) if settings["push"] else None)
        self.streams = [] if settings["push"] else notifications.pull(messages, self.fleet)
        self.fleet.enterprise = self.calls.enterprise = signup.sign_up(self.calls, project, messages.topic, self.faults)
        self.fleet.owe("test_missing", settings["notify_within"], time.time(), self.no_test)
        self.work = Work(self.calls, self.fleet, self.faults, settings["notify_within"])
        self.work.modes()
        self.watch = Watch(self.calls, self.fleet, self.faults, settings["list_every"], settings["asked_again"])
        self.ready.set()
        return {"ready": True, "url": f"http://127.0.0.1:{self.listener.server_port}", "enterprise": self.calls.enterprise,
                "push": settings["push"]}

    def no_test(self):
        if not self.faults.judged["test"]:
            yield "the topic was set, and no test came"


def where(settings):
    """Google's URL and the key file: given, or as the load tester tells once it listens."""
    if settings["google"]:
        return settings["google"], settings["key"]
    until = time.monotonic() + settings["ready_within"]
    while time.monotonic() < until:
        try:
            google = json.load(open(settings["ready_file"]))["google"]
            folder = os.path.dirname(os.path.abspath(settings["ready_file"]))
            return google["url"], settings["key"] or found(google["key_file"], folder)
        except (FileNotFoundError, ValueError):
            time.sleep(0.2)
    raise SystemExit(f"nothing is in {settings['ready_file']}")


def found(key, folder):
    """Relative to where the load tester was started, which is often here or where its ready file is."""
    return key if os.path.exists(key) else os.path.join(folder, key)


def main():
    given = json.load(open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin)
    unknown = set(given) - set(SETTINGS)
    if unknown:
        raise SystemExit(f"no such settings: {sorted(unknown)}")
    settings = {**SETTINGS, **given}
    end = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: end.set())
    app = App(settings)
    print(json.dumps(app.start(settings)), flush=True)
    end.wait()
    for stream in app.streams:
        stream.cancel()
    sys.stderr.flush()
    os._exit(0)                # threads that still serve are not waited for


if __name__ == "__main__":
    main()
