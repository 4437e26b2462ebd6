"""S3 servers other than SeaweedFS: moto in server mode, and a proxy that does less than S3."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from helpers import http
from helpers.servers import MissingError, Server

ALL = ["s3:*"]
WITHOUT_DELETE = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"]
CODES = {400: "AuthorizationHeaderMalformed", 403: "AccessDenied", 501: "NotImplemented"}
"""What a server says with a status, if nothing else is asked for."""

PROVISIONING = 7
"""Requests of `Moto._provision`: the server checks the rights of all that come later."""


class Moto(Server):
    """A second implementation of S3, with users of different rights: signatures and policies are checked."""

    BIN = Path(sys.executable).with_name("moto_server")
    BUCKET = "tutorial"

    def start(self):
        if not self.BIN.exists():
            raise MissingError("moto")
        environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(PROVISIONING)}
        self.spawn(self.BIN, "-H", "127.0.0.1", "-p", str(self.port), env=environment)
        self.wait_until_ready()
        self._provision()
        return self

    def _provision(self):
        import boto3  # noqa: PLC0415 (half a second, which only these tests need)

        def client(service):
            return boto3.client(
                service, endpoint_url=self.endpoint, region_name="us-east-1",
                aws_access_key_id="root", aws_secret_access_key="root",
            )  # fmt: skip

        client("s3").create_bucket(Bucket=self.BUCKET)
        iam = client("iam")
        self.users = {}
        for name, actions in (("owner", ALL), ("writer", WITHOUT_DELETE)):
            iam.create_user(UserName=name)
            statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=policy)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            self.users[name] = {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self):
        return self.variables_of("owner")

    def variables_of(self, user):
        return self.users[user] | {"AWS_ENDPOINT_URL": self.endpoint}


class LesserS3:
    """A proxy in front of an S3 server that answers some requests itself.

    Args:
        endpoint: the server; it gets the requests unchanged, the signed Host header included.
        refuse: gets method and path with query, and returns the status to answer with, or status and code; None
            to pass it on.
    """

    def __init__(self, endpoint, refuse):
        self.requests = []
        """Method, path and status of each."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                refusal = refuse(self.command, self.path)
                if refusal is None:
                    request = proxy.upstream.build_request(
                        self.command, self.path, content=body, headers=dict(self.headers)
                    )
                    answer = proxy.upstream.send(request)
                    status, headers, content = answer.status_code, answer.headers, answer.content
                else:
                    status, code = (
                        refusal if isinstance(refusal, tuple) else (refusal, CODES.get(refusal, "Refused"))
                    )
                    headers, content = {}, f"<Error><Code>{code}</Code></Error>".encode()
                proxy.requests.append((self.command, self.path, status))
                self.send_response(status)
                for name in headers:
                    if name.lower() not in (
                        "content-length",
                        "transfer-encoding",
                        "connection",
                        "content-encoding",
                    ):
                        self.send_header(name, headers[name])
                length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 (http.server's names)

            def log_message(self, *_):
                pass

        self.upstream = http.Client(base_url=endpoint)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self.upstream.close()
