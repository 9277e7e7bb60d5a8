"""A web server in a container, and a browser of the simplest kind."""

import http.client
import socket
import urllib.request

SERVER = ["sh", "-c", "mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 8001 -h /www"]


# Whatever proxy the environment names is not asked for addresses of this host.
BROWSER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url):
    try:
        with BROWSER.open(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None  # Nobody is there, or not yet.


def fetch_inside(host, port):
    """The command that does the same in a container (busybox's wget, linked statically, crashes)."""
    return ["sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} {port} | tail -n 1"]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get_unix(path, target, method="GET"):
    """Asks a server behind a socket of the file system: status, headers, text."""
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()
