"""Sends by somebody else's client of WNS, django-push-notifications. It reads one job a line (JSON) and writes one result
a line, so that a test of the emulated WNS in sim/emulators can hold what strangers' code understood against what was meant.

Usage: provider.py ACCESS_URL. It trusts what SSL_CERT_FILE says.

A job: {"channels": [URL, ..], "raw": TEXT} or {.., "message": TEXT} for a toast, with "id" and "secret" of the package.
Its result: a list with one text a channel, "" where the library was content, else what it raised.
"""

import json
import sys

from django.conf import settings

PACKAGE = {"id": None, "secret": None}


def main() -> None:
    settings.configure(
        PUSH_NOTIFICATIONS_SETTINGS={
            "WNS_ACCESS_URL": sys.argv[1],
            "WNS_PACKAGE_SECURITY_ID": "ms-app://S-1-15-2-1",
            "WNS_SECRET_KEY": "secret",
        },
    )
    from push_notifications import wns

    class Packages:
        """Where the library asks whose notification it is."""

        def get_wns_package_security_id(self, application_id=None):
            return PACKAGE["id"]

        def get_wns_secret_key(self, application_id=None):
            return PACKAGE["secret"]

    wns.get_manager = Packages
    for line in sys.stdin:
        job = json.loads(line)
        PACKAGE.update(id=job["id"], secret=job["secret"])
        results = []
        for channel in job["channels"]:
            try:
                wns.wns_send_message(channel, message=job.get("message"), raw_data=job.get("raw"))
                results.append("")
            except Exception as raised:
                results.append(f"{type(raised).__name__}: {raised}")
        print(json.dumps(results), flush=True)


main()
