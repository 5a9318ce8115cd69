"""What contradicts Google's documents: sentences, each under a rule's name. What differs in names, ids and numbers only is said
once, with how often it was so."""

import collections
import re
import sys
import threading

KEPT = 500                     # different ones
OWN = re.compile(r"enterprises/[\w/-]+|\b\d[\w:.-]*|\b(?=[A-Z]*\d)[A-Z0-9]{8,}\b")


class Faults:
    def __init__(self, loud=False):
        self.lock = threading.Lock()
        self.loud = loud
        self.said = {}         # by rule and shape: the first, and how many
        self.judged = collections.Counter()

    def add(self, rule, sentence):
        with self.lock:
            key = rule, OWN.sub("*", sentence)
            first, count = self.said.get(key, (sentence, 0))
            if count == 0 and len(self.said) >= KEPT:
                return
            self.said[key] = first, count + 1
        if self.loud and not count:
            print(f"{rule}: {sentence}", file=sys.stderr, flush=True)

    def all(self, rule, sentences, about):
        for sentence in sentences:
            self.add(rule, f"{about}: {sentence}")

    def saw(self, what):
        """Nothing is found in what never came: so what was judged is counted too."""
        with self.lock:
            self.judged[what] += 1

    def report(self):
        with self.lock:
            rules = collections.Counter()
            for (rule, _), (_, count) in self.said.items():
                rules[rule] += count
            sentences = [f"{rule}: {first}" + (f" ({count} like it)" if count > 1 else "")
                         for (rule, _), (first, count) in sorted(self.said.items())]
            return {"faults": sentences, "by_rule": dict(rules), "judged": dict(self.judged)}
