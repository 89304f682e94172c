"""A proxy as a process of its own: CONNECT for https, absolute addresses for http.

    python tests/hub/proxy.py PORT_FILE LOG_FILE [USER:PASSWORD]

Each request is a line in LOG_FILE: the method and the target. With USER:PASSWORD, others get 407.
Hosts that end with `.test` are this machine.
"""

from __future__ import annotations

import base64
import http.client
import select
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


def address(host: str, port: int) -> tuple[str, int]:
    return ("127.0.0.1" if host.endswith(".test") else host, port)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log_file: Path
    login: str | None

    def log_message(self, *_: object) -> None:
        pass

    def allowed(self) -> bool:
        """Log the request; answer 407 if the login is missing."""
        with self.log_file.open("a") as file:
            file.write(f"{self.command} {self.path}\n")
        if self.login is None:
            return True
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.headers.get("Proxy-Authorization") == wanted:
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        if not self.allowed():
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection(address(host, int(port))) as server:
            self.send_response(200)
            self.end_headers()
            ends = [self.connection, server]
            while True:
                for end in select.select(ends, [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[1 - ends.index(end)].sendall(data)

    def do_GET(self) -> None:
        if not self.allowed():
            return
        url = urlsplit(self.path)
        assert url.hostname
        connection = http.client.HTTPConnection(*address(url.hostname, url.port or 80))
        headers = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
        connection.request(self.command, url._replace(scheme="", netloc="").geturl(), None, headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        connection.close()

    do_HEAD = do_GET


def main(port_file: str, log_file: str, login: str | None = None) -> None:
    Handler.log_file, Handler.login = Path(log_file), login
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Path(log_file).touch()
    temporary = Path(f"{port_file}.tmp")
    temporary.write_text(str(server.server_port))
    temporary.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
