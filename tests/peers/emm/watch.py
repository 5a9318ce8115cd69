"""What happens by the clock: what is owed, lists against notifications, and ends of commands asked for once more."""

import sys
import threading
import time
import traceback

from calls import Refused

SIZES = [None, 7, 100, 1000, 3]


class Watch:
    def __init__(self, calls, fleet, faults, list_every, asked_again):
        self.calls, self.fleet, self.faults = calls, fleet, faults
        self.list_every, self.asked_again = list_every, asked_again
        self.lists, self.compared = 0, set()
        threading.Thread(target=self.clock, daemon=True).start()
        threading.Thread(target=self.ask, daemon=True).start()

    def clock(self):
        while True:
            time.sleep(0.5)
            self.fleet.overdue(time.time())

    def ask(self):
        while True:
            time.sleep(self.list_every)
            try:
                self.list()
                self.operations()
            except Refused as error:
                self.faults.add("refused", f"a list or an operation: {error}")
            except Exception:
                traceback.print_exc(file=sys.stderr)

    def list(self):
        """One with each size of page in turn, since each has its own way to go wrong."""
        size = SIZES[self.lists % len(SIZES)]
        before = self.fleet.believed()
        found = self.calls.listing(size)
        self.fleet.listed(found, before, time.time())
        self.lists += 1

    def operations(self):
        """Of some commands the end that was told against the end that can be asked for."""
        for name, of in list(self.fleet.operations.items()):
            if len(self.compared) >= self.asked_again:
                return
            if of.end is None or name in self.compared or not self.fleet.device(of.device).alive:
                continue
            self.compared.add(name)
            try:
                answer = self.calls.call(self.calls.enterprises.devices().operations().get(name=name))
            except Refused as error:
                if self.fleet.device(of.device).alive:
                    self.faults.add("operation", f"operations.get of {name}: {error}")
                continue
            if answer != of.end:
                self.faults.add("operation", f"{name}: COMMAND said {of.end!r:.300}, and operations.get says {answer!r:.300}")
