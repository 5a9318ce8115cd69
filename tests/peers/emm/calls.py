"""Calls at Google, by its own client: what is refused for a while is tried again as Google's documents advise, and each
answer is held against the discovery document."""

import collections
import json
import random
import threading
import time

import google.auth.exceptions
import google_auth_httplib2
import httplib2
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SCOPE = "https://www.googleapis.com/auth/androidmanagement"
STATUSES = {400: {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"}, 401: {"UNAUTHENTICATED"}, 403: {"PERMISSION_DENIED"},
            404: {"NOT_FOUND"}, 409: {"ABORTED", "ALREADY_EXISTS"}, 429: {"RESOURCE_EXHAUSTED"}, 499: {"CANCELLED"},
            500: {"INTERNAL", "UNKNOWN", "DATA_LOSS"}, 501: {"UNIMPLEMENTED"}, 503: {"UNAVAILABLE"}, 504: {"DEADLINE_EXCEEDED"}}
AGAIN = {409, 500, 502, 503, 504}
BACKOFF_MAX = 32               # seconds: Google advises 32 or 64


class Refused(Exception):
    """Google does not want it, and will not want it later either."""

    def __init__(self, status, reason, message):
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason = status, reason


class Calls:
    def __init__(self, url, key, faults, document, quota_wait=60, quota_jitter=15, tries=6, sleep=time.sleep, clock=time.monotonic):
        self.faults, self.document = faults, document
        self.quota_wait, self.quota_jitter, self.tries = quota_wait, quota_jitter, tries
        self.sleep, self.clock = sleep, clock
        self.credentials = service_account.Credentials.from_service_account_file(key, scopes=[SCOPE]) if key else None
        self.own = threading.local()
        self.gate, self.lock = 0.0, threading.Lock()
        self.counts = collections.Counter()
        if url:
            service = build("androidmanagement", "v1", credentials=self.credentials, client_options={"api_endpoint": url})
            self.service, self.enterprises = service, service.enterprises()

    def http(self):
        """httplib2 is not for several threads at once."""
        if not hasattr(self.own, "http"):
            self.own.http = google_auth_httplib2.AuthorizedHttp(self.credentials, http=httplib2.Http(timeout=60))
        return self.own.http

    def call(self, request):
        """The answer; nothing if nothing was to be changed (304)."""
        failed = 0
        while True:
            self.wait()
            self.count("calls")
            try:
                answer = request.execute(http=self.http())
            except HttpError as error:
                status, reason, message = self.read(request, error)
                if status == 304:
                    return None
                if out_of_quota(status, reason, message):
                    self.count("refused_by_quota")
                    with self.lock:
                        self.gate = max(self.gate, self.clock() + self.quota_wait + random.random() * self.quota_jitter)
                    continue
                if status not in AGAIN or failed + 1 >= self.tries or reason == "ALREADY_EXISTS":
                    raise Refused(status, reason, message) from error
                why = f"{status} {reason}"
            except (OSError, httplib2.HttpLib2Error, google.auth.exceptions.TransportError) as error:
                if failed + 1 >= self.tries:
                    raise
                why = type(error).__name__
            else:
                self.faults.saw(request.methodId)
                self.faults.all("schema", self.document.wrong_answer(request.methodId, answer), request.methodId)
                return answer
            self.count(f"tried again after {why}")
            self.sleep(backoff(failed, random.random()))
            failed += 1

    def wait(self):
        """After a refusal by the quota nobody calls for a while."""
        while (left := self.gate - self.clock()) > 0:
            self.sleep(left)

    def read(self, request, error):
        status = int(error.resp.status)
        if status == 304:
            return status, "", ""
        try:
            body = json.loads(error.content)["error"]
            reason, message, code = body.get("status"), body.get("message", ""), body.get("code")
        except (ValueError, KeyError, TypeError, AttributeError):
            self.faults.add("error_body", f"{request.methodId} was answered {status} with {error.content[:100]!r}")
            return status, "", ""
        if code != status or reason not in STATUSES.get(status, {reason}) or not message:
            self.faults.add("error_body", f"{request.methodId} was answered {status}, and its body says {code} {reason} {message!r}")
        return status, reason, message

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def listing(self, size):
        """All devices by name, page by page."""
        devices, found, seen = self.enterprises.devices(), {}, set()
        request = devices.list(parent=self.enterprise, **({"pageSize": size} if size else {}))
        while request is not None:
            answer = self.call(request)
            page = answer.get("devices", [])
            self.faults.all("paging", paging(page, found, size, answer.get("nextPageToken"), seen), "devices.list")
            found.update({device["name"]: device for device in page})
            request = devices.list_next(request, answer)
        return found


def paging(page, found, size, token, seen):
    """What is wrong with a page, after those that have been found."""
    most = min(size or 10, 100)
    if len(page) > most:
        yield f"{len(page)} devices are on a page of {most}"
    for device in page:
        if device.get("name") in found:
            yield f"{device.get('name')} is on two pages"
    if token and not page:
        yield "an empty page says that there are more"
    if token and token in seen:
        yield "the same page token came twice"
    seen.add(token)


def out_of_quota(status, reason, message):
    """Proxies have been seen to make 500 of it, in the same words."""
    return status == 429 or status in (403, 500) and ("quota exceeded" in message.lower() or reason == "RESOURCE_EXHAUSTED")


def backoff(failed, jitter):
    return min(2**failed + jitter, BACKOFF_MAX)
