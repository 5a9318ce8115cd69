"""Devices with an agent of their own, and their administrator: `dpc.py <case>`, with what it has to know on standard input."""

import json
import sys

import agent
import broker
from server import Server

if __name__ == "__main__":
    case = f"case_{sys.argv[1]}"
    module = agent if hasattr(agent, case) else broker
    getattr(module, case)(Server(json.load(sys.stdin)))
