"""What the gateway does with a secret, as far as mitmproxy's API makes it easy: the value for the placeholder in one
header, the placeholder for the value in the answer. No policy, no caps, no record."""
import os

PLACEHOLDER = os.environ["PLACEHOLDER"]
VALUE = os.environ["VALUE"]


def request(flow):
    header = flow.request.headers.get("authorization", "")
    if PLACEHOLDER in header:
        flow.request.headers["authorization"] = header.replace(PLACEHOLDER, VALUE)


def response(flow):
    for name, value in list(flow.response.headers.items()):
        if VALUE in value:
            flow.response.headers[name] = value.replace(VALUE, PLACEHOLDER)
    body = flow.response.content
    if body and VALUE.encode() in body:
        flow.response.content = body.replace(VALUE.encode(), PLACEHOLDER.encode())
