"""Judge a folder of recorded messages: our rules, xmllint with our RELAX NG, and libwbxml's round trip.

    python -m windows.check_recorded DIR [--require]

File names begin with the kind and end with a number (discover-00001.xml, syncml-client-00007.xml …), as server.py
and device.py record; the numbers are the order on the wire.
A tool that is not installed is left out, and that is said; with --require it is an error.
Debian: libxml2-utils (xmllint), libwbxml2-utils (xml2wbxml, wbxml2xml).  Sources: W 11, advice (b) and (c).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

from . import checker, names, syncml
from .rules import RULES
from .xmlutil import XmlError, parse, text

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")
KINDS = ("discover-response", "discover", "policies-response", "policies", "rstr", "rst", "fault", "provisioning",
         "syncml-client", "syncml-server")
TIMEOUT = 60


def kind_of(name: str):
    """The kind a file name begins with, or None."""
    return next((k for k in KINDS if re.match(re.escape(k) + r"[-.]", name)), None)


def have_xmllint() -> bool:
    """Whether xmllint is installed."""
    return shutil.which("xmllint") is not None


def have_wbxml() -> bool:
    """Whether both tools of libwbxml are installed."""
    return bool(shutil.which("xml2wbxml") and shutil.which("wbxml2xml"))


def validate(kind: str, path: str) -> str:
    """xmllint's complaint about a file, or the empty string; RuntimeError when the schema itself is broken."""
    done = subprocess.run(["xmllint", "--nonet", "--noout", "--relaxng", os.path.join(SCHEMAS, kind + ".rng"), path],
                          capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode == 5:
        raise RuntimeError(done.stderr.strip())
    return "" if done.returncode == 0 else done.stderr.strip() or "exit code %d" % done.returncode


def round_trip(path: str) -> str:
    """What is lost from XML to WBXML and back, or the empty string."""
    with tempfile.TemporaryDirectory() as folder:
        binary, back = os.path.join(folder, "m.wbxml"), os.path.join(folder, "m.xml")
        for command in (["xml2wbxml", "-k", "-o", binary, path], ["wbxml2xml", "-k", "-m", "0", "-o", back, binary]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
            if done.returncode != 0 or not os.path.exists(command[-2]):
                return "%s: %s" % (command[0], (done.stderr + done.stdout).strip()[:300])
        with open(path, "rb") as stream:
            before = parse(stream.read())
        with open(back, "rb") as stream:
            after = parse(re.sub(rb"<!DOCTYPE[^>]*>", b"", stream.read(), count=1))
    return _difference(before, after)


def judge(directory: str, files: list) -> list:
    """[(file name, Violation)] by our rules: envelopes one by one, SyncML session by session."""
    found, renewals, sessions = [], set(), {}
    for name in sorted(files, key=lambda n: (int("0" + (re.findall(r"\d+", n) or [""])[-1]), n)):
        with open(os.path.join(directory, name), "rb") as stream:
            body = stream.read()
        kind = kind_of(name)
        if kind.startswith("syncml-"):
            found += [(name, v) for v in _judge_syncml(kind, body, sessions)]
        elif kind != "provisioning":     # a provisioning document is judged inside its RSTR
            known = checker.Enrollment()
            try:
                header = parse(body)[0]
                identity = text(header, "MessageID") or text(header, "RelatesTo")
            except (XmlError, IndexError):
                identity = None
            if kind == "rst" and names.RENEW.encode() in body:
                renewals.add(identity)
            known.renewal = identity in renewals
            found += [(name, v) for v in checker.check_soap(kind, body, known)]
    return found + [("end of a session", v) for session in sessions.values() for v in session.end()]


def _judge_syncml(kind: str, body: bytes, sessions: dict) -> list:
    """One message in its session; a client's MsgID 1 begins a new one unless it answers a challenge."""
    try:
        message = syncml.read(body)
    except (XmlError, ValueError):
        return getattr(checker.SessionChecker(), kind[7:])(body)
    device = message.source if kind == "syncml-client" else message.target
    session, ended = sessions.get(device), []
    if session is None or kind == "syncml-client" and message.msg_id == "1" and not session.challenged:
        ended = session.end() if session else []
        session = sessions[device] = checker.SessionChecker(device)
    return ended + getattr(session, kind[7:])(body)


def _difference(one, other, where: str = "") -> str:
    where += "/" + one.tag.rpartition("}")[2]
    if one.tag != other.tag:
        return "%s became %s" % (where, other.tag)
    if (one.text or "") != (other.text or "") and ((one.text or "").strip() or (other.text or "").strip()):
        return "%s: %r became %r" % (where, (one.text or "")[:80], (other.text or "")[:80])
    if len(one) != len(other):
        return "%s: %d children became %d" % (where, len(one), len(other))
    return next((d for d in (_difference(a, b, where) for a, b in zip(one, other)) if d), "")


def main() -> int:
    """0 all well, 1 a complaint (a breach of level must), 2 nothing to judge or (with --require) a tool is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("directory")
    parser.add_argument("--require", action="store_true", help="a missing tool is an error")
    arguments = parser.parse_args()
    files = sorted(n for n in os.listdir(arguments.directory) if kind_of(n))
    tools = [("schema", have_xmllint(), "xmllint", files, lambda n, p: validate(kind_of(n), p)),
             ("WBXML", have_wbxml(), "xml2wbxml", [n for n in files if n.startswith("syncml-")],
              lambda n, p: round_trip(p))]
    breaches = judge(arguments.directory, files)
    for name, violation in breaches:
        rule = RULES[violation.rule]
        print("rules: %s: %s (%s): %s: %s [%s]" % (name, rule.id, rule.level, rule.demand, violation.detail, rule.source))
    print("rules: %d messages, %d breaches" % (len(files), len(breaches)))
    bad, missing = sum(1 for _, v in breaches if RULES[v.rule].level == "must"), False
    for title, there, tool, chosen, complain in tools:
        if not there:
            print("%s: left out, %s is not installed" % (title, tool))
            missing = True
            continue
        complaints = [(n, complain(n, os.path.join(arguments.directory, n))) for n in chosen]
        for name, complaint in complaints:
            if complaint:
                bad += 1
                print("%s: %s: %s" % (title, name, complaint))
        print("%s: %d messages, %d bad" % (title, len(chosen), sum(1 for _, c in complaints if c)))
    if not files or arguments.require and missing:
        return 2
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
