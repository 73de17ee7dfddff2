"""A webhook receiver that needs nothing but Python: verifies each signature and prints what arrived.

    python3 docs/examples/receiver.py whsec_… [port]

The scheme is Standard Webhooks: HMAC-SHA256 over `{id}.{timestamp}.{body}` with the secret behind `whsec_`.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import time

SECRET = base64.b64decode(sys.argv[1].removeprefix("whsec_"))
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9000
TOLERANCE_SECONDS = 300


def verified(headers, body):
    """Whether one of the signatures is ours and the message is fresh."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) <= TOLERANCE_SECONDS
    return fresh and any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split(" "))


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        good = verified(self.headers, body)
        event = json.loads(body)
        subject = (
            event["data"].get("invoice_number") or event["data"].get("company_name") or event["data"].get("amount")
        )
        # one write for a line, since events arrive side by side
        print(f"{'verified' if good else 'REFUSED '} {event['type']} {subject}\n", end="", flush=True)
        self.send_response(204 if good else 401)
        self.end_headers()

    def log_message(self, *arguments):
        """The line above says enough."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
    print("listening on", PORT, flush=True)
    server.serve_forever()
