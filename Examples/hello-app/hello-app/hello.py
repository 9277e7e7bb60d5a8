"""A page that says hello, and from which container."""

import os
import socket

from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello():
    return f"<h1>Hello from {socket.gethostname()}!</h1>\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", "8001")))
