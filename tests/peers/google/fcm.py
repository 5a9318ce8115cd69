"""A server that sends by FCM, made of Google's library for Python and the discovery document of FCM that is in it.

    fcm.py URL PROJECT KEY_FILE

It sends what it is told in lines of JSON on standard input, and says in lines of JSON what came of each message.
"""

import json
import sys

from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
KINDS = {"THIRD_PARTY_AUTH_ERROR": "third_party_auth"}


def sent(messages, project, message, dry):
    body = {"message": message, "validateOnly": dry}
    try:
        return {"name": messages.send(parent=f"projects/{project}", body=body).execute()["name"]}
    except HttpError as error:
        return {"kind": kind(error), "error": error.reason}


def kind(error):
    details = json.loads(error.content)["error"].get("details", [])
    codes = [detail["errorCode"] for detail in details if detail["@type"] == FCM_ERROR]
    if codes:
        return KINDS.get(codes[0], codes[0].lower())
    return "bad_request" if error.status_code == 400 else "other"


def main(url, project, key):
    credentials = service_account.Credentials.from_service_account_file(key, scopes=[SCOPE])
    fcm = build("fcm", "v1", credentials=credentials, client_options={"api_endpoint": url})
    messages = fcm.projects().messages()
    for line in sys.stdin:
        job = json.loads(line)
        dry = job.get("dry", False)
        said = [sent(messages, project, message, dry) for message in job["messages"]]
        print(json.dumps(said), flush=True)


main(*sys.argv[1:])
