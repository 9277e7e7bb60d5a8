"""A web server in a container, and a browser of the simplest kind."""

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


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
